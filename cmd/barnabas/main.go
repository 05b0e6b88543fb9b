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
)

func main() {
	// A reader that goes away (`barnabas consume t | head`) is an error of the write, which consume ends on cleanly.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second ctrl-C ends the program at once
	code := run(ctx, newApp(os.Stdin, os.Stdout, os.Stderr, os.Getenv), os.Args[1:])
	stop()
	os.Exit(code)
}
