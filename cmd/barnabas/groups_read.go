package main

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// How many groups one request names, so that an answer stays far below the client's limit even when groups are large.
const (
	describeBatch = 200
	fetchBatch    = 100
)

// groupDescription is one group of `groups describe`. Members and partitions are there when they were asked for.
type groupDescription struct {
	Group           string           `json:"group"`
	State           string           `json:"state"`
	Type            string           `json:"type,omitempty"`
	ProtocolType    string           `json:"protocol_type"`
	Assignor        string           `json:"assignor,omitempty"`
	Epoch           *int32           `json:"group_epoch,omitempty"`      // KIP-848 groups
	AssignmentEpoch *int32           `json:"assignment_epoch,omitempty"` // KIP-848 groups
	Coordinator     *groupBroker     `json:"coordinator,omitempty"`
	MemberCount     int              `json:"member_count"`
	Lag             *int64           `json:"lag,omitempty"`         // records, over all partitions with a committed offset
	Uncommitted     int              `json:"uncommitted,omitempty"` // assigned partitions without a committed offset: their lag is not known
	Members         []groupMember    `json:"members,omitempty"`
	Partitions      []groupPartition `json:"partitions,omitempty"`
	Error           string           `json:"error,omitempty"`
	err             error
	described       bool // members are known
}

type groupBroker struct {
	ID   int32  `json:"id"`
	Host string `json:"host"`
	Port int32  `json:"port"`
}

type groupMember struct {
	MemberID     string            `json:"member"`
	InstanceID   *string           `json:"instance,omitempty"`
	ClientID     string            `json:"client"`
	Host         string            `json:"host"`
	Rack         *string           `json:"rack,omitempty"`
	Epoch        *int32            `json:"member_epoch,omitempty"`
	Subscription []string          `json:"subscription,omitempty"`
	Regex        *string           `json:"subscribed_regex,omitempty"`
	Assignment   []topicPartitions `json:"assignment,omitempty"`
	Target       []topicPartitions `json:"target_assignment,omitempty"` // KIP-848: where the member is on its way to
	Connectors   []connectorTasks  `json:"connectors,omitempty"`        // Kafka Connect
	OpaqueBytes  int               `json:"opaque_bytes,omitempty"`      // size of an assignment of some other kind
	Lag          *int64            `json:"lag,omitempty"`
}

type topicPartitions struct {
	Topic      string  `json:"topic"`
	Partitions []int32 `json:"partitions"`
}

// connectorTasks is the work of a Connect worker; task -1 is the connector itself.
type connectorTasks struct {
	Connector string  `json:"connector"`
	Tasks     []int32 `json:"tasks"`
}

// groupPartition is one partition that a member owns or that the group has a committed offset of.
type groupPartition struct {
	Topic       string  `json:"topic"`
	Partition   int32   `json:"partition"`
	Committed   *int64  `json:"committed_offset,omitempty"`
	LeaderEpoch *int32  `json:"leader_epoch,omitempty"`
	Metadata    string  `json:"metadata,omitempty"`
	Start       *int64  `json:"start_offset,omitempty"`
	End         *int64  `json:"end_offset,omitempty"`
	Lag         *int64  `json:"lag,omitempty"`
	MemberID    *string `json:"member,omitempty"`
	InstanceID  *string `json:"instance,omitempty"`
	ClientID    *string `json:"client,omitempty"`
	Host        *string `json:"host,omitempty"`
	Note        string  `json:"note,omitempty"`
	Error       string  `json:"error,omitempty"`
}

// readWhat says which requests a description is worth.
type readWhat struct{ members, offsets bool }

