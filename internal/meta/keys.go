package meta

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// The layout, below whatever root a Store adds (etcd: "/<cluster>/"; the local file: none).
//
//	cluster                   the cluster id, written once
//	brokers/<id>/reg          a broker's registration; its ModRevision is the broker epoch
//	brokers/<id>/live         kept for clusters: leased, says that the broker is alive
//	topics/<id>               a topic: name and number of partitions; id is 32 hexadecimal digits
//	names/<name, "." as "_">  guards that no two topics have the same name, or names that differ in "." and "_" only
//	parts/<id>/<partition>    a partition: replicas, ISR, leader, epochs; ten decimal digits, so that they sort
//	conf/topic/<name>         overrides of a topic
//	conf/broker/<id>          dynamic settings of one broker
//	conf/broker/default       dynamic settings of all brokers
//	quotas/                   kept for client quotas
//	pid/next                  the first producer id that no broker has taken
//
// An unknown key is passed over: a build that adds keys which older ones must not ignore raises the format in `cluster`.
const (
	keyCluster      = "cluster"
	prefixBrokers   = "brokers/"
	suffixReg       = "/reg"
	prefixTopics    = "topics/"
	prefixNames     = "names/"
	prefixParts     = "parts/"
	prefixConf      = "conf/"
	confTopic       = "conf/topic/"
	confBroker      = "conf/broker/"
	confDefault     = "default"
	keyNextProducer = "pid/next"
)

// ClusterKey is the key of the cluster's id.
func ClusterKey() string { return keyCluster }

// BrokerKey is the key of a broker's registration.
func BrokerKey(id kafka.NodeID) string {
	return prefixBrokers + strconv.Itoa(int(id)) + suffixReg
}

// TopicKey is the key of a topic.
func TopicKey(id kafka.TopicID) string { return prefixTopics + id.Hex() }

// NameKey is the key that guards a topic's name.
func NameKey(name string) string { return prefixNames + UnifiedName(name) }

// UnifiedName is what two topic names may not share: metrics of many systems write "." as "_".
func UnifiedName(name string) string { return strings.ReplaceAll(name, ".", "_") }

// PartitionsPrefix is the prefix of all partitions of a topic.
func PartitionsPrefix(id kafka.TopicID) string { return prefixParts + id.Hex() + "/" }

// PartitionKey is the key of one partition.
func PartitionKey(id kafka.TopicID, partition int32) string {
	return fmt.Sprintf("%s%s/%010d", prefixParts, id.Hex(), partition)
}

// NextProducerKey is the key of the producer id allocator.
func NextProducerKey() string { return keyNextProducer }

// ResourceType is Kafka's number of a kind of configured thing.
type ResourceType int8

// The kinds whose configurations are kept as metadata.
const (
	TopicResource  ResourceType = 2
	BrokerResource ResourceType = 4
)

// String is Kafka's name of the kind.
func (t ResourceType) String() string {
	switch t {
	case TopicResource:
		return "TOPIC"
	case BrokerResource:
		return "BROKER"
	}
	return "resource type " + strconv.Itoa(int(t))
}

// Resource is a configured thing: a topic, one broker ("3"), or all brokers ("").
type Resource struct {
	Type ResourceType
	Name string
}

// TopicConfigs is the resource of a topic.
func TopicConfigs(topic string) Resource { return Resource{TopicResource, topic} }

// BrokerConfigs is the resource of one broker.
func BrokerConfigs(id kafka.NodeID) Resource { return Resource{BrokerResource, strconv.Itoa(int(id))} }

// DefaultBrokerConfigs is the resource of all brokers together.
func DefaultBrokerConfigs() Resource { return Resource{BrokerResource, ""} }

// String is Kafka's way to print it: "TOPIC orders".
func (r Resource) String() string {
	if r == DefaultBrokerConfigs() {
		return "BROKER default"
	}
	return r.Type.String() + " " + r.Name
}

