package main

import (
	"cmp"
	"fmt"
	"net"
	"reflect"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// field is one line of an answer: where it stands, and what it says.
type field struct{ path, value string }

var (
	uuids    = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
	tagsType = reflect.TypeOf(kmsg.Tags{})
)

// nameOf is what the transcript calls a member id: the client's letter and a number, once an answer told the id to its client; before, the id
// without what is random in it.
func (p *player) nameOf(id string) string {
	if name := p.ids[id]; name != "" {
		return name
	}
	return uuids.ReplaceAllString(id, "UUID")
}

// words takes this play's own names out of a text.
func (p *player) words(text string) string {
	for i := range p.walk.groups {
		text = strings.ReplaceAll(text, p.group(i), "g"+strconv.Itoa(i))
	}
	text = strings.ReplaceAll(text, p.topic(), "own")
	for id, name := range p.ids {
		text = strings.ReplaceAll(text, id, name)
	}
	return uuids.ReplaceAllString(text, "UUID")
}

// render puts an answer into lines. Ids have names, throttle is left out; all else is there, in the order in which it came, but for the lists
// that come in an order of chance on a Java broker: the members of a group, the groups of an answer, and the partitions of "all offsets".
func (p *player) render(req kmsg.Request, answer kmsg.Response) []field {
	switch a := answer.(type) {
	case *kmsg.JoinGroupResponse:
		slices.SortFunc(a.Members, func(x, y kmsg.JoinGroupResponseMember) int {
			return strings.Compare(p.nameOf(x.MemberID)+x.MemberID, p.nameOf(y.MemberID)+y.MemberID)
		})
	case *kmsg.DeleteGroupsResponse:
		slices.SortFunc(a.Groups, func(x, y kmsg.DeleteGroupsResponseGroup) int { return strings.Compare(x.Group, y.Group) })
	case *kmsg.DescribeGroupsResponse:
		sortGroups(a)
		for i := range a.Groups {
			p.sortMembers(a.Groups[i].Members)
		}
	case *kmsg.ListGroupsResponse:
		a.Groups = slices.DeleteFunc(a.Groups, func(g kmsg.ListGroupsResponseGroup) bool { return !strings.HasPrefix(g.Group, "walk-"+p.nonce) })
		slices.SortFunc(a.Groups, func(x, y kmsg.ListGroupsResponseGroup) int { return strings.Compare(x.Group, y.Group) })
	case *kmsg.OffsetFetchResponse:
		q := req.(*kmsg.OffsetFetchRequest)
		if q.Version < 8 && q.Topics == nil {
			for i := range a.Topics {
				slices.SortFunc(a.Topics[i].Partitions, func(x, y kmsg.OffsetFetchResponseTopicPartition) int {
					return cmp.Compare(x.Partition, y.Partition)
				})
			}
			slices.SortFunc(a.Topics, func(x, y kmsg.OffsetFetchResponseTopic) int { return strings.Compare(x.Topic, y.Topic) })
		}
		for i := range a.Groups {
			if i >= len(q.Groups) || q.Groups[i].Topics != nil {
				continue
			}
			ts := a.Groups[i].Topics
			for j := range ts {
				slices.SortFunc(ts[j].Partitions, func(x, y kmsg.OffsetFetchResponseGroupTopicPartition) int {
					return cmp.Compare(x.Partition, y.Partition)
				})
			}
			slices.SortFunc(ts, func(x, y kmsg.OffsetFetchResponseGroupTopic) int { return strings.Compare(x.Topic, y.Topic) })
		}
	}
	var out []field
	p.fields(&out, "", reflect.ValueOf(answer).Elem())
	return out
}

func sortGroups(d *kmsg.DescribeGroupsResponse) {
	slices.SortFunc(d.Groups, func(x, y kmsg.DescribeGroupsResponseGroup) int { return strings.Compare(x.Group, y.Group) })
}

// sortMembers orders members by all that the transcript shows of them: ids that nobody was told look alike.
func (p *player) sortMembers(members []kmsg.DescribeGroupsResponseGroupMember) {
	key := func(m kmsg.DescribeGroupsResponseGroupMember) string {
		return fmt.Sprintf("%s|%s|%q|%q", p.nameOf(m.MemberID), m.ClientID, m.ProtocolMetadata, p.words(string(m.MemberAssignment)))
	}
	sort.SliceStable(members, func(i, j int) bool { return key(members[i]) < key(members[j]) })
}

func (p *player) fields(out *[]field, path string, v reflect.Value) {
	t := v.Type()
	for i := range v.NumField() {
		f := t.Field(i)
		switch {
		case f.Name == "Version" || f.Name == "ThrottleMillis" || !f.IsExported():
		case f.Type == tagsType:
			tags := v.Field(i).Interface().(kmsg.Tags)
			tags.Each(func(tag uint32, val []byte) {
				*out = append(*out, field{fmt.Sprintf("%s.tag%d", path, tag), fmt.Sprintf("%x", val)})
			})
		default:
			at := f.Name
			if path != "" {
				at = path + "." + f.Name
			}
			p.field(out, at, f.Name, v.Field(i))
		}
	}
}

func (p *player) field(out *[]field, path, name string, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			*out = append(*out, field{path, "null"})
			return
		}
		p.field(out, path, name, v.Elem())
	case reflect.Struct:
		p.fields(out, path, v)
	case reflect.Slice:
		switch {
		case v.Type().Elem().Kind() == reflect.Uint8:
			*out = append(*out, field{path, strconv.Quote(p.words(string(v.Bytes())))})
			return
		case v.IsNil():
			*out = append(*out, field{path, "null"})
			return
		}
		*out = append(*out, field{path, fmt.Sprintf("%d of them", v.Len())})
		for i := range v.Len() {
			p.field(out, fmt.Sprintf("%s[%d]", path, i), name, v.Index(i))
		}
	default:
		*out = append(*out, field{path, p.scalar(name, v)})
	}
}

func (p *player) scalar(name string, v reflect.Value) string {
	switch {
	case name == "ErrorCode":
		if err, ok := kerr.ErrorForCode(int16(v.Int())).(*kerr.Error); ok {
			return err.Message
		}
		return "NONE"
	case name == "Port":
		if _, port, _ := net.SplitHostPort(p.broker.Addr); port == fmt.Sprint(v.Int()) {
			return "PORT"
		}
	case v.Kind() == reflect.String:
		return strconv.Quote(clip(p.words(v.String())))
	}
	return fmt.Sprint(v.Interface())
}

// clip shortens a long text to its beginning and its length.
func clip(s string) string {
	if len(s) > 200 {
		return fmt.Sprintf("%s... (%d bytes)", s[:100], len(s))
	}
	return s
}