// readGroups describes groups in the order given. What cannot be had of one group is that group's error, not that of all.
func (a *app) readGroups(ctx context.Context, adm *adminClient, listed []listedGroup, what readWhat) ([]*groupDescription, error) {
	out := make([]*groupDescription, len(listed))
	byName := map[string]*groupDescription{}
	kinds := map[string][]string{}
	for i, l := range listed {
		g := &groupDescription{Group: l.Group, State: l.State, Type: l.Type, ProtocolType: l.ProtocolType}
		out[i], byName[l.Group] = g, g
		kinds[l.Type] = append(kinds[l.Type], l.Group)
	}
	if what.members {
		for kind, names := range kinds { // any order: each kind fills its own groups
			for names := range slices.Chunk(names, describeBatch) {
				var err error
				switch kind {
				case "consumer":
					err = describeConsumer(ctx, adm, names, byName)
				case "share":
					err = describeShare(ctx, adm, names, byName)
				case "streams":
					continue // no client we build on speaks StreamsGroupDescribe yet; state and offsets are shown
				default:
					err = describeClassic(ctx, adm, names, byName)
				}
				if ctx.Err() != nil {
					return nil, ctx.Err()
				}
				for _, n := range names {
					if g := byName[n]; !g.described && g.err == nil {
						g.err = cmp.Or(err, failed("the coordinator does not describe it", "it may have been deleted in between: try again"))
					}
				}
			}
		}
	}
	if what.offsets {
		if err := readOffsets(ctx, adm, out); err != nil {
			return nil, err
		}
	}
	for _, g := range out {
		if g.err != nil {
			g.Error = a.explain(g.err).what
		}
	}
	return out, nil
}

func describeClassic(ctx context.Context, adm *adminClient, names []string, into map[string]*groupDescription) error {
	req := kmsg.NewPtrDescribeGroupsRequest()
	req.Groups = names
	var first error
	for _, shard := range adm.wire.RequestSharded(ctx, req) {
		if shard.Err != nil {
			first = cmp.Or(first, shard.Err)
			continue
		}
		for _, d := range shard.Resp.(*kmsg.DescribeGroupsResponse).Groups {
			g := into[d.Group]
			if g == nil {
				continue
			}
			g.described = true
			if d.ErrorCode != 0 {
				g.err = codeError(d.ErrorCode, d.ErrorMessage)
				continue
			}
			g.State, g.ProtocolType, g.Assignor = cmp.Or(d.State, g.State), d.ProtocolType, d.Protocol
			g.Coordinator = &groupBroker{shard.Meta.NodeID, shard.Meta.Host, shard.Meta.Port}
			g.MemberCount = len(d.Members)
			for i := range d.Members {
				g.Members = append(g.Members, classicMember(d.ProtocolType, &d.Members[i]))
			}
			sortMembers(g.Members)
		}
	}
	return first
}

// classicMember reads what a member and its leader put into the group: bytes that mean something only to clients of that protocol type.
func classicMember(protocolType string, m *kmsg.DescribeGroupsResponseGroupMember) groupMember {
	r := groupMember{MemberID: m.MemberID, InstanceID: m.InstanceID, ClientID: m.ClientID, Host: strings.TrimPrefix(m.ClientHost, "/")}
	switch protocolType {
	case "consumer":
		var sub kmsg.ConsumerMemberMetadata
		if sub.ReadFrom(m.ProtocolMetadata) == nil {
			r.Subscription = slices.Sorted(slices.Values(sub.Topics))
			if sub.Version >= 3 {
				r.Rack = sub.Rack
			}
		}
		var as kmsg.ConsumerMemberAssignment
		if as.ReadFrom(m.MemberAssignment) == nil {
			for _, t := range as.Topics {
				r.Assignment = append(r.Assignment, topicPartitions{t.Topic, t.Partitions})
			}
		} else {
			r.OpaqueBytes = len(m.MemberAssignment)
		}
	case "connect":
		var ok bool
		if r.Connectors, ok = connectAssignment(m.MemberAssignment); !ok {
			r.OpaqueBytes = len(m.MemberAssignment)
		}
	default:
		r.OpaqueBytes = len(m.MemberAssignment)
	}
	r.tidy()
	return r
}

// connectAssignment reads Kafka Connect's assignment: version and error INT16, leader and its URL STRING, config offset INT64, then per
// connector its name and an ARRAY of INT32 tasks. kmsg takes the tasks for INT16. What follows (revoked work) is left.
func connectAssignment(b []byte) ([]connectorTasks, bool) {
	r := kbin.Reader{Src: b}
	r.Int16()
	r.Int16()
	_, _ = r.String(), r.String()
	r.Int64()
	var out []connectorTasks
	for n := r.ArrayLen(); n > 0 && r.Ok(); n-- {
		c := connectorTasks{Connector: r.String()}
		for k := r.ArrayLen(); k > 0 && r.Ok(); k-- {
			c.Tasks = append(c.Tasks, r.Int32())
		}
		out = append(out, c)
	}
	return out, r.Ok()
}

