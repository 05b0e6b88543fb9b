//go:build race

package server_test

// slack is by how much memory may be above its bound: under the race detector pools forget on purpose, and everything is collected late.
const slack = 5
