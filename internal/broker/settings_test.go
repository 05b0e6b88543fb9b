package broker

import (
	"math"
	"testing"
)

// A rate below one byte a second is still a limit.
func TestARateAsAWholeNumber(t *testing.T) {
	for rate, want := range map[float64]int64{math.MaxFloat64: 0, math.Inf(1): 0, 7.9: 7, 1: 1, 0.5: 1, 0: 0, -1: -1} {
		if got := finite(rate); got != want {
			t.Errorf("%v is %d, want %d", rate, got, want)
		}
	}
}