// sortMembers puts static members first, by instance, then the others by id.
func sortMembers(members []groupMember) {
	slices.SortFunc(members, func(x, y groupMember) int {
		switch {
		case x.InstanceID != nil && y.InstanceID == nil:
			return -1
		case x.InstanceID == nil && y.InstanceID != nil:
			return 1
		}
		return cmp.Or(compareStrings(textOf(x.InstanceID), textOf(y.InstanceID)), compareStrings(x.MemberID, y.MemberID))
	})
}

func describeConsumer(ctx context.Context, adm *adminClient, names []string, into map[string]*groupDescription) error {
	got, err := adm.DescribeConsumerGroups(ctx, names...)
	for name, d := range got { // any order: a map into a map
		g := into[name]
		if g == nil {
			continue
		}
		g.described = true
		if d.Err != nil {
			g.err = d.Err
			continue
		}
		g.State, g.Assignor, g.ProtocolType = cmp.Or(d.State, g.State), d.AssignorName, "consumer"
		g.Epoch, g.AssignmentEpoch = &d.Epoch, &d.AssignmentEpoch
		g.Coordinator = &groupBroker{d.Coordinator.NodeID, d.Coordinator.Host, d.Coordinator.Port}
		g.MemberCount = len(d.Members)
		for _, m := range d.Members {
			r := groupMember{MemberID: m.MemberID, InstanceID: m.InstanceID, ClientID: m.ClientID, Host: strings.TrimPrefix(m.ClientHost, "/"),
				Rack: m.RackID, Epoch: &m.MemberEpoch, Subscription: slices.Sorted(slices.Values(m.SubscribedTopics)), Regex: m.SubscribedTopicRegex,
				Assignment: fromTopicsSet(m.Assignment), Target: fromTopicsSet(m.TargetAssignment)}
			r.tidy()
			g.Members = append(g.Members, r)
		}
	}
	return err
}

func describeShare(ctx context.Context, adm *adminClient, names []string, into map[string]*groupDescription) error {
	got, err := adm.DescribeShareGroups(ctx, names...)
	for name, d := range got { // any order: a map into a map
		g := into[name]
		if g == nil {
			continue
		}
		g.described = true
		if d.Err != nil {
			g.err = d.Err
			continue
		}
		g.State, g.Assignor = cmp.Or(d.GroupState, g.State), d.Assignor
		g.Epoch, g.AssignmentEpoch = &d.GroupEpoch, &d.AssignmentEpoch
		g.Coordinator = &groupBroker{d.Coordinator.NodeID, d.Coordinator.Host, d.Coordinator.Port}
		g.MemberCount = len(d.Members)
		for _, m := range d.Members {
			r := groupMember{MemberID: m.MemberID, ClientID: m.ClientID, Host: strings.TrimPrefix(m.ClientHost, "/"), Rack: m.RackID,
				Epoch: &m.MemberEpoch, Subscription: slices.Sorted(slices.Values(m.SubscribedTopicNames)), Assignment: fromTopicsSet(m.Assignment)}
			r.tidy()
			g.Members = append(g.Members, r)
		}
	}
	return err
}

func fromTopicsSet(s kadm.TopicsSet) []topicPartitions {
	var out []topicPartitions
	for _, l := range s.Sorted() {
		out = append(out, topicPartitions{l.Topic, l.Partitions})
	}
	return out
}

// tidy puts what the client sent in any order into one.
func (m *groupMember) tidy() {
	for i := range m.Assignment {
		slices.Sort(m.Assignment[i].Partitions)
	}
	slices.SortFunc(m.Assignment, func(x, y topicPartitions) int { return compareStrings(x.Topic, y.Topic) })
	for i := range m.Connectors {
		slices.Sort(m.Connectors[i].Tasks)
	}
	slices.SortFunc(m.Connectors, func(x, y connectorTasks) int { return compareStrings(x.Connector, y.Connector) })
}

