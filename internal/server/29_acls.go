package server

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-mq/barnabas/internal/kafka"
)

// DescribeACLs (29), CreateACLs (30), DeleteACLs (31): without an authorizer there are no ACLs to speak of.

func describeACLs(_ *Server, _ *Request, in kmsg.Request) kmsg.Response {
	resp := in.ResponseKind().(*kmsg.DescribeACLsResponse)
	resp.ErrorCode, resp.ErrorMessage = int16(kafka.SecurityDisabled), message(kafka.SecurityDisabled, "")
	return resp
}

func createACLs(_ *Server, _ *Request, in kmsg.Request) kmsg.Response {
	q := in.(*kmsg.CreateACLsRequest)
	resp := q.ResponseKind().(*kmsg.CreateACLsResponse)
	for range q.Creations {
		r := kmsg.NewCreateACLsResponseResult()
		r.ErrorCode, r.ErrorMessage = int16(kafka.SecurityDisabled), message(kafka.SecurityDisabled, "")
		resp.Results = append(resp.Results, r)
	}
	return resp
}

func deleteACLs(_ *Server, _ *Request, in kmsg.Request) kmsg.Response {
	q := in.(*kmsg.DeleteACLsRequest)
	resp := q.ResponseKind().(*kmsg.DeleteACLsResponse)
	for range q.Filters {
		r := kmsg.NewDeleteACLsResponseResult()
		r.ErrorCode, r.ErrorMessage = int16(kafka.SecurityDisabled), message(kafka.SecurityDisabled, "")
		resp.Results = append(resp.Results, r)
	}
	return resp
}
