//go:build !linux

package loadgen

import "net"

// setLowWater is for Linux, where brokers are measured.
func setLowWater(net.Conn, int) {}
