package main

import (
	"net"
	"path/filepath"
	"testing"
)

// Whoever has set a limit of connections that shuts out the tool can set it again from the broker's own machine, with the same tool.
func TestALimitOfConnectionsThatWasSetTooLowCanBeSetAgain(t *testing.T) {
	addr, _ := serveHere(t, filepath.Join(t.TempDir(), "data"))
	for range 3 { // clients that are there already, and stay
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
	}
	for _, low := range []string{"max.connections=0", "max.connections=1"} {
		ok(t, addr, "", "config", "alter", "broker", "default", "--set", low)
		ok(t, addr, "", "config", "describe", "broker", "default")
		ok(t, addr, "", "config", "alter", "broker", "default", "--delete", "max.connections")
	}
}
