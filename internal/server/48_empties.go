package server

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// ListPartitionReassignments (46), DescribeClientQuotas (48), DescribeUserScramCredentials (50): what does not exist on this broker is
// listed as what it is, nothing.

func listPartitionReassignments(_ *Server, _ *Request, in kmsg.Request) kmsg.Response {
	return in.ResponseKind()
}

// The kinds of match in a filter of DescribeClientQuotas.
const (
	matchExact   = 0
	matchDefault = 1
	matchAny     = 2
)

// describeClientQuotas finds no quota, but says what is wrong with a filter, as it will when there are some.
func describeClientQuotas(s *Server, r *Request, in kmsg.Request) kmsg.Response {
	q := in.(*kmsg.DescribeClientQuotasRequest)
	resp := q.ResponseKind().(*kmsg.DescribeClientQuotasResponse)
	if code, text := checkQuotaFilter(q.Components); code != kafka.None {
		s.deps.Metrics.Error(r.Key, code)
		resp.ErrorCode, resp.ErrorMessage = int16(code), message(code, text)
		return resp
	}
	resp.ErrorMessage = new(string)                           // Kafka sends an empty text along with success
	resp.Entries = []kmsg.DescribeClientQuotasResponseEntry{} // null would mean that they could not be read
	return resp
}

func checkQuotaFilter(parts []kmsg.DescribeClientQuotasRequestComponent) (kafka.ErrorCode, string) {
	seen := map[string]bool{}
	for _, p := range parts {
		switch {
		case p.EntityType != "user" && p.EntityType != "client-id" && p.EntityType != "ip":
			return kafka.UnsupportedVersion, fmt.Sprintf("quotas of entity type %q are not known; known are user, client-id and ip", p.EntityType)
		case seen[p.EntityType]:
			return kafka.InvalidRequest, fmt.Sprintf("the filter names entity type %s more than once", p.EntityType)
		case p.MatchType == matchExact && p.Match == nil:
			return kafka.InvalidRequest, "an exact match needs a name to match"
		case p.MatchType != matchExact && p.MatchType != matchDefault && p.MatchType != matchAny:
			return kafka.InvalidRequest, fmt.Sprintf("match type %d is not known", p.MatchType)
		}
		seen[p.EntityType] = true
	}
	if seen["ip"] && len(seen) > 1 {
		return kafka.InvalidRequest, "a filter on ip goes with no other entity type"
	}
	return kafka.None, ""
}

func describeUserScramCredentials(_ *Server, _ *Request, in kmsg.Request) kmsg.Response {
	q := in.(*kmsg.DescribeUserSCRAMCredentialsRequest)
	resp := q.ResponseKind().(*kmsg.DescribeUserSCRAMCredentialsResponse)
	resp.ErrorMessage = new(string) // Kafka sends an empty text along with success
	seen := map[string]int{}
	for _, u := range q.Users {
		seen[u.Name]++
	}
	for _, u := range q.Users {
		if seen[u.Name] == 0 {
			continue
		}
		r := kmsg.NewDescribeUserSCRAMCredentialsResponseResult()
		code, text := kafka.ResourceNotFound, "no SCRAM credentials exist for user "+u.Name
		if seen[u.Name] > 1 {
			code, text = kafka.DuplicateResource, "user "+u.Name+" is asked for more than once"
		}
		seen[u.Name] = 0
		r.User, r.ErrorCode, r.ErrorMessage = u.Name, int16(code), message(code, text)
		resp.Results = append(resp.Results, r)
	}
	return resp
}
