package config

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Listener is one address the broker accepts Kafka clients at.
type Listener struct {
	// Name as in listeners, in capitals.
	Name string
	// Protocol is the security protocol; PLAINTEXT is the only one there is so far.
	Protocol string
	// Host and Port to bind. An empty host means every address; port 0 lets the system choose.
	Host string
	Port int32
	// Advertised says whether clients of this listener are told an address at all, and which. Port 0 stands for the port that
	// was bound.
	Advertised     bool
	AdvertisedHost string
	AdvertisedPort int32
}

// Address is host:port to bind.
func (l Listener) Address() string { return net.JoinHostPort(l.Host, strconv.Itoa(int(l.Port))) }

// AdvertisedAddress is host:port as told to clients.
func (l Listener) AdvertisedAddress() string {
	return net.JoinHostPort(l.AdvertisedHost, strconv.Itoa(int(l.AdvertisedPort)))
}

type endpoint struct {
	name, host string
	port       int32
}

// parseEndpoints reads NAME://host:port,... ; wrong says what is not understood.
func parseEndpoints(value string) (out []endpoint, wrong string) {
	for _, item := range splitList(value) {
		name, address, ok := strings.Cut(item, "://")
		if !ok {
			return nil, fmt.Sprintf("%q is not NAME://host:port", item)
		}
		name = strings.ToUpper(strings.TrimSpace(name))
		if name == "" || strings.ContainsAny(name, ":/ \t") {
			return nil, fmt.Sprintf("%q has no proper name before ://", item)
		}
		i := strings.LastIndexByte(address, ':')
		if i < 0 {
			return nil, fmt.Sprintf("%q has no port; write %s:9092", item, item)
		}
		host, portText := address[:i], address[i+1:]
		if h, found := strings.CutPrefix(host, "["); found {
			if host, found = strings.CutSuffix(h, "]"); !found {
				return nil, fmt.Sprintf("%q lacks the closing bracket of its IPv6 address", item)
			}
			if _, err := netip.ParseAddr(host); err != nil {
				return nil, fmt.Sprintf("%q holds no IPv6 address between its brackets", item)
			}
		} else if strings.Contains(host, ":") {
			return nil, fmt.Sprintf("%q needs brackets around its IPv6 address, as in NAME://[::1]:9092", item)
		} else if strings.ContainsAny(host, "/@? \t[]") {
			return nil, fmt.Sprintf("%q has no proper host", item)
		}
		port, err := strconv.ParseUint(portText, 10, 16)
		if err != nil {
			return nil, fmt.Sprintf("%q has no port from 0 to 65535", item)
		}
		out = append(out, endpoint{name: name, host: host, port: int32(port)})
	}
	return out, ""
}

func parseProtocolMap(value string) (out map[string]string, wrong string) {
	out = map[string]string{}
	for _, item := range splitList(value) {
		name, protocol, ok := strings.Cut(item, ":")
		name, protocol = strings.ToUpper(strings.TrimSpace(name)), strings.ToUpper(strings.TrimSpace(protocol))
		switch {
		case !ok || name == "":
			return nil, fmt.Sprintf("%q is not NAME:PROTOCOL", item)
		case protocol != "PLAINTEXT" && protocol != "SSL" && protocol != "SASL_PLAINTEXT" && protocol != "SASL_SSL":
			return nil, fmt.Sprintf("%q names no protocol; there are PLAINTEXT, SSL, SASL_PLAINTEXT and SASL_SSL", item)
		case out[name] != "" && out[name] != protocol:
			return nil, fmt.Sprintf("%q maps %s a second time", item, name)
		}
		out[name] = protocol
	}
	return out, ""
}

func unspecified(host string) bool {
	if host == "" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsUnspecified()
}

