//go:build !linux

package server

import "time"

// roundTrip is known on Linux only.
func (c *conn) roundTrip() time.Duration { return 0 }
