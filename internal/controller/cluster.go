package controller

import (
	"math"

	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/meta"
)

// RegisterBrokerRequest asks to be a broker of the cluster.
type RegisterBrokerRequest struct {
	ID           kafka.NodeID
	ClusterID    string // the one the broker's data belongs to; "": any
	NewClusterID string // fresh; becomes the cluster's if it has none and ClusterID is ""
	Registration meta.Registration
}

// RegisterBroker writes the broker's registration, and the cluster's id if this is its very first broker. The broker epoch is
// the revision at which the transaction commits.
func (c *Controller) RegisterBroker(im *meta.Image, req RegisterBrokerRequest) (Result, meta.Txn) {
	if req.ID < 0 {
		return failed(kafka.InvalidRequest, "broker id %d is negative", req.ID), meta.Txn{}
	}
	var txn meta.Txn
	switch cluster := im.ClusterID(); {
	case cluster == "":
		id := req.ClusterID
		if id == "" {
			id = req.NewClusterID
		}
		if id == "" {
			return failed(kafka.InconsistentClusterID, "the cluster has no id yet and the broker brought none"), txn
		}
		txn.If = append(txn.If, meta.Cond{Key: meta.ClusterKey()})
		txn.Do = append(txn.Do, meta.Put(meta.ClusterKey(), meta.EncodeCluster(id)))
	case req.ClusterID != "" && req.ClusterID != cluster:
		return failed(kafka.InconsistentClusterID, "the broker's data belongs to cluster %s, the metadata to cluster %s; they do not go together", req.ClusterID, cluster), txn
	}
	var mod meta.Revision
	if b := im.Broker(req.ID); b != nil {
		mod = b.ModRevision
	}
	key := meta.BrokerKey(req.ID)
	txn.If = append(txn.If, meta.Cond{Key: key, Mod: mod})
	txn.Do = append(txn.Do, meta.Put(key, meta.EncodeRegistration(req.Registration)))
	return Result{}, txn
}

// ProducerIDBlock is how many producer ids a broker takes at a time (KIP-730).
const ProducerIDBlock = 1000

// ProducerIDs are the ids First to First+Count-1.
type ProducerIDs struct {
	First int64
	Count int64
	Result
}

// AllocateProducerIDs takes the next block of producer ids. Ids are never given twice; those of a block that is not used up
// are lost.
func (c *Controller) AllocateProducerIDs(im *meta.Image) (ProducerIDs, meta.Txn) {
	next, mod := im.NextProducer()
	if next > math.MaxInt64-ProducerIDBlock {
		return ProducerIDs{Result: failed(kafka.UnknownServerError, "all producer ids have been given away")}, meta.Txn{}
	}
	key := meta.NextProducerKey()
	return ProducerIDs{First: next, Count: ProducerIDBlock}, meta.Txn{
		If: []meta.Cond{{Key: key, Mod: mod}},
		Do: []meta.Op{meta.Put(key, meta.EncodeNextProducer(next+ProducerIDBlock))},
	}
}