// Compare orders by type, then name.
func (r Resource) Compare(o Resource) int {
	if r.Type != o.Type {
		return int(r.Type) - int(o.Type)
	}
	return strings.Compare(r.Name, o.Name)
}

// Key is where the configuration of the resource is kept. Only topics and brokers have one.
func (r Resource) Key() string {
	switch {
	case r.Type == TopicResource:
		return confTopic + r.Name
	case r.Type == BrokerResource && r.Name == "":
		return confBroker + confDefault
	case r.Type == BrokerResource:
		return confBroker + r.Name
	}
	panic("meta: " + r.String() + " has no key")
}

// keyKind is what a key says of itself.
type keyKind int8

const (
	kindUnknown keyKind = iota
	kindCluster
	kindBroker
	kindTopic
	kindPartition
	kindConfig
	kindNextProducer
)

// parsedKey is a key of the layout, taken apart.
type parsedKey struct {
	kind      keyKind
	broker    kafka.NodeID
	topic     kafka.TopicID
	partition int32
	resource  Resource
}

// parseKey takes a key apart. A key of a known prefix that is not formed as the layout says is an error; a key of an unknown
// prefix is kindUnknown.
func parseKey(key string) (parsedKey, error) {
	bad := func(why string) (parsedKey, error) {
		return parsedKey{}, fmt.Errorf("metadata key %q: %s", key, why)
	}
	switch {
	case key == keyCluster:
		return parsedKey{kind: kindCluster}, nil
	case key == keyNextProducer:
		return parsedKey{kind: kindNextProducer}, nil
	case strings.HasPrefix(key, prefixBrokers):
		id, rest, _ := strings.Cut(key[len(prefixBrokers):], "/")
		n, ok := parseNode(id)
		if !ok {
			return bad("no broker id")
		}
		if "/"+rest != suffixReg {
			return parsedKey{}, nil
		}
		return parsedKey{kind: kindBroker, broker: n}, nil
	case strings.HasPrefix(key, prefixTopics):
		id, ok := parseHexID(key[len(prefixTopics):])
		if !ok {
			return bad("no topic id")
		}
		return parsedKey{kind: kindTopic, topic: id}, nil
	case strings.HasPrefix(key, prefixParts):
		hex, part, _ := strings.Cut(key[len(prefixParts):], "/")
		id, ok := parseHexID(hex)
		if !ok {
			return bad("no topic id")
		}
		n, err := strconv.ParseUint(part, 10, 31)
		if err != nil || len(part) != 10 || n >= MaxPartitions {
			return bad("no partition number")
		}
		return parsedKey{kind: kindPartition, topic: id, partition: int32(n)}, nil
	case strings.HasPrefix(key, confTopic):
		name := key[len(confTopic):]
		if err := kafka.CheckTopicName(name); err != nil {
			return bad(err.Error())
		}
		return parsedKey{kind: kindConfig, resource: TopicConfigs(name)}, nil
	case strings.HasPrefix(key, confBroker):
		name := key[len(confBroker):]
		if name == confDefault {
			return parsedKey{kind: kindConfig, resource: DefaultBrokerConfigs()}, nil
		}
		id, ok := parseNode(name)
		if !ok {
			return bad("no broker id")
		}
		return parsedKey{kind: kindConfig, resource: BrokerConfigs(id)}, nil
	}
	return parsedKey{}, nil
}

func parseNode(s string) (kafka.NodeID, bool) {
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil || strconv.FormatUint(n, 10) != s { // "007" would be a second key of broker 7
		return 0, false
	}
	return kafka.NodeID(n), true
}

func parseHexID(s string) (kafka.TopicID, bool) {
	var id kafka.TopicID
	if len(s) != 2*len(id) {
		return id, false
	}
	for i := range id {
		hi, lo := hexDigit(s[2*i]), hexDigit(s[2*i+1])
		if hi < 0 || lo < 0 {
			return id, false
		}
		id[i] = byte(hi<<4 | lo)
	}
	return id, !id.IsZero()
}

// hexDigit takes lower case only: upper case would be a second key of the same topic.
func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}
