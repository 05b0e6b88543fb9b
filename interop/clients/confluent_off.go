//go:build !cgo

package clients

func withCgo() []Client { return nil }
