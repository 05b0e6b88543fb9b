package kgobalancer_test

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/barnabas-mq/barnabas/assign"
	"github.com/barnabas-mq/barnabas/assign/kgobalancer"
)

func Example() {
	cl, err := kgo.NewClient(
		kgo.SeedBrokers("localhost:9092"),
		kgo.ConsumerGroup("orders"),
		kgo.ConsumeTopics("orders"),
		kgo.Balancers(kgobalancer.New(assign.CooperativeSticky{}, kgobalancer.Rack("eu-1"))),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cl.Close()
	// cl.PollFetches as usual.
}
