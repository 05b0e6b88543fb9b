package server

import (
	"fmt"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/config"
	"github.com/barnabas-mq/barnabas/internal/controller"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/meta"
)

// DescribeConfigs (32)
//
// v1  synonyms, sources
// v3  documentation, types (KIP-569)
// v4  flexible
func describeConfigs(s *Server, r *Request, in kmsg.Request) kmsg.Response {
	q := in.(*kmsg.DescribeConfigsRequest)
	resp := q.ResponseKind().(*kmsg.DescribeConfigsResponse)
	// A resource is answered once: a few bytes that ask must not become kilobytes of answer as often as they are repeated.
	type resource struct {
		kind kmsg.ConfigResourceType
		name string
	}
	answered := make(map[resource]bool, len(q.Resources))
	for i := range q.Resources {
		res := &q.Resources[i]
		this := resource{res.ResourceType, res.ResourceName}
		if answered[this] {
			continue
		}
		answered[this] = true
		rr := kmsg.NewDescribeConfigsResponseResource()
		rr.ResourceType, rr.ResourceName = res.ResourceType, res.ResourceName
		entries, code, text := s.configEntries(res)
		text = clip(text)
		rr.ErrorCode, rr.ErrorMessage = int16(code), &text // empty on success, and where the code says it all, as in Kafka
		if code != kafka.None {
			s.deps.Metrics.Error(r.Key, code)
		}
		for k := range entries {
			rr.Configs = append(rr.Configs, configRow(q, &entries[k]))
		}
		resp.Resources = append(resp.Resources, rr)
	}
	return resp
}

func (s *Server) configEntries(res *kmsg.DescribeConfigsRequestResource) ([]config.Entry, kafka.ErrorCode, string) {
	cfg := s.deps.Config()
	// No list of names, or an empty one, asks for all.
	names := res.ConfigNames
	switch res.ResourceType {
	case kmsg.ConfigResourceTypeTopic:
		if err := kafka.CheckTopicName(res.ResourceName); err != nil {
			return nil, kafka.InvalidTopicException, err.Error()
		}
		im := s.deps.Cluster.Image()
		if im.Topic(res.ResourceName) == nil {
			return nil, kafka.UnknownTopicOrPartition, ""
		}
		return cfg.DescribeTopic(im.Settings(meta.TopicConfigs(res.ResourceName)).Map(), names), kafka.None, ""
	case kmsg.ConfigResourceTypeBroker:
		if res.ResourceName == "" {
			return cfg.DescribeBrokerDefault(names), kafka.None, ""
		}
		if code, text := s.checkBrokerName(res.ResourceName); code != kafka.None {
			return nil, code, text
		}
		return cfg.DescribeBroker(names), kafka.None, ""
	case kmsg.ConfigResourceTypeBrokerLogger:
		if code, text := s.checkBrokerName(res.ResourceName); code != kafka.None {
			return nil, code, text
		}
		return nil, kafka.None, "" // one logger, set by log.level
	}
	return nil, kafka.InvalidRequest, fmt.Sprintf("resources of type %d have no configuration here; known are topics (2) and brokers (4)", res.ResourceType)
}

// checkBrokerName says whether a resource name means this broker.
func (s *Server) checkBrokerName(name string) (kafka.ErrorCode, string) {
	id, err := strconv.ParseInt(name, 10, 32)
	if err != nil {
		return kafka.InvalidRequest, fmt.Sprintf("a broker is named by its number, not by %q", name)
	}
	if kafka.NodeID(id) != s.deps.NodeID {
		return kafka.InvalidRequest, fmt.Sprintf("this is broker %d; ask broker %d itself", s.deps.NodeID, id)
	}
	return kafka.None, ""
}

func configRow(q *kmsg.DescribeConfigsRequest, e *config.Entry) kmsg.DescribeConfigsResponseResourceConfig {
	row := kmsg.NewDescribeConfigsResponseResourceConfig()
	row.Name, row.Value, row.ReadOnly, row.IsSensitive = e.Name, e.Value, e.ReadOnly, e.Sensitive
	row.Source, row.IsDefault = kmsg.ConfigSource(e.Source), e.IsDefault()
	if q.IncludeSynonyms {
		for _, syn := range e.Synonyms {
			rs := kmsg.NewDescribeConfigsResponseResourceConfigConfigSynonym()
			rs.Name, rs.Value, rs.Source = syn.Name, syn.Value, kmsg.ConfigSource(syn.Source)
			row.ConfigSynonyms = append(row.ConfigSynonyms, rs)
		}
	}
	if q.Version >= 3 {
		row.ConfigType = kmsg.ConfigType(e.Type)
		if q.IncludeDocumentation {
			row.Documentation = kmsg.StringPtr(e.Documentation)
		}
	}
	return row
}

// AlterConfigs (33): the settings named become the only ones.
//
// v2  flexible
func alterConfigs(s *Server, r *Request, in kmsg.Request) kmsg.Response {
	q := in.(*kmsg.AlterConfigsRequest)
	resp := q.ResponseKind().(*kmsg.AlterConfigsResponse)
	var wanted []controller.AlterResource
	for i := range q.Resources {
		res := &q.Resources[i]
		a := controller.AlterResource{Type: meta.ResourceType(res.ResourceType), Name: res.ResourceName}
		for _, c := range res.Configs {
			a.Configs = append(a.Configs, controller.AlterConfig{Name: c.Name, Value: c.Value})
		}
		wanted = append(wanted, a)
	}
	for _, res := range s.alter(r.Key, wanted, q.ValidateOnly, s.deps.Cluster.AlterConfigs) {
		rr := kmsg.NewAlterConfigsResponseResource()
		rr.ResourceType, rr.ResourceName = kmsg.ConfigResourceType(res.Type), res.Name
		rr.ErrorCode, rr.ErrorMessage = int16(res.Code), message(res.Code, res.Message)
		resp.Resources = append(resp.Resources, rr)
	}
	return resp
}

// IncrementalAlterConfigs (44): the settings named change, the others stay (KIP-339).
//
// v1  flexible
func incrementalAlterConfigs(s *Server, r *Request, in kmsg.Request) kmsg.Response {
	q := in.(*kmsg.IncrementalAlterConfigsRequest)
	resp := q.ResponseKind().(*kmsg.IncrementalAlterConfigsResponse)
	var wanted []controller.AlterResource
	for i := range q.Resources {
		res := &q.Resources[i]
		a := controller.AlterResource{Type: meta.ResourceType(res.ResourceType), Name: res.ResourceName}
		for _, c := range res.Configs {
			a.Configs = append(a.Configs, controller.AlterConfig{Name: c.Name, Op: controller.ConfigOp(c.Op), Value: c.Value})
		}
		wanted = append(wanted, a)
	}
	for _, res := range s.alter(r.Key, wanted, q.ValidateOnly, s.deps.Cluster.IncrementalAlterConfigs) {
		rr := kmsg.NewIncrementalAlterConfigsResponseResource()
		rr.ResourceType, rr.ResourceName = kmsg.ConfigResourceType(res.Type), res.Name
		rr.ErrorCode, rr.ErrorMessage = int16(res.Code), message(res.Code, res.Message)
		resp.Resources = append(resp.Resources, rr)
	}
	return resp
}
