//go:build race

package storage

// underRace: the race detector makes pools forget at random, so counting allocations is pointless.
const underRace = true
