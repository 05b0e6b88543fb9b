package broker

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"

	"github.com/barnabas-mq/barnabas/internal/config"
	"github.com/barnabas-mq/barnabas/internal/meta"
)

// boundListener is a listener with its settings.
type boundListener struct {
	net.Listener
	config config.Listener
}

func (b *Broker) bind(listen func(network, address string) (net.Listener, error)) error {
	for _, l := range b.static.Broker.Listeners {
		address := net.JoinHostPort(l.Host, strconv.Itoa(int(l.Port)))
		nl, err := listen("tcp", address)
		if err != nil {
			if errors.Is(err, syscall.EADDRINUSE) {
				return fmt.Errorf("listener %s: %s is taken by another process; stop it, or choose another address with --listeners %s://host:port", l.Name, address, l.Name)
			}
			return fmt.Errorf("listener %s: listen on %s: %w", l.Name, address, err)
		}
		b.bound = append(b.bound, boundListener{nl, l})
	}
	return nil
}

// registration is what the broker tells the cluster of itself: the addresses clients are sent to.
func (b *Broker) registration() meta.Registration {
	r := meta.Registration{Rack: b.static.Broker.Rack}
	for _, l := range b.bound {
		if !l.config.Advertised {
			continue
		}
		port := l.config.AdvertisedPort
		if port == 0 {
			port = boundPort(l)
		}
		r.Listeners = append(r.Listeners, meta.Listener{Name: l.config.Name, Protocol: l.config.Protocol, Host: l.config.AdvertisedHost, Port: port})
	}
	return r
}

func boundPort(l net.Listener) int32 {
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseInt(port, 10, 32) // a listener's own address
	return int32(n)
}

// Addresses are the bound addresses, in the order of the listeners.
func (b *Broker) Addresses() []string {
	var out []string
	for _, l := range b.bound {
		out = append(out, l.Addr().String())
	}
	return out
}

// AdminAddress is where the admin port listens, "" without one.
func (b *Broker) AdminAddress() string {
	if b.admin == nil {
		return ""
	}
	return b.admin.Addr().String()
}
