//go:build !unix

package broker

import "math"

// descriptorLimit is not known here.
func descriptorLimit() int { return math.MaxInt }
