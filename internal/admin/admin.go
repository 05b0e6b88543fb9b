// Package admin is the broker's HTTP port: health, metrics and, when asked for, profiles.
//
// It serves /healthz (the process answers), /readyz (clients are served; the body says what is missing), /metrics and
// /debug/pprof/. Everything a Kafka client can ask for is asked over the Kafka protocol, not here; the console's pages and its JSON hang
// themselves in through Config.Console. The port has no authentication, so it binds loopback addresses only
// unless AllowRemote says otherwise, and it bounds headers, bodies and times, so that a scanner or a stuck client costs nothing.
// What may not be done here: no state, no decision about the broker.
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"strings"
	"time"
)

// Config is what the port serves.
type Config struct {
	// Address is host:port, admin.address. Port 0 picks a free one.
	Address string
	// AllowRemote allows an address that others can reach, admin.allow.remote.
	AllowRemote bool
	// Pprof serves Go's profiles under /debug/pprof/, admin.pprof.enable. They show memory, so think before combining it with
	// AllowRemote.
	Pprof bool
	// Ready says what stands in the way of serving clients, each as a check with a reason; none means ready. It is called from
	// any goroutine and must not block. nil is always ready.
	Ready func() []NotReady
	// Metrics serves /metrics; nil serves none.
	Metrics http.Handler
	// Console serves everything under /console/ and /api/v1/; nil answers 404.
	Console http.Handler
	// Closing is called when the port begins to close: what streams ends then. nil does nothing.
	Closing func()
	// Logger takes errors of single connections; nil discards them.
	Logger *slog.Logger
}

// NotReady is one reason why clients cannot be served yet, or any more.
type NotReady struct {
	// Check names what was looked at: "recovery", "metadata", "log.dirs".
	Check string `json:"check"`
	// Reason is for people: "34 of 120 logs recovered".
	Reason string `json:"reason"`
}

// Bounds of one connection. Profiles of up to profileMax must fit into the time to write.
const (
	headerBytesMax = 16 << 10
	bodyBytesMax   = 1 << 20
	readTimeout    = 10 * time.Second
	idleTimeout    = 60 * time.Second
	profileMax     = 60 * time.Second
	writeTimeout   = profileMax + 30*time.Second
)

// Server is the open port.
type Server struct {
	http     *http.Server
	listener net.Listener
	done     chan struct{}
}

// Listen opens the port and serves it until Close. The error says what to do about a port that is taken or an address that is
// not allowed.
func Listen(ctx context.Context, c Config) (*Server, error) {
	if err := checkAddress(c); err != nil {
		return nil, err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.Address)
	if err != nil {
		return nil, fmt.Errorf("open the admin port (choose another with --admin-addr, or none with an empty admin.address): %w", err)
	}
	// A host name is judged by what it turned out to be.
	if a, ok := l.Addr().(*net.TCPAddr); ok && !c.AllowRemote && !a.IP.IsLoopback() {
		return nil, errors.Join(exposed(c.Address), l.Close())
	}
	return Serve(l, c), nil
}

func checkAddress(c Config) error {
	host, _, err := net.SplitHostPort(c.Address)
	if err != nil {
		return fmt.Errorf("admin.address %q is not host:port: %w", c.Address, err)
	}
	a, err := netip.ParseAddr(host)
	if !c.AllowRemote && (host == "" || err == nil && !a.Unmap().IsLoopback()) {
		return exposed(c.Address)
	}
	return nil
}

func exposed(address string) error {
	return fmt.Errorf("admin.address %s is not a loopback address: the admin port has no authentication and would show the console (topic and group names, "+
		"members with their client ids and addresses, offsets, lag, every rebalance), metrics and, with admin.pprof.enable, memory to everyone who reaches it; "+
		"set admin.allow.remote=true if that is wanted", address)
}

// Serve serves an open listener until Close. It does not look at the address.
func Serve(l net.Listener, c Config) *Server {
	logger := c.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		listener: l,
		done:     make(chan struct{}),
		http: &http.Server{
			Handler:           Handler(c),
			ReadTimeout:       readTimeout,
			ReadHeaderTimeout: readTimeout,
			WriteTimeout:      writeTimeout,
			IdleTimeout:       idleTimeout,
			MaxHeaderBytes:    headerBytesMax,
			ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
		},
	}
	if c.Closing != nil {
		s.http.RegisterOnShutdown(c.Closing)
	}
	go func() {
		defer close(s.done)
		if err := s.http.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
			logger.Error("the admin port stopped serving", "error", err)
		}
	}()
	return s
}

// Addr is where the port is open.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Close stops accepting, lets requests finish until ctx ends, then cuts them off. It returns when nothing runs any more.
func (s *Server) Close(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(fmt.Errorf("finish requests of the admin port: %w", err), s.http.Close())
	}
	<-s.done
	return err
}

// Handler is the port without a socket.
func Handler(c Config) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, status{Status: "ok"})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		var missing []NotReady
		if c.Ready != nil {
			missing = c.Ready()
		}
		if len(missing) > 0 {
			answer(w, http.StatusServiceUnavailable, status{Status: "not ready", NotReady: missing})
			return
		}
		answer(w, http.StatusOK, status{Status: "ready"})
	})
	if c.Metrics != nil {
		mux.Handle("GET /metrics", c.Metrics)
	}
	if c.Console != nil {
		mux.Handle("/console", c.Console)
		mux.Handle("/console/", c.Console)
		mux.Handle("/api/v1/", c.Console)
	}
	if c.Pprof {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/profile", timed(pprof.Profile))
		mux.HandleFunc("GET /debug/pprof/trace", timed(pprof.Trace))
	}
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		if c.Console != nil && strings.Contains(r.Header.Get("Accept"), "text/html") { // a browser
			http.Redirect(w, r, "/console/", http.StatusFound)
			return
		}
		paths := []string{"/healthz", "/readyz"}
		if c.Console != nil {
			paths = append(paths, "/console/", "/api/v1/")
		}
		if c.Metrics != nil {
			paths = append(paths, "/metrics")
		}
		if c.Pprof {
			paths = append(paths, "/debug/pprof/")
		}
		answer(w, http.StatusOK, struct {
			Paths []string `json:"paths"`
		}{paths})
	})
	return bounded(mux)
}

type status struct {
	Status   string     `json:"status"`
	NotReady []NotReady `json:"notReady,omitempty"`
}

func answer(w http.ResponseWriter, code int, body any) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(body) // the client went away: nobody is left to tell
}

// bounded holds request bodies to a bound and keeps browsers from guessing content types.
func bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		r.Body = http.MaxBytesReader(w, r.Body, bodyBytesMax)
		next.ServeHTTP(w, r)
	})
}

// timed refuses profiles that take longer than an answer may.
func timed(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if s := r.FormValue("seconds"); s != "" {
			d, err := time.ParseDuration(s + "s")
			if err != nil || d <= 0 || d > profileMax {
				http.Error(w, fmt.Sprintf("seconds must be above 0 and at most %d", int(profileMax.Seconds())), http.StatusBadRequest)
				return
			}
		}
		next(w, r)
	}
}
