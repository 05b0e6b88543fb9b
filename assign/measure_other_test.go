//go:build !linux

package assign

import "time"

var began = time.Now()

// threadTime is plain time where a thread's own cannot be asked for.
func threadTime() time.Duration { return time.Since(began) }
