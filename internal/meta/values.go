package meta

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// Every value is a JSON object with its version in "v", so that people and other tools can read it. A build reads the versions
// it knows and refuses the rest by name: guessing at a newer one could lose what it says.
const valueVersion = 1

// Bounds of what a value may say; whatever lies outside is refused before anything is built from it.
const (
	MaxPartitions = 1 << 20 // of one topic
	MaxReplicas   = 1 << 10 // of one partition
)

// NewerVersionError says that a value was written by a newer build.
type NewerVersionError struct {
	Key     string
	Version int
}

func (e *NewerVersionError) Error() string {
	return fmt.Sprintf("metadata key %q has version %d, this build knows up to %d; start a newer build on this data, the one that wrote it or later", e.Key, e.Version, valueVersion)
}

// ValueError says that a value is not what its key demands.
type ValueError struct {
	Key string
	Err error
}

func (e *ValueError) Error() string {
	return fmt.Sprintf("metadata key %q holds a value that cannot be read: %v", e.Key, e.Err)
}

func (e *ValueError) Unwrap() error { return e.Err }

// Cluster is the value of the cluster key.
type Cluster struct {
	V         int    `json:"v"`
	ClusterID string `json:"cluster_id"` // Kafka's form: 22 characters of URL-safe base64
}

// Listener is one address clients or brokers reach a broker at.
type Listener struct {
	Name     string `json:"name"`     // "PLAINTEXT", "EXTERNAL"
	Protocol string `json:"protocol"` // "PLAINTEXT", "SSL", ...
	Host     string `json:"host"`     // as advertised
	Port     int32  `json:"port"`
}

// Registration is the value of a broker's key.
type Registration struct {
	V           int        `json:"v"`
	Incarnation string     `json:"incarnation"` // fresh with each start of the process
	Listeners   []Listener `json:"listeners"`
	Rack        string     `json:"rack,omitempty"`
	Fenced      bool       `json:"fenced,omitempty"`   // may hold replicas, but neither lead nor join an ISR; hidden from clients
	Draining    bool       `json:"draining,omitempty"` // in controlled shutdown: leads nothing new
}

// TopicValue is the value of a topic's key.
type TopicValue struct {
	V          int    `json:"v"`
	Name       string `json:"name"`
	Partitions int32  `json:"partitions"`
}

// NameValue is the value of a name's guard.
type NameValue struct {
	V    int           `json:"v"`
	Name string        `json:"name"`
	ID   kafka.TopicID `json:"id"`
}

// PartitionValue is the value of a partition's key.
type PartitionValue struct {
	V              int            `json:"v"`
	Replicas       []kafka.NodeID `json:"replicas"` // the first is the preferred leader
	ISR            []kafka.NodeID `json:"isr"`
	Leader         kafka.NodeID   `json:"leader"`               // -1 none
	LeaderEpoch    int32          `json:"leader_epoch"`         // +1 whenever the leader is set anew; never falls for a topic id
	PartitionEpoch int32          `json:"partition_epoch"`      // +1 with every change
	Adding         []kafka.NodeID `json:"adding,omitempty"`     // of a reassignment under way
	Removing       []kafka.NodeID `json:"removing,omitempty"`   // of a reassignment under way
	ELR            []kafka.NodeID `json:"elr,omitempty"`        // eligible leader replicas, KIP-966
	LastKnownELR   []kafka.NodeID `json:"last_known,omitempty"` // KIP-966
	Recovering     bool           `json:"recovering,omitempty"` // leader was elected uncleanly and has not confirmed yet
}

// configValue is the value of a configuration's key.
type configValue struct {
	V        int               `json:"v"`
	Settings map[string]string `json:"settings"`
}

// nextProducerValue is the value of the producer id allocator.
type nextProducerValue struct {
	V    int   `json:"v"`
	Next int64 `json:"next"`
}

// encode writes a value; the types above cannot fail.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("meta: encoding " + fmt.Sprintf("%T", v) + ": " + err.Error())
	}
	return b
}

