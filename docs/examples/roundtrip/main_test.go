package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/barnabas-mq/barnabas/internal/testkit"
)

func TestWhatTheReadmeShowsWorks(t *testing.T) {
	b := testkit.Start(t)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var out strings.Builder
	if err := roundTrip(ctx, b.Addr(), &out); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), "written at offset 0\nread world=hello\n"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
}
