// Package controller decides how the metadata changes: which topics may be made and where their replicas lie, which settings
// are taken, which producer ids a broker gets.
//
// Every decision is a method of Controller: image and request in, one result per item of the request and one transaction out.
// The transaction names, as conditions, what the decision rested on, so that it commits only if that still holds; otherwise
// the whole decision is made again on a newer image. A request of several items commits all good ones at once and answers an
// error for each bad one. An empty transaction means that there is nothing to write.
//
// Core: no clock, goroutine, lock, random, I/O or log in here. Fresh topic ids and the start numbers of placement come with
// the request. Package driver runs it. Codes and their conditions follow Apache Kafka's controller.
//
// Start reading at topics_create.go.
package controller

import (
	"fmt"

	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/meta"
)

// Settings are the properties the controller goes by. They hold for the life of the process.
type Settings struct {
	NodeID                   kafka.NodeID // this broker; only its own per-broker settings can be changed through it
	NumPartitions            int32        // num.partitions: of a topic created with -1; at least 1
	DefaultReplicationFactor int16        // default.replication.factor: of a topic created with -1; at least 1
	DeleteTopicEnable        bool         // delete.topic.enable
	PartitionsPerTopicMax    int32        // a topic never gets more; 1 to meta.MaxPartitions
	PartitionsPerRequestMax  int32        // one request never creates more in all (Kafka: 10,000); at least 1
}

// DefaultSettings are Kafka's defaults.
func DefaultSettings(node kafka.NodeID) Settings {
	return Settings{
		NodeID:                   node,
		NumPartitions:            1,
		DefaultReplicationFactor: 1,
		DeleteTopicEnable:        true,
		PartitionsPerTopicMax:    100_000,
		PartitionsPerRequestMax:  10_000,
	}
}

// Validate returns what is wrong with the settings, all at once.
func (s *Settings) Validate() (faults []error) {
	check := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	check(s.NodeID >= 0, "node.id is %d, it must not be negative", s.NodeID)
	check(s.NumPartitions >= 1, "num.partitions is %d, it must be at least 1", s.NumPartitions)
	check(s.DefaultReplicationFactor >= 1, "default.replication.factor is %d, it must be at least 1", s.DefaultReplicationFactor)
	check(s.PartitionsPerTopicMax >= 1 && s.PartitionsPerTopicMax <= meta.MaxPartitions, "the limit of partitions per topic is %d, it must be 1 to %d", s.PartitionsPerTopicMax, meta.MaxPartitions)
	check(s.PartitionsPerRequestMax >= 1, "the limit of partitions per request is %d, it must be at least 1", s.PartitionsPerRequestMax)
	return faults
}

// ConfigRules knows the names and values of settings. It must be a pure function of its arguments.
type ConfigRules interface {
	// ValidateTopic judges all overrides a topic would have, names, values, and how they go together, and returns what to
	// keep: the same names, the values perhaps in a tidier form. The error's text is for the client.
	ValidateTopic(overrides map[string]string) (keep map[string]string, err error)
	// ValidateBroker does the same for all dynamic settings of one broker (perBroker) or of all brokers together. It refuses
	// names that cannot be changed while a broker runs, and those of one broker only when perBroker is false.
	ValidateBroker(perBroker bool, settings map[string]string) (keep map[string]string, err error)
	// List reports whether the setting is a list, which one may append to and subtract from, and what it is where nothing
	// is set.
	List(t meta.ResourceType, name string) (isList bool, fallback string)
}

// Controller decides. It holds no state; a copy is as good.
type Controller struct {
	Settings Settings
	Configs  ConfigRules
}

// Result is what became of one item of a request. Message says what was wrong, for the client; it is "" on success.
type Result struct {
	Code    kafka.ErrorCode
	Message string
}

// OK reports success.
func (r Result) OK() bool { return r.Code == kafka.None }

func failed(code kafka.ErrorCode, format string, args ...any) Result {
	return Result{code, fmt.Sprintf(format, args...)}
}

// failedPlain uses the code's own words.
func failedPlain(code kafka.ErrorCode) Result { return Result{code, code.Message()} }
