package server

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// ListPartitionReassignments (46), DescribeClientQuotas (48), DescribeUserScramCredentials (50): what does not exist on this broker is
// listed as what it is, nothing.

func listPartitionReassignments(_ *Server, _ *Request, in kmsg.Request) kmsg.Response {
	return in.ResponseKind()
}

func describeClientQuotas(_ *Server, _ *Request, in kmsg.Request) kmsg.Response {
	resp := in.ResponseKind().(*kmsg.DescribeClientQuotasResponse)
	resp.Entries = []kmsg.DescribeClientQuotasResponseEntry{} // null would mean that they could not be read
	return resp
}

func describeUserScramCredentials(_ *Server, _ *Request, in kmsg.Request) kmsg.Response {
	q := in.(*kmsg.DescribeUserSCRAMCredentialsRequest)
	resp := q.ResponseKind().(*kmsg.DescribeUserSCRAMCredentialsResponse)
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
