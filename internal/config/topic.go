package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// TopicConfig is the settings of one topic, resolved: its overrides, then the broker's defaults. Numbers keep Kafka's units, ms
// and bytes; the largest long means never, -1 no limit where the setting allows it.
type TopicConfig struct {
	// CleanupDelete and CleanupCompact are the two halves of cleanup.policy; neither keeps everything.
	CleanupDelete, CleanupCompact bool

	CompressionType string `config:"compression.type"`
	GzipLevel       int32  `config:"compression.gzip.level"`
	LZ4Level        int32  `config:"compression.lz4.level"`
	ZstdLevel       int32  `config:"compression.zstd.level"`

	DeleteRetentionMs      int64   `config:"delete.retention.ms"`
	FileDeleteDelayMs      int64   `config:"file.delete.delay.ms"`
	FlushMessages          int64   `config:"flush.messages"`
	FlushMs                int64   `config:"flush.ms"`
	IndexIntervalBytes     int32   `config:"index.interval.bytes"`
	MaxCompactionLagMs     int64   `config:"max.compaction.lag.ms"`
	MinCompactionLagMs     int64   `config:"min.compaction.lag.ms"`
	MinCleanableDirtyRatio float64 `config:"min.cleanable.dirty.ratio"`
	MaxMessageBytes        int32   `config:"max.message.bytes"`
	TimestampBeforeMaxMs   int64   `config:"message.timestamp.before.max.ms"`
	TimestampAfterMaxMs    int64   `config:"message.timestamp.after.max.ms"`
	MinInsyncReplicas      int32   `config:"min.insync.replicas"`
	Preallocate            bool    `config:"preallocate"`
	RetentionBytes         int64   `config:"retention.bytes"`
	RetentionMs            int64   `config:"retention.ms"`
	SegmentIndexBytes      int32   `config:"segment.index.bytes"`
	SegmentJitterMs        int64   `config:"segment.jitter.ms"`
	SegmentMs              int64   `config:"segment.ms"`
	UncleanElection        bool    `config:"unclean.leader.election.enable"`
	// SegmentBytes is segment.bytes, or internal.segment.bytes where a test sets it.
	SegmentBytes int32
	// LogAppendTime is message.timestamp.type.
	LogAppendTime bool
}

// Topic resolves the settings of a topic with these overrides. Overrides that are not valid count as absent: they were checked
// when they were set, and a newer version may have narrowed the range since.
func (c *Config) Topic(overrides map[string]string) TopicConfig {
	var t TopicConfig
	value := func(name string) string { return c.topicValue(overrides, name) }
	fillStruct(reflect.ValueOf(&t).Elem(), topicTable, value)
	policy := splitList(value("cleanup.policy"))
	t.CleanupDelete, t.CleanupCompact = slices.Contains(policy, "delete"), slices.Contains(policy, "compact")
	t.LogAppendTime = value("message.timestamp.type") == "LogAppendTime"
	size := value("internal.segment.bytes")
	if size == "" {
		size = value("segment.bytes")
	}
	n, _ := strconv.ParseInt(size, 10, 32)
	t.SegmentBytes = int32(n)
	return t
}

// topicValue is the effective text of a topic setting, "" when it has none.
func (c *Config) topicValue(overrides map[string]string, name string) string {
	row := topicTable.byName[name]
	if v, ok := overrides[name]; ok {
		if v, wrong := row.canonical(v); wrong == "" {
			return v
		}
	}
	for _, s := range row.Synonyms {
		if v, ok := c.given(s.Name); ok {
			return s.convert(v)
		}
	}
	return row.Default
}

// convert is the topic's value for a broker value.
func (s Synonym) convert(v string) string {
	if s.Factor == 1 {
		return v
	}
	n, err := strconv.ParseInt(v, 10, 64)
	switch {
	case err != nil:
		return v
	case n < 0:
		return "-1"
	}
	return strconv.FormatInt(n*s.Factor, 10)
}

// ValidateTopic checks the whole set of overrides a topic would have, as CreateTopics and AlterConfigs send it, and returns what
// to store. All faults come in one *Error; a nil value is one.
func (c *Config) ValidateTopic(overrides map[string]*string) (map[string]string, error) {
	e := &Error{What: "topic configuration"}
	out := make(map[string]string, len(overrides))
	for _, name := range slices.Sorted(maps.Keys(overrides)) {
		row := topicTable.byName[name]
		if row == nil {
			e.Faults = append(e.Faults, Fault{Name: name, Reason: unknownTopicSetting(name)})
			continue
		}
		if row.Gone {
			e.Faults = append(e.Faults, Fault{Name: name, Reason: row.NoEffect})
			continue
		}
		if overrides[name] == nil {
			e.Faults = append(e.Faults, Fault{Name: name, Reason: "has no value; leave it out to use the default"})
			continue
		}
		value, wrong := row.canonical(*overrides[name])
		if wrong != "" {
			e.Faults = append(e.Faults, Fault{Name: name, Value: clip(*overrides[name]), Reason: wrong})
			continue
		}
		out[name] = value
	}
	if len(e.Faults) == 0 {
		if cross := c.crossCheckTopic(out); cross != nil {
			e.Faults = cross.Faults
		}
	}
	if len(e.Faults) > 0 {
		return nil, e
	}
	return out, nil
}

// crossCheckTopic looks at settings that bound each other.
func (c *Config) crossCheckTopic(overrides map[string]string) *Error {
	t := c.Topic(overrides)
	if t.MinCompactionLagMs > t.MaxCompactionLagMs {
		return &Error{What: "topic configuration", Faults: []Fault{{
			Name:   "min.compaction.lag.ms",
			Value:  strconv.FormatInt(t.MinCompactionLagMs, 10),
			Reason: fmt.Sprintf("must not be above max.compaction.lag.ms, which is %d", t.MaxCompactionLagMs),
		}}}
	}
	return nil
}

func unknownTopicSetting(name string) string {
	if row := brokerTable.byName[name]; row != nil {
		if row.Topic != "" {
			return "it is a broker setting; topics call it " + row.Topic
		}
		return "it is a broker setting, topics do not have it"
	}
	near := nearest(topicTable, clip(name))
	if row := brokerTable.byName["log."+name]; row != nil && row.Topic != "" {
		near = row.Topic // retention.hours has no counterpart of its own
	}
	if near != "" {
		return "there is no such topic setting; did you mean " + near + "?"
	}
	return "there is no such topic setting"
}

// clip keeps what a client sent short enough for an error message.
func clip(s string) string {
	const most = 200
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}
