package controller

import (
	"slices"
	"strconv"
	"strings"

	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/meta"
)

// ConfigOp is Kafka's number of an operation on a setting.
type ConfigOp int8

// The operations.
const (
	ConfigSet      ConfigOp = 0
	ConfigDelete   ConfigOp = 1
	ConfigAppend   ConfigOp = 2 // to a list, what it does not hold yet
	ConfigSubtract ConfigOp = 3 // from a list
)

// AlterConfigsRequest asks for other settings, by AlterConfigs or by IncrementalAlterConfigs.
type AlterConfigsRequest struct {
	Resources    []AlterResource
	ValidateOnly bool
}

// AlterResource is one resource of the request.
type AlterResource struct {
	Type    meta.ResourceType
	Name    string // a topic; a broker's id; "" for all brokers
	Configs []AlterConfig
}

// AlterConfig is one setting of a resource.
type AlterConfig struct {
	Name  string
	Op    ConfigOp // of no meaning to AlterConfigs
	Value *string  // nil is refused, but for ConfigDelete
}

// AlterResult is what became of one resource: all of its settings were taken, or none.
type AlterResult struct {
	Type meta.ResourceType
	Name string
	Result
}

// AlterConfigs makes the settings named in the request the only ones of each resource. One result per resource, in order.
func (c *Controller) AlterConfigs(im *meta.Image, req AlterConfigsRequest) ([]AlterResult, meta.Txn) {
	return c.alter(im, req, func(r AlterResource, _ meta.Settings) (meta.Settings, Result) {
		m := make(map[string]string, len(r.Configs))
		for _, s := range r.Configs {
			if s.Value != nil { // alter has refused these
				m[s.Name] = *s.Value
			}
		}
		return meta.SettingsOf(m), Result{}
	}, func(AlterConfig) bool { return false })
}

// IncrementalAlterConfigs changes the settings named in the request and keeps the others. One result per resource, in order.
func (c *Controller) IncrementalAlterConfigs(im *meta.Image, req AlterConfigsRequest) ([]AlterResult, meta.Txn) {
	return c.alter(im, req, c.applyOps, func(s AlterConfig) bool { return s.Op == ConfigDelete })
}

// alter does what both have in common. change computes a resource's new settings; nullable says which may lack a value.
func (c *Controller) alter(im *meta.Image, req AlterConfigsRequest, change func(AlterResource, meta.Settings) (meta.Settings, Result), nullable func(AlterConfig) bool) ([]AlterResult, meta.Txn) {
	count := make(map[meta.Resource]int, len(req.Resources))
	for _, r := range req.Resources {
		count[meta.Resource{Type: r.Type, Name: r.Name}]++
	}
	results := make([]AlterResult, len(req.Resources))
	var txn meta.Txn
	for i, r := range req.Resources {
		res := &results[i]
		res.Type, res.Name = r.Type, r.Name
		if count[meta.Resource{Type: r.Type, Name: r.Name}] > 1 {
			res.Result = failed(kafka.InvalidRequest, "Each resource must appear at most once.")
			continue
		}
		res.Result = c.alterOne(im, r, change, nullable, &txn)
	}
	if req.ValidateOnly {
		txn = meta.Txn{}
	}
	return results, txn
}

func (c *Controller) alterOne(im *meta.Image, r AlterResource, change func(AlterResource, meta.Settings) (meta.Settings, Result), nullable func(AlterConfig) bool, txn *meta.Txn) Result {
	seen := make(map[string]bool, len(r.Configs))
	var null []string
	for _, s := range r.Configs {
		if seen[s.Name] {
			return failed(kafka.InvalidRequest, "Error due to duplicate config keys: %s", s.Name)
		}
		seen[s.Name] = true
		if s.Value == nil && !nullable(s) {
			null = append(null, s.Name)
		}
	}
	if len(null) > 0 {
		return failed(kafka.InvalidRequest, "Null value not supported for : %s", strings.Join(null, ", "))
	}
	resource := meta.Resource{Type: r.Type, Name: r.Name}
	if res := c.checkResource(&resource); !res.OK() {
		return res
	}
	var mod meta.Revision
	old := meta.Settings(nil)
	if cfg := im.Config(resource); cfg != nil {
		mod, old = cfg.ModRevision, cfg.Settings
	}
	now, res := change(r, old)
	if !res.OK() {
		return res
	}
	if now, res = c.validate(resource, now); !res.OK() {
		return res
	}
	if resource.Type == meta.TopicResource {
		topic := im.Topic(r.Name)
		if topic == nil {
			return failedPlain(kafka.UnknownTopicOrPartition)
		}
		if slices.Equal(old, now) {
			return Result{}
		}
		txn.If = append(txn.If, meta.Cond{Key: meta.TopicKey(topic.ID), Mod: topic.ModRevision})
	}
	// A broker's settings are written even if they are the same, which lets it read again the files they name.
	switch key := resource.Key(); {
	case len(now) > 0:
		txn.If = append(txn.If, meta.Cond{Key: key, Mod: mod})
		txn.Do = append(txn.Do, meta.Put(key, meta.EncodeConfig(now)))
	case mod > 0:
		txn.If = append(txn.If, meta.Cond{Key: key, Mod: mod})
		txn.Do = append(txn.Do, meta.Delete(key))
	}
	return Result{}
}

