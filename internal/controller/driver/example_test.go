package driver_test

import (
	"context"
	"fmt"

	"github.com/barnabas-mq/barnabas/internal/controller"
	"github.com/barnabas-mq/barnabas/internal/controller/driver"
	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/meta"
	"github.com/barnabas-mq/barnabas/internal/meta/memory"
)

// A broker starts the driver, makes real what OnChange tells it, and answers clients from the results.
func Example() {
	ctx := context.Background()
	d, err := driver.Start(ctx, driver.Config{
		Store:    memory.New(), // a broker: local.Open(filepath.Join(dataDir, "meta.db"), local.Options{})
		Settings: controller.DefaultSettings(1),
		OnChange: func(_ *meta.Image, c meta.Changes) error {
			for _, p := range c.Partitions {
				switch {
				case p.Old == nil:
					fmt.Printf("make the log of %s-%d\n", p.Topic.Name, p.Partition)
				case p.New == nil:
					fmt.Printf("remove the log of %s-%d\n", p.Topic.Name, p.Partition)
				}
			}
			return nil
		},
	})
	if err != nil {
		panic(err)
	}
	defer d.Close()

	res := d.CreateTopics(ctx, controller.CreateTopicsRequest{Topics: []controller.NewTopic{
		{Name: "orders", Partitions: 2, ReplicationFactor: -1},
		{Name: "no spaces", Partitions: 1, ReplicationFactor: -1},
	}})
	for _, r := range res {
		fmt.Println(r.Name, r.Code)
	}
	fmt.Println("leader of orders-1:", d.Image().Partition("orders", 1).Leader)

	d.DeleteTopics(ctx, []controller.TopicRef{{ID: res[0].ID}})
	fmt.Println(d.EnsureTopic(ctx, "orders").Code == kafka.None, d.Image().Topic("orders").ID != res[0].ID)
	// Output:
	// make the log of orders-0
	// make the log of orders-1
	// orders NONE
	// no spaces INVALID_TOPIC_EXCEPTION
	// leader of orders-1: 1
	// remove the log of orders-0
	// remove the log of orders-1
	// make the log of orders-0
	// true true
}
