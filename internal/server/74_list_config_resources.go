package server

import (
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// ListConfigResources (74): what has settings, by type.
//
// v0  client metrics only (KIP-714); there are none here
// v1  any of the types; none named means all (KIP-1142)
func listConfigResources(s *Server, r *Request, in kmsg.Request) kmsg.Response {
	q := in.(*kmsg.ListConfigResourcesRequest)
	resp := q.ResponseKind().(*kmsg.ListConfigResourcesResponse)
	resp.ConfigResources = []kmsg.ListConfigResourcesResponseConfigResource{}
	if q.Version == 0 {
		return resp
	}
	for _, t := range q.ResourceTypes {
		if !slices.Contains(listedResources, kmsg.ConfigResourceType(t)) {
			s.deps.Metrics.Error(r.Key, kafka.UnsupportedVersion)
			resp.ErrorCode = int16(kafka.UnsupportedVersion)
			return resp
		}
	}
	im := s.deps.Cluster.Image()
	add := func(t kmsg.ConfigResourceType, name string) {
		row := kmsg.NewListConfigResourcesResponseConfigResource()
		row.Type, row.Name = int8(t), name
		resp.ConfigResources = append(resp.ConfigResources, row)
	}
	for _, t := range listedResources {
		if len(q.ResourceTypes) > 0 && !slices.Contains(q.ResourceTypes, int8(t)) {
			continue
		}
		switch t {
		case kmsg.ConfigResourceTypeTopic:
			for topic := range im.Topics() {
				add(t, topic.Name)
			}
		case kmsg.ConfigResourceTypeBroker, kmsg.ConfigResourceTypeBrokerLogger:
			for _, b := range s.endpoints(im, r.Listener()) {
				add(t, strconv.Itoa(int(b.id)))
			}
		}
	}
	return resp
}

// Types of resources that kmsg has no name for.
const (
	resourceClientMetrics kmsg.ConfigResourceType = 16
	resourceGroup         kmsg.ConfigResourceType = 32
)

// listedResources are the types that may be asked for. Client metrics and groups have no settings of their own here, so none is listed.
var listedResources = []kmsg.ConfigResourceType{
	resourceGroup, resourceClientMetrics, kmsg.ConfigResourceTypeBrokerLogger, kmsg.ConfigResourceTypeBroker, kmsg.ConfigResourceTypeTopic,
}
