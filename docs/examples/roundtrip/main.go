// Command roundtrip writes one record and reads it back. The README shows it, and its test runs it against a broker.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func main() {
	address := "127.0.0.1:9092"
	if len(os.Args) > 1 {
		address = os.Args[1]
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := roundTrip(ctx, address, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func roundTrip(ctx context.Context, address string, out io.Writer) error {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(address),
		kgo.AllowAutoTopicCreation(),
		kgo.ConsumeTopics("greetings"), // without a group, from the start
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
	)
	if err != nil {
		return err
	}
	defer client.Close()

	hello := &kgo.Record{Topic: "greetings", Key: []byte("world"), Value: []byte("hello")}
	if err := client.ProduceSync(ctx, hello).FirstErr(); err != nil {
		return err
	}
	fmt.Fprintf(out, "written at offset %d\n", hello.Offset) // it is on the disk now

	fetches := client.PollFetches(ctx)
	fetches.EachRecord(func(r *kgo.Record) { fmt.Fprintf(out, "read %s=%s\n", r.Key, r.Value) })
	return fetches.Err()
}
