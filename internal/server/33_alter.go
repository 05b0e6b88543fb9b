package server

import (
	"context"

	"github.com/barnabas-mq/barnabas/internal/controller"
)

// alterTimeoutMs bounds a change of settings; its requests carry no timeout of their own.
const alterTimeoutMs = 30_000

type alterFunc func(context.Context, controller.AlterConfigsRequest) []controller.AlterResult

// alter runs either kind of change and counts its errors.
func (s *Server) alter(key int16, wanted []controller.AlterResource, validateOnly bool, change alterFunc) []controller.AlterResult {
	ctx, cancel := s.changeContext(alterTimeoutMs)
	defer cancel()
	results := change(ctx, controller.AlterConfigsRequest{Resources: wanted, ValidateOnly: validateOnly})
	for _, res := range results {
		if !res.OK() {
			s.deps.Metrics.Error(key, res.Code)
		}
	}
	return results
}
