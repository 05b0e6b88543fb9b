// Command console serves the web console over a broker that is made up, for the browser test and for whoever works on the pages.
//
//	go run ./tools/console -addr 127.0.0.1:9645 -many 10000
package main

import (
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/barnabas-mq/barnabas/internal/console"
	"github.com/barnabas-mq/barnabas/internal/console/consoletest"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:0", "where to listen; port 0 picks a free one")
	many := flag.Int("many", 0, "this many groups more")
	incidents := flag.Int("incidents", 20_000, "with -many: a group with this many incidents")
	pulse := flag.Duration("pulse", 2*time.Second, "how often a group is said to have changed; 0 for never")
	flag.Parse()
	s := consoletest.Demo()
	if *many > 0 {
		s.Many(*many, *incidents)
	}
	hub := console.NewHub()
	if *pulse > 0 {
		go func() {
			for range time.Tick(*pulse) {
				hub.Changed(consoletest.Hostile)
				hub.Changed("payments")
			}
		}()
	}
	began := time.Now()
	c := console.New(console.Config{Source: s, Changes: hub, Now: func() time.Time { return consoletest.Now.Add(time.Since(began)) }, LoopbackOnly: true, Version: "made up"})
	l, err := net.Listen("tcp", *addr)
	if err == nil {
		fmt.Println("http://" + l.Addr().String() + "/console/")
		err = http.Serve(l, c)
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