// checkResource judges type and name, and brings a broker's name into the one form that keys have.
func (c *Controller) checkResource(r *meta.Resource) Result {
	switch r.Type {
	case meta.TopicResource:
		if r.Name == "" {
			return failed(kafka.InvalidRequest, "Default topic resources are not allowed.")
		}
		if err := kafka.CheckTopicName(r.Name); err != nil {
			return failed(kafka.InvalidTopicException, "%v", err)
		}
	case meta.BrokerResource:
		if r.Name == "" {
			return Result{}
		}
		id, err := strconv.ParseInt(r.Name, 10, 32)
		if err != nil {
			return failed(kafka.InvalidRequest, "Node id must be an integer, but it is: %s", r.Name)
		}
		if kafka.NodeID(id) != c.Settings.NodeID {
			return failed(kafka.InvalidRequest, "Unexpected broker id, expected %d or empty string, but received %s", c.Settings.NodeID, r.Name)
		}
		*r = meta.BrokerConfigs(kafka.NodeID(id))
	default:
		return failed(kafka.InvalidRequest, "Unknown resource type %d: settings of topics (2) and brokers (4) can be changed", int8(r.Type))
	}
	return Result{}
}

// validate judges all settings of a resource and returns what to keep of them.
func (c *Controller) validate(r meta.Resource, s meta.Settings) (meta.Settings, Result) {
	size := 0
	for _, e := range s {
		size += len(e.Name) + len(e.Value)
	}
	if size > settingsBytesMax {
		return nil, failed(kafka.InvalidConfig, "the settings take %d bytes, the limit of one resource is %d", size, settingsBytesMax)
	}
	var keep map[string]string
	var err error
	code := kafka.InvalidConfig
	if r.Type == meta.TopicResource {
		keep, err = c.Configs.ValidateTopic(s.Map())
	} else {
		keep, err = c.Configs.ValidateBroker(r.Name != "", s.Map())
		code = kafka.InvalidRequest // as Kafka does, KAFKA-13609
	}
	if err != nil {
		return nil, failed(code, "%v", err)
	}
	return meta.SettingsOf(keep), Result{}
}

// applyOps is IncrementalAlterConfigs on one resource.
func (c *Controller) applyOps(r AlterResource, now meta.Settings) (meta.Settings, Result) {
	for _, s := range r.Configs {
		switch s.Op {
		case ConfigSet:
			now = now.With(s.Name, *s.Value)
		case ConfigDelete:
			now = now.Without(s.Name)
		case ConfigAppend, ConfigSubtract:
			isList, fallback := c.Configs.List(r.Type, s.Name)
			if !isList {
				verb := "append to"
				if s.Op == ConfigSubtract {
					verb = "subtract from"
				}
				return nil, failed(kafka.InvalidConfig, "Can't %s key %s because its type is not LIST.", verb, s.Name)
			}
			current, ok := now.Get(s.Name)
			if !ok {
				current = fallback
			}
			now = now.With(s.Name, changeList(current, *s.Value, s.Op))
		default:
			return nil, failed(kafka.InvalidRequest, "Unknown operations type %d", s.Op)
		}
	}
	return now, Result{}
}

// changeList appends to or subtracts from a comma separated list. "" is the empty list.
func changeList(list, values string, op ConfigOp) string {
	items := splitList(list)
	for _, v := range splitList(values) {
		i := slices.Index(items, v)
		switch {
		case op == ConfigAppend && i < 0:
			items = append(items, v)
		case op == ConfigSubtract && i >= 0:
			items = slices.Delete(items, i, i+1)
		}
	}
	return strings.Join(items, ",")
}

func splitList(s string) (items []string) {
	for v := range strings.SplitSeq(s, ",") {
		if v = strings.TrimSpace(v); v != "" {
			items = append(items, v)
		}
	}
	return items
}

// settingsBytesMax bounds all settings of one resource, so that they fit into one value whatever characters they hold: JSON
// writes some as six.
const settingsBytesMax = 64 << 10