// decode reads one JSON object into v, strictly: no unknown field, nothing behind it. version points at v's V.
func decode(key string, b []byte, v any, version *int) error {
	if len(b) > ValueBytesMax {
		return &ValueError{key, fmt.Errorf("%d bytes, the limit is %d", len(b), ValueBytesMax)}
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil && *version == valueVersion {
		if _, err := d.Token(); !errors.Is(err, io.EOF) {
			return &ValueError{key, errors.New("more follows the value")}
		}
		return nil
	}
	// A newer version is allowed to have fields that do not fit v: look at the version alone before blaming the bytes.
	var head struct {
		V int `json:"v"`
	}
	if json.Unmarshal(b, &head) == nil && head.V > valueVersion {
		return &NewerVersionError{key, head.V}
	}
	if err == nil {
		err = fmt.Errorf("version %d", *version)
	}
	return &ValueError{key, err}
}

// EncodeCluster writes the cluster's value.
func EncodeCluster(clusterID string) []byte { return encode(Cluster{valueVersion, clusterID}) }

func decodeCluster(key string, b []byte) (Cluster, error) {
	var v Cluster
	if err := decode(key, b, &v, &v.V); err != nil {
		return v, err
	}
	if v.ClusterID == "" || len(v.ClusterID) > 64 {
		return v, &ValueError{key, errors.New("the cluster id is empty or too long")}
	}
	return v, nil
}

// EncodeRegistration writes a broker's value.
func EncodeRegistration(v Registration) []byte { v.V = valueVersion; return encode(v) }

func decodeRegistration(key string, b []byte) (Registration, error) {
	var v Registration
	if err := decode(key, b, &v, &v.V); err != nil {
		return v, err
	}
	for i, l := range v.Listeners {
		if l.Port < 0 || l.Port > 65535 {
			return v, &ValueError{key, fmt.Errorf("listener %q has port %d", l.Name, l.Port)}
		}
		if slices.ContainsFunc(v.Listeners[:i], func(o Listener) bool { return o.Name == l.Name }) {
			return v, &ValueError{key, fmt.Errorf("listener %q twice", l.Name)}
		}
	}
	return v, nil
}

// EncodeTopic writes a topic's value.
func EncodeTopic(name string, partitions int32) []byte {
	return encode(TopicValue{valueVersion, name, partitions})
}

func decodeTopic(key string, b []byte) (TopicValue, error) {
	v, ok := fastTopic(b)
	if !ok {
		v = TopicValue{}
		if err := decode(key, b, &v, &v.V); err != nil {
			return v, err
		}
	}
	if err := kafka.CheckTopicName(v.Name); err != nil {
		return v, &ValueError{key, err}
	}
	if v.Partitions < 1 || v.Partitions > MaxPartitions {
		return v, &ValueError{key, fmt.Errorf("%d partitions", v.Partitions)}
	}
	return v, nil
}

// EncodeName writes the value of a name's guard.
func EncodeName(name string, id kafka.TopicID) []byte {
	return encode(NameValue{valueVersion, name, id})
}

// EncodePartition writes a partition's value.
func EncodePartition(v PartitionValue) []byte { v.V = valueVersion; return encode(v) }

func decodePartition(key string, b []byte) (PartitionValue, error) {
	v, ok := fastPartition(b)
	if !ok {
		v = PartitionValue{}
		if err := decode(key, b, &v, &v.V); err != nil {
			return v, err
		}
	}
	if why := v.fault(); why != "" {
		return v, &ValueError{key, errors.New(why)}
	}
	return v, nil
}

// fault says what no partition may be, or "".
func (v *PartitionValue) fault() string {
	if len(v.Replicas) == 0 || len(v.Replicas) > MaxReplicas {
		return fmt.Sprintf("%d replicas", len(v.Replicas))
	}
	for i, r := range v.Replicas {
		if r < 0 || slices.Contains(v.Replicas[:i], r) {
			return fmt.Sprintf("replica %d is negative or listed twice", r)
		}
	}
	for _, list := range [...]struct {
		name string
		ids  []kafka.NodeID
	}{{"ISR", v.ISR}, {"adding", v.Adding}, {"removing", v.Removing}, {"ELR", v.ELR}, {"last known ELR", v.LastKnownELR}} {
		for i, r := range list.ids {
			if slices.Contains(list.ids[:i], r) {
				return fmt.Sprintf("%s lists %d twice", list.name, r)
			}
			if !slices.Contains(v.Replicas, r) {
				return fmt.Sprintf("%s lists %d, which is no replica", list.name, r)
			}
		}
	}
	switch {
	case v.Leader != -1 && !slices.Contains(v.ISR, v.Leader):
		return fmt.Sprintf("leader %d is not in the ISR", v.Leader)
	case v.LeaderEpoch < 0 || v.PartitionEpoch < 0:
		return "an epoch is negative"
	}
	return ""
}

// EncodeConfig writes the settings of a resource.
func EncodeConfig(s Settings) []byte {
	m := make(map[string]string, len(s))
	for _, e := range s {
		m[e.Name] = e.Value
	}
	return encode(configValue{valueVersion, m}) // a JSON map is written with sorted keys
}

func decodeConfig(key string, b []byte) (Settings, error) {
	var v configValue
	if err := decode(key, b, &v, &v.V); err != nil {
		return nil, err
	}
	return SettingsOf(v.Settings), nil
}

// EncodeNextProducer writes the producer id allocator.
func EncodeNextProducer(next int64) []byte { return encode(nextProducerValue{valueVersion, next}) }

func decodeNextProducer(key string, b []byte) (int64, error) {
	var v nextProducerValue
	if err := decode(key, b, &v, &v.V); err != nil {
		return 0, err
	}
	if v.Next < 0 {
		return 0, &ValueError{key, fmt.Errorf("next producer id %d", v.Next)}
	}
	return v.Next, nil
}

// Setting is one configured value.
type Setting struct {
	Name, Value string
}

// Settings are the values set on one resource, sorted by name, each name once. They are never changed in place.
type Settings []Setting

// SettingsOf makes Settings of a map.
func SettingsOf(m map[string]string) Settings {
	s := make(Settings, 0, len(m))
	for name, value := range m { // any order: sorted below
		s = append(s, Setting{name, value})
	}
	slices.SortFunc(s, func(a, b Setting) int { return strings.Compare(a.Name, b.Name) })
	return s
}

func (s Settings) find(name string) (int, bool) {
	return slices.BinarySearchFunc(s, name, func(e Setting, name string) int { return strings.Compare(e.Name, name) })
}

// Get returns the value set for name.
func (s Settings) Get(name string) (string, bool) {
	if i, ok := s.find(name); ok {
		return s[i].Value, true
	}
	return "", false
}

// With returns the settings with name set to value.
func (s Settings) With(name, value string) Settings {
	i, ok := s.find(name)
	if !ok {
		return slices.Insert(slices.Clone(s), i, Setting{name, value})
	}
	c := slices.Clone(s)
	c[i].Value = value
	return c
}

// Without returns the settings with name not set.
func (s Settings) Without(name string) Settings {
	i, ok := s.find(name)
	if !ok {
		return s
	}
	return slices.Delete(slices.Clone(s), i, i+1)
}

// Map returns a copy as a map.
func (s Settings) Map() map[string]string {
	m := make(map[string]string, len(s))
	for _, e := range s {
		m[e.Name] = e.Value
	}
	return m
}
