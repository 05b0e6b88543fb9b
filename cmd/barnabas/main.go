// Command barnabas is the whole product in one binary; each subcommand has a file of its own here.
//
// Start reading at root.go: it holds the flags every command shares and how a command ends. Commands other than serve speak
// the Kafka protocol only, so they work against any Kafka.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	// A reader that goes away (`barnabas consume t | head`) is an error of the write, which consume ends on cleanly.
	signal.Ignore(syscall.SIGPIPE)
	ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second ctrl-C ends the program at once; SIGTERM never does. One that comes with the first is the same one: timeout, npm and others
	// send a signal to the process and to its group, and that must not cost a broker its clean shutdown.
	context.AfterFunc(ctx, func() { time.AfterFunc(time.Second, func() { signal.Reset(os.Interrupt) }) })
	os.Exit(run(ctx, newApp(os.Stdin, os.Stdout, os.Stderr, os.Getenv), os.Args[1:]))
}
