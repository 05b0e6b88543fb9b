package server

import (
	"testing"

	"github.com/barnabas-mq/barnabas/internal/wire"
)

func TestEveryAdvertisedKeyHasAHandler(t *testing.T) {
	advertised := map[int16]bool{wire.KeyProduce: true, wire.KeyFetch: true, wire.KeyHeartbeat: true} // they have doors of their own
	for _, v := range wire.Versions() {
		if handlers[v.Key] == nil && groupHandlers[v.Key] == nil && !advertised[v.Key] {
			t.Errorf("%s is advertised and has no handler", wire.KeyName(v.Key))
		}
		advertised[v.Key] = true
	}
	for key := range handlers {
		if !advertised[key] {
			t.Errorf("%s has a handler and is not advertised", wire.KeyName(key))
		}
	}
	for key := range groupHandlers {
		if !advertised[key] {
			t.Errorf("%s has a handler and is not advertised", wire.KeyName(key))
		}
	}
}