func (m *groupMember) partitions() int {
	n := 0
	for _, t := range m.Assignment {
		n += len(t.Partitions)
	}
	return n
}

// readOffsets adds committed offsets, the ranges of the partitions, and lag.
func readOffsets(ctx context.Context, adm *adminClient, groups []*groupDescription) error {
	committed := map[string]kadm.OffsetResponses{}
	var names []string
	for _, g := range groups {
		if g.Type != "share" && g.err == nil { // a share group has no committed offsets
			names = append(names, g.Group)
		}
	}
	for names := range slices.Chunk(names, fetchBatch) {
		for name, r := range adm.FetchManyOffsets(ctx, names...) { // any order: a map into maps
			if r.Err != nil {
				i := slices.IndexFunc(groups, func(g *groupDescription) bool { return g.Group == name })
				if i >= 0 && !errors.Is(r.Err, kerr.GroupIDNotFound) {
					groups[i].err = wrap(r.Err, "reading its offsets")
				}
				continue
			}
			committed[name] = r.Fetched
		}
	}
	topics := map[string]bool{}
	for _, g := range groups {
		for t := range committed[g.Group] { // any order: a set
			topics[t] = true
		}
		for _, m := range g.Members {
			for _, t := range m.Assignment {
				topics[t.Topic] = true
			}
		}
	}
	b, err := rangesOf(ctx, adm, sortedKeysOf(topics))
	if err != nil {
		return err
	}
	for _, g := range groups {
		if g.err == nil && g.Type != "share" {
			g.Partitions = partitionsOf(g, committed[g.Group], b)
			g.sumLag()
		}
	}
	return nil
}

