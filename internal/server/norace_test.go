//go:build !race

package server_test

// slack is by how much memory may be above its bound.
const slack = 1
