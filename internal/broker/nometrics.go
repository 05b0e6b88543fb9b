package broker

import (
	"time"

	"github.com/barnabas-mq/barnabas/internal/kafka"
)

type noMetrics struct{}

func (noMetrics) ConnectionOpened()                      {}
func (noMetrics) ConnectionClosed()                      {}
func (noMetrics) ConnectionRefused()                     {}
func (noMetrics) InvalidRequest()                        {}
func (noMetrics) Request(int16, time.Duration, int, int) {}
func (noMetrics) Error(int16, kafka.ErrorCode)           {}
func (noMetrics) BytesOut(int)                           {}
func (noMetrics) Produced(string, int, int)              {}
func (noMetrics) Fetched(string, int)                    {}
