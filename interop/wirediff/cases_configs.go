package main

import (
	"fmt"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Resource types of the config APIs.
const (
	ofTopic         = kmsg.ConfigResourceTypeTopic
	ofBroker        = kmsg.ConfigResourceTypeBroker
	ofBrokerLogger  = kmsg.ConfigResourceTypeBrokerLogger
	ofClientMetrics = kmsg.ConfigResourceType(16)
	ofGroup         = kmsg.ConfigResourceType(32)
)

func configCases(l *list) {
	listResourceCases(l)
	describeConfigCases(l)
	alterConfigCases(l)
	incrementalCases(l)
}

func node(r *run) string { return strconv.Itoa(int(r.env.node)) }

func listResourceCases(l *list) {
	ask := func(types ...kmsg.ConfigResourceType) func(r *run) kmsg.Request {
		return func(r *run) kmsg.Request {
			q := kmsg.NewPtrListConfigResourcesRequest()
			for _, t := range types {
				q.ResourceTypes = append(q.ResourceTypes, int8(t))
			}
			return q
		}
	}
	key := kmsg.ListConfigResources
	l.upTo(key, 0, "client metrics only", one(ask()))
	l.from(key, 1, "brokers and loggers", one(ask(ofBroker, ofBrokerLogger)))
	l.from(key, 1, "brokers twice", one(ask(ofBroker, ofBroker)))
	l.from(key, 1, "client metrics and groups", one(ask(ofClientMetrics, ofGroup)))
	l.from(key, 1, "unknown kind of resource", one(ask(ofBroker, 77)))
	l.from(key, 1, "some topics", func(r *run) {
		q := ask(ofTopic)(r)
		q.SetVersion(r.v)
		resp, _ := r.quiet(q).(*kmsg.ListConfigResourcesResponse)
		found := 0
		for i := 0; resp != nil && i < len(resp.ConfigResources); i++ {
			if c := resp.ConfigResources[i]; c.Type == int8(ofTopic) && (c.Name == "wd" || c.Name == "wd-empty") {
				found++
			}
		}
		r.note("topics found", strconv.Itoa(found)) // which others there are depends on what Kafka made for itself
	})
}

func describeConfigCases(l *list) {
	type resource = kmsg.DescribeConfigsRequestResource
	ask := func(extras bool, resources ...resource) *kmsg.DescribeConfigsRequest {
		q := kmsg.NewPtrDescribeConfigsRequest()
		q.IncludeSynonyms, q.IncludeDocumentation, q.Resources = extras, extras, resources
		return q
	}
	key := kmsg.DescribeConfigs
	l.add(key, "a topic, all names", one(func(r *run) kmsg.Request { return ask(false, resource{ResourceType: ofTopic, ResourceName: "wd"}) }))
	l.add(key, "every field: a topic with synonyms and documentation", one(func(r *run) kmsg.Request {
		q := ask(true, resource{ResourceType: ofTopic, ResourceName: "wd", ConfigNames: []string{"retention.ms", "cleanup.policy", "max.message.bytes", "no.such.config"}})
		q.UnknownTags.Set(9999, []byte("skip me"))
		return q
	}))
	l.add(key, "a topic with synonyms, all names", one(func(r *run) kmsg.Request {
		return ask(true, resource{ResourceType: ofTopic, ResourceName: "wd-compact"})
	}))
	l.add(key, "an empty list of names", one(func(r *run) kmsg.Request {
		return ask(false, resource{ResourceType: ofTopic, ResourceName: "wd", ConfigNames: []string{}})
	}))
	l.add(key, "the broker, all names", one(func(r *run) kmsg.Request { return ask(true, resource{ResourceType: ofBroker, ResourceName: node(r)}) }))
	l.add(key, "the broker, some names", one(func(r *run) kmsg.Request {
		return ask(true, resource{ResourceType: ofBroker, ResourceName: node(r), ConfigNames: []string{"log.retention.ms", "num.partitions", "log.dirs", "message.max.bytes", "no.such.config"}})
	}))
	l.add(key, "the default of all brokers", one(func(r *run) kmsg.Request { return ask(true, resource{ResourceType: ofBroker, ResourceName: ""}) }))
	l.add(key, "another broker", one(func(r *run) kmsg.Request { return ask(false, resource{ResourceType: ofBroker, ResourceName: "77"}) }))
	l.add(key, "a broker that is no number", one(func(r *run) kmsg.Request { return ask(false, resource{ResourceType: ofBroker, ResourceName: "first"}) }))
	l.add(key, "unknown topic beside a known one", one(func(r *run) kmsg.Request {
		return ask(false, resource{ResourceType: ofTopic, ResourceName: "nowhere"}, resource{ResourceType: ofTopic, ResourceName: "wd", ConfigNames: []string{"retention.ms"}})
	}))
	l.add(key, "a name that no topic may have", one(func(r *run) kmsg.Request { return ask(false, resource{ResourceType: ofTopic, ResourceName: "a b"}) }))
	l.add(key, "no topic name", one(func(r *run) kmsg.Request { return ask(false, resource{ResourceType: ofTopic}) }))
	l.add(key, "one topic twice", one(func(r *run) kmsg.Request {
		one := resource{ResourceType: ofTopic, ResourceName: "wd", ConfigNames: []string{"retention.ms"}}
		return ask(false, one, one)
	}))
	l.add(key, "the broker's loggers", one(func(r *run) kmsg.Request {
		return ask(false, resource{ResourceType: ofBrokerLogger, ResourceName: node(r)})
	}))
	l.add(key, "client metrics", one(func(r *run) kmsg.Request {
		return ask(false, resource{ResourceType: ofClientMetrics, ResourceName: "m"})
	}))
	l.add(key, "a group", one(func(r *run) kmsg.Request { return ask(false, resource{ResourceType: ofGroup, ResourceName: "g"}) }))
	l.add(key, "unknown kind of resource", one(func(r *run) kmsg.Request { return ask(false, resource{ResourceType: 77, ResourceName: "x"}) }))
	l.add(key, "nothing", one(func(r *run) kmsg.Request { return ask(false) }))
}

func alterConfigCases(l *list) {
	type resource = kmsg.AlterConfigsRequestResource
	type config = kmsg.AlterConfigsRequestResourceConfig
	ask := func(validate bool, resources ...resource) *kmsg.AlterConfigsRequest {
		q := kmsg.NewPtrAlterConfigsRequest()
		q.ValidateOnly, q.Resources = validate, resources
		return q
	}
	topic := func(name string, configs ...config) resource {
		return resource{ResourceType: ofTopic, ResourceName: name, Configs: configs}
	}
	broker := func(name string, configs ...config) resource {
		return resource{ResourceType: ofBroker, ResourceName: name, Configs: configs}
	}
	str := kmsg.StringPtr
	key := kmsg.AlterConfigs
	l.add(key, "every field: set, described, replaced, described", func(r *run) {
		name := fmt.Sprintf("wd-alter-%d", r.v)
		r.create(name, 1, "retention.ms", "5000")
		q := ask(false, topic(name, config{Name: "segment.ms", Value: str("60000")}, config{Name: "cleanup.policy", Value: str("delete")}))
		q.UnknownTags.Set(9999, []byte("skip me"))
		r.do(q)
		describeSettled(r, ofTopic, name, "segment.ms", "60000", "retention.ms", "segment.ms", "cleanup.policy")
	})
	l.add(key, "validation only", func(r *run) {
		r.do(ask(true, topic("wd", config{Name: "segment.ms", Value: str("60000")})))
		describeSettled(r, ofTopic, "wd", "segment.ms", "", "segment.ms")
	})
	for name, c := range ordered(badConfigs()) {
		l.add(key, name, one(func(r *run) kmsg.Request { return ask(true, topic("wd", config{Name: c.name, Value: c.value})) }))
	}
	l.add(key, "one name twice", one(func(r *run) kmsg.Request {
		return ask(true, topic("wd", config{Name: "segment.ms", Value: str("1")}, config{Name: "segment.ms", Value: str("2")}))
	}))
	l.add(key, "unknown topic beside a known one", one(func(r *run) kmsg.Request {
		return ask(true, topic("nowhere", config{Name: "segment.ms", Value: str("60000")}), topic("wd", config{Name: "segment.ms", Value: str("60000")}))
	}))
	l.add(key, "one topic twice", one(func(r *run) kmsg.Request { return ask(true, topic("wd"), topic("wd")) }))
	l.add(key, "a broker", one(func(r *run) kmsg.Request {
		return ask(true, broker(node(r), config{Name: "log.retention.ms", Value: str("60000")}))
	}))
	l.add(key, "a broker's fixed config", one(func(r *run) kmsg.Request {
		return ask(true, broker(node(r), config{Name: "log.dirs", Value: str("/x")}))
	}))
	l.add(key, "another broker", one(func(r *run) kmsg.Request {
		return ask(true, broker("77", config{Name: "log.retention.ms", Value: str("60000")}))
	}))
	l.add(key, "the default of all brokers", one(func(r *run) kmsg.Request {
		return ask(true, broker("", config{Name: "log.retention.ms", Value: str("60000")}))
	}))
	l.add(key, "unknown kind of resource", one(func(r *run) kmsg.Request { return ask(true, resource{ResourceType: 77, ResourceName: "x"}) }))
	l.add(key, "nothing", one(func(r *run) kmsg.Request { return ask(false) }))
}

type namedConfig struct {
	name  string
	value *string
}

func badConfigs() map[string]namedConfig {
	str := kmsg.StringPtr
	return map[string]namedConfig{
		"unknown config":         {"no.such.config", str("1")},
		"config not a number":    {"retention.ms", str("soon")},
		"config out of range":    {"min.cleanable.dirty.ratio", str("7")},
		"config null":            {"retention.ms", nil},
		"config empty":           {"cleanup.policy", str("")},
		"config not in the list": {"cleanup.policy", str("shred")},
		"config segment.bytes 1": {"segment.bytes", str("1")},
		"broker's name of it":    {"log.retention.ms", str("60000")},
	}
}

// describeSettled waits until a change shows (brokers learn of it a moment after the answer) and records what the configs then are.
func describeSettled(r *run, kind kmsg.ConfigResourceType, resource, name, want string, names ...string) {
	ask := func() kmsg.Request {
		q := kmsg.NewPtrDescribeConfigsRequest()
		q.Version, q.IncludeSynonyms = 3, true
		q.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: kind, ResourceName: resource, ConfigNames: names}}
		return q
	}
	if want != "" {
		ok := r.await(ask, func(resp kmsg.Response) bool {
			for _, res := range resp.(*kmsg.DescribeConfigsResponse).Resources {
				for _, c := range res.Configs {
					if c.Name == name && c.Value != nil && *c.Value == want {
						return true
					}
				}
			}
			return false
		})
		r.note(name+" became "+want, fmt.Sprint(ok))
	}
	r.do(ask())
}