func sortedKeysOf(set map[string]bool) []string {
	out := make([]string, 0, len(set))
	for k := range set { // any order: sorted below
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// rangesOf lists start and end offsets. A partition that cannot be asked has its error; only a cluster that answers nothing is an error here.
func rangesOf(ctx context.Context, adm *adminClient, topics []string) (bounds, error) {
	var b bounds
	if len(topics) == 0 {
		return b, nil
	}
	var se *kadm.ShardErrors
	var err error
	if b.start, err = adm.ListStartOffsets(ctx, topics...); err != nil && (!errors.As(err, &se) || se.AllFailed) {
		return b, wrap(err, "asking for start offsets")
	}
	if b.end, err = adm.ListEndOffsets(ctx, topics...); err != nil && (!errors.As(err, &se) || se.AllFailed) {
		return b, wrap(err, "asking for end offsets")
	}
	return b, nil
}

// rangeOf is the range of one partition, or why there is none.
func (b bounds) rangeOf(topic string, partition int32) (start, end int64, err error) {
	lo, ok := b.start.Lookup(topic, partition)
	hi, ok2 := b.end.Lookup(topic, partition)
	switch {
	case ok && lo.Err != nil:
		return 0, 0, lo.Err
	case ok2 && hi.Err != nil:
		return 0, 0, hi.Err
	case ok && ok2:
		return lo.Offset, hi.Offset, nil
	}
	if whole, found := b.end.Lookup(topic, -1); found && whole.Err != nil { // kadm's sign for a topic that cannot be asked at all
		return 0, 0, whole.Err
	}
	return 0, 0, kerr.UnknownTopicOrPartition
}

// partitionsOf joins what members own with what the group has committed and where the logs stand, in the order of topic and partition.
func partitionsOf(g *groupDescription, committed kadm.OffsetResponses, b bounds) []groupPartition {
	type key struct {
		topic     string
		partition int32
	}
	owners := map[key][]*groupMember{}
	for i := range g.Members {
		m := &g.Members[i]
		for _, t := range m.Assignment {
			for _, p := range t.Partitions {
				owners[key{t.Topic, p}] = append(owners[key{t.Topic, p}], m)
			}
		}
	}
	var out []groupPartition
	add := func(k key, m *groupMember) {
		r := groupPartition{Topic: k.topic, Partition: k.partition}
		if m != nil {
			r.MemberID, r.InstanceID, r.ClientID, r.Host = &m.MemberID, m.InstanceID, &m.ClientID, &m.Host
		}
		c, ok := committed.Lookup(k.topic, k.partition)
		switch {
		case ok && c.Err != nil:
			r.Error = codeOrText(c.Err)
		case ok && c.At >= 0:
			r.Committed, r.Metadata = &c.At, c.Metadata
			if c.LeaderEpoch >= 0 {
				r.LeaderEpoch = &c.LeaderEpoch
			}
		}
		start, end, err := b.rangeOf(k.topic, k.partition)
		switch {
		case isUnknownTopic(err):
			r.Note = "no such partition any more"
		case err != nil:
			r.Error = cmp.Or(r.Error, codeOrText(err))
		default:
			r.Start, r.End = &start, &end
			if r.Committed != nil {
				lag := end - *r.Committed
				r.Lag = &lag
				switch {
				case *r.Committed < start:
					r.Note = "no longer in the log: auto.offset.reset decides"
				case *r.Committed > end:
					r.Note = "committed beyond the end: was the topic made anew?"
				}
			}
		}
		if m != nil && r.Lag != nil {
			sum := max(0, *r.Lag)
			if m.Lag != nil {
				sum += *m.Lag
			}
			m.Lag = &sum
		}
		out = append(out, r)
	}
	for k, ms := range owners { // any order: sorted below
		for _, m := range ms {
			add(k, m)
		}
	}
	for topic, ps := range committed { // any order: sorted below
		for p, c := range ps { // any order: sorted below
			if len(owners[key{topic, p}]) == 0 && (c.At >= 0 || c.Err != nil) {
				add(key{topic, p}, nil)
			}
		}
	}
	slices.SortFunc(out, func(x, y groupPartition) int {
		return cmp.Or(compareStrings(x.Topic, y.Topic), cmp.Compare(x.Partition, y.Partition), compareStrings(textOf(x.MemberID), textOf(y.MemberID)))
	})
	return out
}

func textOf(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// codeOrText is how an error reads in a cell.
func codeOrText(err error) string {
	var ke *kerr.Error
	if errors.As(err, &ke) {
		return codeText(ke.Code, "")
	}
	return err.Error()
}

// sumLag adds up what is known. A partition that two members claim counts once, one committed beyond its end counts as read.
func (g *groupDescription) sumLag() {
	g.Lag, g.Uncommitted = nil, 0
	for i := range g.Partitions {
		p := &g.Partitions[i]
		if i > 0 && g.Partitions[i-1].Topic == p.Topic && g.Partitions[i-1].Partition == p.Partition {
			continue
		}
		switch {
		case p.Lag != nil:
			sum := max(0, *p.Lag)
			if g.Lag != nil {
				sum += *g.Lag
			}
			g.Lag = &sum
		case p.Committed == nil && p.MemberID != nil:
			g.Uncommitted++
		}
	}
}

// describeOne reads one group by its own name. A group that nobody knows is (nil, nil): offsets can be committed for it all the same.
func (a *app) describeOne(ctx context.Context, adm *adminClient, group string, what readWhat) (*groupDescription, error) {
	all, err := listGroups(ctx, adm)
	l, ok := all[group]
	if !ok {
		return nil, a.groupError(err, group) // an error if the broker that may know it did not answer
	}
	got, err := a.readGroups(ctx, adm, []listedGroup{l}, what)
	if err != nil {
		return nil, err
	}
	if got[0].err != nil {
		if errors.Is(got[0].err, kerr.GroupIDNotFound) {
			return nil, nil
		}
		return nil, a.groupError(got[0].err, group)
	}
	return got[0], nil
}

// mustBeIdle is the error of moving offsets under a group that has members; a nil group does not exist yet, which is fine.
func (g *groupDescription) mustBeIdle(group, at string) error {
	if g == nil || g.State == "Empty" || g.State == "Dead" {
		return nil
	}
	members := "1 member"
	if g.MemberCount != 1 {
		members = humanCount(int64(g.MemberCount)) + " members"
	}
	if g.Type == "share" {
		return failed("group "+shownName(group)+at+" is a share group, which has no offsets of this kind", "")
	}
	return failed("group "+shownName(group)+at+" is "+g.State+" with "+members+": its offsets are moved only while nobody uses them",
		groupCure(kerr.NonEmptyGroup, group))
}