// buildListeners turns the five settings about listeners into the list to open. Faults and warnings go to l.
func (l *loader) buildListeners(b *Broker) {
	value, where := l.get("listeners")
	endpoints, wrong := parseEndpoints(value)
	if wrong != "" {
		l.fault("listeners", wrong)
		return
	}
	mapText, _ := l.get("listener.security.protocol.map")
	protocols, wrong := parseProtocolMap(mapText)
	if wrong != "" {
		l.fault("listener.security.protocol.map", wrong)
		return
	}
	advText, advWhere := l.get("advertised.listeners")
	advertised, wrong := parseEndpoints(advText)
	if wrong != "" {
		l.fault("advertised.listeners", wrong)
		return
	}
	// The images of Kafka bind every address for each advertised listener when only those are given.
	if where.Kind == FromDefault && advWhere.Kind == FromEnv {
		endpoints = nil
		for _, a := range advertised {
			endpoints = append(endpoints, endpoint{a.name, "0.0.0.0", a.port})
		}
	}

	controllers := map[string]bool{}
	names, _ := l.get("controller.listener.names")
	for _, n := range splitList(names) {
		controllers[strings.ToUpper(n)] = true
	}
	byName := map[string]int{}
	for _, e := range endpoints {
		if controllers[e.name] {
			l.warn("listeners", fmt.Sprintf("listener %s is for a KRaft controller and is not opened: %s", e.name, noKRaft))
			continue
		}
		protocol := protocols[e.name]
		if protocol == "" {
			l.fault("listeners", fmt.Sprintf("listener %s has no protocol; add %s:PLAINTEXT to listener.security.protocol.map", e.name, e.name))
			continue
		}
		if protocol != "PLAINTEXT" {
			l.fault("listeners", fmt.Sprintf("listener %s wants %s, which is not built yet; only PLAINTEXT is", e.name, protocol))
			continue
		}
		if _, twice := byName[e.name]; twice {
			l.fault("listeners", fmt.Sprintf("two listeners are named %s", e.name))
			continue
		}
		for _, o := range b.Listeners {
			if e.port != 0 && e.port == o.Port && (e.host == o.Host || unspecified(e.host) && unspecified(o.Host) && sameFamily(e.host, o.Host)) {
				l.fault("listeners", fmt.Sprintf("listeners %s and %s want the same address %s", o.Name, e.name, o.Address()))
			}
		}
		byName[e.name] = len(b.Listeners)
		b.Listeners = append(b.Listeners, Listener{Name: e.name, Protocol: protocol, Host: e.host, Port: e.port})
	}
	if len(b.Listeners) == 0 {
		if len(l.faults) == 0 {
			l.fault("listeners", "there is no listener for clients; add one such as PLAINTEXT://127.0.0.1:9092")
		}
		return
	}
	if where.Kind == FromDefault && advWhere.Kind != FromDefault && advWhere.Kind != FromEnv {
		l.warn("advertised.listeners", fmt.Sprintf("advertised.listeners is set but listeners is not, so only this machine can connect (%s); set listeners too", b.Listeners[0].Address()))
	}
	l.advertise(b, advertised, advWhere.Kind != FromDefault, controllers, byName)

	name, whereInter := l.get("inter.broker.listener.name")
	b.InterBrokerListener = strings.ToUpper(name)
	if b.InterBrokerListener == "" {
		b.InterBrokerListener = b.Listeners[0].Name
	} else if _, ok := byName[b.InterBrokerListener]; !ok && whereInter.Kind != FromDefault {
		l.fault("inter.broker.listener.name", fmt.Sprintf("%s is not among listeners", b.InterBrokerListener))
	}
}