func incrementalCases(l *list) {
	type resource = kmsg.IncrementalAlterConfigsRequestResource
	type config = kmsg.IncrementalAlterConfigsRequestResourceConfig
	const set, del, add, sub = kmsg.IncrementalAlterConfigOpSet, kmsg.IncrementalAlterConfigOpDelete, kmsg.IncrementalAlterConfigOpAppend, kmsg.IncrementalAlterConfigOpSubtract
	ask := func(validate bool, resources ...resource) *kmsg.IncrementalAlterConfigsRequest {
		q := kmsg.NewPtrIncrementalAlterConfigsRequest()
		q.ValidateOnly, q.Resources = validate, resources
		return q
	}
	topic := func(name string, configs ...config) resource {
		return resource{ResourceType: ofTopic, ResourceName: name, Configs: configs}
	}
	broker := func(name string, configs ...config) resource {
		return resource{ResourceType: ofBroker, ResourceName: name, Configs: configs}
	}
	str := kmsg.StringPtr
	key := kmsg.IncrementalAlterConfigs
	l.add(key, "every field: set, append, subtract, delete", func(r *run) {
		name := fmt.Sprintf("wd-inc-%d", r.v)
		r.create(name, 1)
		q := ask(false, topic(name, config{Name: "segment.ms", Op: set, Value: str("60000")}, config{Name: "cleanup.policy", Op: add, Value: str("compact")}))
		q.UnknownTags.Set(9999, []byte("skip me"))
		r.do(q)
		describeSettled(r, ofTopic, name, "segment.ms", "60000", "segment.ms", "cleanup.policy")
		r.do(ask(false, topic(name, config{Name: "cleanup.policy", Op: sub, Value: str("delete")}, config{Name: "segment.ms", Op: set, Value: str("70000")})))
		describeSettled(r, ofTopic, name, "segment.ms", "70000", "segment.ms", "cleanup.policy")
		r.do(ask(false, topic(name, config{Name: "cleanup.policy", Op: del}, config{Name: "segment.ms", Op: del})))
		describeSettled(r, ofTopic, name, "segment.ms", "604800000", "segment.ms", "cleanup.policy")
	})
	l.add(key, "validation only", func(r *run) {
		r.do(ask(true, topic("wd", config{Name: "segment.ms", Op: set, Value: str("60000")})))
		describeSettled(r, ofTopic, "wd", "segment.ms", "", "segment.ms")
	})
	for name, c := range ordered(badConfigs()) {
		l.add(key, name, one(func(r *run) kmsg.Request {
			return ask(true, topic("wd", config{Name: c.name, Op: set, Value: c.value}))
		}))
	}
	for name, c := range ordered(map[string]config{
		"append to what is no list":           {Name: "segment.ms", Op: add, Value: str("1")},
		"subtract from what is no list":       {Name: "segment.ms", Op: sub, Value: str("1")},
		"append of null":                      {Name: "cleanup.policy", Op: add},
		"append of what is there":             {Name: "cleanup.policy", Op: add, Value: str("delete")},
		"append of what is not allowed":       {Name: "cleanup.policy", Op: add, Value: str("shred")},
		"subtract what is not there":          {Name: "cleanup.policy", Op: sub, Value: str("compact")},
		"subtract the last":                   {Name: "cleanup.policy", Op: sub, Value: str("delete")},
		"delete what was never set":           {Name: "segment.ms", Op: del},
		"delete with a value":                 {Name: "segment.ms", Op: del, Value: str("5")},
		"delete an unknown config":            {Name: "no.such.config", Op: del},
		"unknown operation":                   {Name: "segment.ms", Op: 9, Value: str("1")},
		"set without a name":                  {Name: "", Op: set, Value: str("1")},
		"append to a list of throttled nodes": {Name: "leader.replication.throttled.replicas", Op: add, Value: str("0:1")},
	}) {
		l.add(key, name, one(func(r *run) kmsg.Request { return ask(true, topic("wd", c)) }))
	}
	l.add(key, "one name twice", one(func(r *run) kmsg.Request {
		return ask(true, topic("wd", config{Name: "segment.ms", Op: set, Value: str("1")}, config{Name: "segment.ms", Op: del}))
	}))
	l.add(key, "one topic twice", one(func(r *run) kmsg.Request {
		return ask(true, topic("wd", config{Name: "segment.ms", Op: set, Value: str("60000")}), topic("wd", config{Name: "retention.ms", Op: set, Value: str("60000")}))
	}))
	l.add(key, "unknown topic beside a known one", one(func(r *run) kmsg.Request {
		return ask(true, topic("nowhere", config{Name: "segment.ms", Op: set, Value: str("60000")}), topic("wd", config{Name: "segment.ms", Op: set, Value: str("60000")}))
	}))
	l.add(key, "no configs", one(func(r *run) kmsg.Request { return ask(true, topic("wd")) }))
	l.add(key, "a name that no topic may have", one(func(r *run) kmsg.Request {
		return ask(true, topic("a b", config{Name: "segment.ms", Op: set, Value: str("60000")}))
	}))
	l.add(key, "a broker's dynamic config and back", func(r *run) {
		r.do(ask(false, broker(node(r), config{Name: "log.cleaner.backoff.ms", Op: set, Value: str("14000")})))
		describeSettled(r, ofBroker, node(r), "log.cleaner.backoff.ms", "14000", "log.cleaner.backoff.ms")
		r.do(ask(false, broker(node(r), config{Name: "log.cleaner.backoff.ms", Op: del})))
		describeSettled(r, ofBroker, node(r), "log.cleaner.backoff.ms", "15000", "log.cleaner.backoff.ms")
	})
	l.add(key, "the default of all brokers and what topics see of it", func(r *run) {
		r.do(ask(false, broker("", config{Name: "log.retention.ms", Op: set, Value: str("7200000")})))
		describeSettled(r, ofTopic, "wd-empty", "retention.ms", "7200000", "retention.ms")
		r.do(ask(false, broker(node(r), config{Name: "log.retention.ms", Op: set, Value: str("7300000")})))
		describeSettled(r, ofTopic, "wd-empty", "retention.ms", "7300000", "retention.ms")
		r.do(ask(false, broker("", config{Name: "log.retention.ms", Op: del}), broker(node(r), config{Name: "log.retention.ms", Op: del})))
		describeSettled(r, ofTopic, "wd-empty", "retention.ms", "604800000", "retention.ms")
	})
	for name, c := range ordered(map[string]config{
		"a broker's fixed config":      {Name: "log.dirs", Op: set, Value: str("/x")},
		"a broker's node id":           {Name: "node.id", Op: set, Value: str("9")},
		"a broker's unknown config":    {Name: "no.such.config", Op: set, Value: str("1")},
		"a broker's config, bad value": {Name: "log.retention.ms", Op: set, Value: str("soon")},
		"a broker's config, no value":  {Name: "log.retention.ms", Op: set},
		"a topic's name of it":         {Name: "retention.ms", Op: set, Value: str("60000")},
		"a config per broker only":     {Name: "listeners", Op: set, Value: str("PLAINTEXT://127.0.0.1:1")},
		"a broker's min.insync":        {Name: "min.insync.replicas", Op: set, Value: str("1")},
		"a broker's message.max.bytes": {Name: "message.max.bytes", Op: set, Value: str("2000000")},
		"a broker's num.partitions":    {Name: "num.partitions", Op: set, Value: str("3")},
		"a broker's threads, too many": {Name: "num.io.threads", Op: set, Value: str("100000")},
		"a broker's listener config":   {Name: "listener.name.plaintext.max.connections", Op: set, Value: str("9")},
	}) {
		l.add(key, name, one(func(r *run) kmsg.Request { return ask(true, broker(node(r), c)) }))
	}
	l.add(key, "another broker", one(func(r *run) kmsg.Request {
		return ask(true, broker("77", config{Name: "log.retention.ms", Op: set, Value: str("60000")}))
	}))
	l.add(key, "a broker that is no number", one(func(r *run) kmsg.Request {
		return ask(true, broker("first", config{Name: "log.retention.ms", Op: set, Value: str("60000")}))
	}))
	l.add(key, "the broker's loggers, unknown", one(func(r *run) kmsg.Request {
		return ask(true, resource{ResourceType: ofBrokerLogger, ResourceName: node(r), Configs: []config{{Name: "no.such.logger", Op: set, Value: str("INFO")}}})
	}))
	l.add(key, "client metrics", one(func(r *run) kmsg.Request {
		return ask(true, resource{ResourceType: ofClientMetrics, ResourceName: "m", Configs: []config{{Name: "interval.ms", Op: set, Value: str("1000")}}})
	}))
	l.add(key, "a group", one(func(r *run) kmsg.Request {
		return ask(true, resource{ResourceType: ofGroup, ResourceName: "g", Configs: []config{{Name: "consumer.session.timeout.ms", Op: set, Value: str("50000")}}})
	}))
	l.add(key, "unknown kind of resource", one(func(r *run) kmsg.Request {
		return ask(true, resource{ResourceType: 77, ResourceName: "x", Configs: []config{{Name: "a", Op: set, Value: str("1")}}})
	}))
	l.add(key, "nothing", one(func(r *run) kmsg.Request { return ask(false) }))
}