// advertise fills in what clients are told, by Kafka's rules: given addresses must be real ones; a listener without one tells its
// own host, for which 0.0.0.0 is no answer and an empty host means the name of this machine.
func (l *loader) advertise(b *Broker, advertised []endpoint, given bool, controllers map[string]bool, byName map[string]int) {
	if given && len(advertised) > 0 {
		seen := map[string]bool{}
		for _, a := range advertised {
			if controllers[a.name] {
				continue
			}
			i, ok := byName[a.name]
			switch {
			case !ok:
				l.fault("advertised.listeners", fmt.Sprintf("%s is not among listeners", a.name))
			case seen[a.name]:
				l.fault("advertised.listeners", fmt.Sprintf("%s is advertised twice", a.name))
			case a.host != "" && unspecified(a.host):
				l.fault("advertised.listeners", fmt.Sprintf("%s advertises %s, which no client can connect to; name the address clients use", a.name, a.host))
			default:
				if a.host == "" {
					a.host = l.hostname()
				}
				s := &b.Listeners[i]
				s.Advertised, s.AdvertisedHost, s.AdvertisedPort = true, a.host, a.port
			}
			seen[a.name] = true
		}
		for _, s := range b.Listeners {
			if !seen[s.Name] {
				l.warn("advertised.listeners", fmt.Sprintf("listener %s is not advertised: clients that connect to it find no broker in its metadata", s.Name))
			}
		}
		return
	}
	for i := range b.Listeners {
		s := &b.Listeners[i]
		host := s.Host
		switch {
		case host == "":
			host = l.hostname()
		case unspecified(host):
			l.fault("listeners", fmt.Sprintf("listener %s binds %s, which no client can connect to; set advertised.listeners to the address clients use, such as %s://localhost:%d", s.Name, host, s.Name, s.Port))
			continue
		}
		s.Advertised, s.AdvertisedHost, s.AdvertisedPort = true, host, s.Port
	}
}

func sameFamily(a, b string) bool {
	x, errX := netip.ParseAddr(a)
	y, errY := netip.ParseAddr(b)
	return errX != nil || errY != nil || x.Is4() == y.Is4()
}

// IPOverride is one exception from max.connections.per.ip.
type IPOverride struct {
	Host  string
	Count int32
}

func parseIPOverrides(value string) (out []IPOverride, wrong string) {
	for _, item := range splitList(value) {
		i := strings.LastIndexByte(item, ':')
		if i <= 0 {
			return nil, fmt.Sprintf("%q is not host:count", item)
		}
		n, err := strconv.ParseInt(strings.TrimSpace(item[i+1:]), 10, 32)
		if err != nil || n < 0 {
			return nil, fmt.Sprintf("%q has no count from 0 to 2147483647", item)
		}
		host := strings.Trim(strings.TrimSpace(item[:i]), "[]")
		if host == "" {
			return nil, fmt.Sprintf("%q is not host:count", item)
		}
		out = append(out, IPOverride{Host: host, Count: int32(n)})
	}
	return out, ""
}

func checkAdminAddress(s string) string {
	if s == "" {
		return ""
	}
	_, port, err := net.SplitHostPort(s)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return "must be host:port such as 127.0.0.1:9644, or empty"
	}
	return ""
}

func checkClusterID(s string) string {
	if s == "" || len(s) > 64 {
		return "must have 1 to 64 characters"
	}
	for _, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-':
		default:
			return "must hold letters, digits, '_' and '-' only"
		}
	}
	return ""
}

func checkThrottledReplicas(s string) string {
	if s == "" || s == "*" || s == "none" {
		return ""
	}
	for _, item := range splitList(s) {
		p, b, ok := strings.Cut(item, ":")
		_, errP := strconv.ParseUint(strings.TrimSpace(p), 10, 31)
		_, errB := strconv.ParseUint(strings.TrimSpace(b), 10, 31)
		if !ok || errP != nil || errB != nil {
			return "must be partition:broker pairs separated by commas, or *"
		}
	}
	return ""
}

// ParseNoticeClient reads one entry of group.prompt.notice.clients: the name a client gives, and how long its heartbeats may be held.
func ParseNoticeClient(item string) (name string, most time.Duration, ok bool) {
	name, ms, found := strings.Cut(strings.TrimSpace(item), ":")
	n, err := strconv.ParseUint(ms, 10, 31)
	return name, time.Duration(n) * time.Millisecond, found && err == nil && name != ""
}

func checkNoticeClients(s string) string {
	for _, item := range splitList(s) {
		if _, most, ok := ParseNoticeClient(item); !ok || most < 500*time.Millisecond || most > 10*time.Second {
			return "must be name:milliseconds pairs separated by commas, with 500 to 10000 milliseconds: clients give up on answers that take longer"
		}
	}
	return ""
}

func parseDouble(s string) (float64, error) { return strconv.ParseFloat(strings.TrimSpace(s), 64) }
