package admin

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestPaths(t *testing.T) {
	var missing []NotReady
	plain := Config{Ready: func() []NotReady { return missing }}
	full := Config{
		Pprof:   true,
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "some_metric 1\n") }),
		Console: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "console "+r.URL.Path) }),
	}
	recovering := []NotReady{{"recovery", "34 of 120 logs recovered"}, {"log.dirs", "/data is offline: input/output error"}}
	for _, c := range []struct {
		name, method, path string
		config             Config
		missing            []NotReady
		code               int
		body               string
	}{
		{"alive", "GET", "/healthz", plain, nil, 200, `{"status":"ok"}` + "\n"},
		{"alive, by HEAD", "HEAD", "/healthz", plain, nil, 200, ""},
		{"alive while not ready", "GET", "/healthz", plain, recovering, 200, `{"status":"ok"}` + "\n"},
		{"ready", "GET", "/readyz", plain, nil, 200, `{"status":"ready"}` + "\n"},
		{"ready without a check", "GET", "/readyz", full, nil, 200, `{"status":"ready"}` + "\n"},
		{"not ready", "GET", "/readyz", plain, recovering, 503,
			`{"status":"not ready","notReady":[{"check":"recovery","reason":"34 of 120 logs recovered"},{"check":"log.dirs","reason":"/data is offline: input/output error"}]}` + "\n"},
		{"metrics", "GET", "/metrics", full, nil, 200, "some_metric 1\n"},
		{"no metrics", "GET", "/metrics", plain, nil, 404, "404 page not found\n"},
		{"the API", "POST", "/api/v1/groups", full, nil, 200, "console /api/v1/groups"},
		{"the console", "GET", "/console/topics", full, nil, 200, "console /console/topics"},
		{"the console without a slash", "GET", "/console", full, nil, 200, "console /console"},
		{"no console", "GET", "/console/", plain, nil, 404, "404 page not found\n"},
		{"no API", "GET", "/api/v1/groups", plain, nil, 404, "404 page not found\n"},
		{"no profiles unless asked for", "GET", "/debug/pprof/heap", plain, nil, 404, "404 page not found\n"},
		{"a profile that takes too long", "GET", "/debug/pprof/profile?seconds=61", full, nil, 400, "seconds must be above 0 and at most 60\n"},
		{"a profile of nonsense", "GET", "/debug/pprof/trace?seconds=x", full, nil, 400, "seconds must be above 0 and at most 60\n"},
		{"what there is", "GET", "/", full, nil, 200, `{"paths":["/healthz","/readyz","/console/","/api/v1/","/metrics","/debug/pprof/"]}` + "\n"},
		{"what there is without the rest", "GET", "/", plain, nil, 200, `{"paths":["/healthz","/readyz"]}` + "\n"},
		{"unknown", "GET", "/x", full, nil, 404, "404 page not found\n"},
		{"another method", "POST", "/readyz", plain, nil, 405, "Method Not Allowed\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			missing = c.missing
			w := httptest.NewRecorder()
			Handler(c.config).ServeHTTP(w, httptest.NewRequest(c.method, c.path, nil))
			body := w.Body.String()
			if c.method == "HEAD" {
				body = ""
			}
			if w.Code != c.code || body != c.body {
				t.Errorf("got %d %q\nwant %d %q", w.Code, body, c.code, c.body)
			}
			if w.Header().Get("X-Content-Type-Options") != "nosniff" {
				t.Error("browsers may guess the content type")
			}
		})
	}
}

func TestABrowserIsLedToTheConsole(t *testing.T) {
	for _, c := range []struct {
		config Config
		code   int
	}{{Config{}, 200}, {Config{Console: http.NotFoundHandler()}, 302}} {
		w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
		Handler(c.config).ServeHTTP(w, r)
		if to := w.Header().Get("Location"); w.Code != c.code || c.code == 302 && to != "/console/" {
			t.Errorf("got %d to %q, want %d", w.Code, to, c.code)
		}
	}
}

// A stream has no end of its own; without Closing, Close would wait for it until its context ends.
func TestCloseEndsStreams(t *testing.T) {
	closing, open := make(chan struct{}), make(chan struct{})
	s, err := Listen(t.Context(), Config{Address: "127.0.0.1:0", Closing: func() { close(closing) }, Console: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(open)
		<-closing
	})})
	if err != nil {
		t.Fatal(err)
	}
	answered := make(chan error)
	go func() {
		r, err := http.Get("http://" + s.Addr().String() + "/console/events")
		if err == nil {
			r.Body.Close()
		}
		answered <- err
	}()
	<-open
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-answered; err != nil {
		t.Error(err)
	}
}

func TestProfilesWhenAskedFor(t *testing.T) {
	w := httptest.NewRecorder()
	Handler(Config{Pprof: true}).ServeHTTP(w, httptest.NewRequest("GET", "/debug/pprof/goroutine?debug=1", nil))
	if w.Code != 200 || !strings.Contains(w.Body.String(), "goroutine profile") {
		t.Errorf("got %d %.100q", w.Code, w.Body.String())
	}
}

func TestBodiesAreBounded(t *testing.T) {
	var read int64
	var err error
	h := Handler(Config{Console: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { read, err = io.Copy(io.Discard, r.Body) })})
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/api/v1/x", strings.NewReader(strings.Repeat("x", bodyBytesMax+1))))
	var tooLarge *http.MaxBytesError
	if !errors.As(err, &tooLarge) || read > bodyBytesMax {
		t.Errorf("read %d bytes, %v", read, err)
	}
}

func TestAddressesOthersCanReachAreRefused(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.7:0", "[::ffff:10.0.0.1]:0"} {
		s, err := Listen(t.Context(), Config{Address: address})
		if err == nil {
			s.Close(t.Context())
		}
		if err == nil || !strings.Contains(err.Error(), "set admin.allow.remote=true") || !strings.Contains(err.Error(), address) {
			t.Errorf("%s: got %v", address, err)
		}
	}
	if _, err := Listen(t.Context(), Config{Address: "localhost"}); err == nil || !strings.Contains(err.Error(), "is not host:port") {
		t.Errorf("got %v", err)
	}
}

func TestListenOnLoopbackAndClose(t *testing.T) {
	s, err := Listen(t.Context(), Config{Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.Get("http://" + s.Addr().String() + "/healthz")
	if err != nil || r.StatusCode != 200 {
		t.Fatal(err, r)
	}
	r.Body.Close()
	if _, err := Listen(t.Context(), Config{Address: s.Addr().String()}); err == nil || !strings.Contains(err.Error(), "--admin-addr") {
		t.Errorf("a taken port: got %v", err)
	}
	http.DefaultClient.CloseIdleConnections()
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := http.Get("http://" + s.Addr().String() + "/healthz"); err == nil {
		t.Error("the port still answers")
	}
	all, err := Listen(t.Context(), Config{Address: "0.0.0.0:0", AllowRemote: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := all.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// memory is a listener whose connections are pipes.
type memory struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newMemory() *memory { return &memory{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (m *memory) Accept() (net.Conn, error) {
	select {
	case c := <-m.conns:
		return c, nil
	case <-m.closed:
		return nil, net.ErrClosed
	}
}
func (m *memory) Close() error   { m.once.Do(func() { close(m.closed) }); return nil }
func (m *memory) Addr() net.Addr { return &net.UnixAddr{Name: "memory"} }
func (m *memory) dial() net.Conn {
	client, server := net.Pipe()
	m.conns <- server
	return client
}

func TestHeadersThatNeverEndAreCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		s := Serve(m, Config{})
		c := m.dial()
		if _, err := io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: "); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		io.Copy(io.Discard, c) // the end of the connection
		if took := time.Since(start); took > readTimeout {
			t.Errorf("cut off after %v", took)
		}
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestLargeHeadersAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		s := Serve(m, Config{})
		c := m.dial()
		go io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Big: "+strings.Repeat("x", 10*headerBytesMax)+"\r\n\r\n")
		r, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || r.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("got %v, %v", r, err)
		}
		c.Close()
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestCloseWaitsForRequestsButNotForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			takes time.Duration
			fails bool
		}{{time.Second, false}, {time.Hour, true}} {
			m := newMemory()
			began := make(chan struct{})
			s := Serve(m, Config{Console: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				close(began)
				select {
				case <-time.After(c.takes):
				case <-r.Context().Done():
				}
			})})
			conn := m.dial()
			io.WriteString(conn, "GET /api/v1/x HTTP/1.1\r\nHost: x\r\n\r\n")
			<-began
			go io.Copy(io.Discard, conn)
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			start := time.Now()
			err := s.Close(ctx)
			cancel()
			if (err != nil) != c.fails || c.fails && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("a request of %v: %v", c.takes, err)
			}
			if took := time.Since(start); took > 6*time.Second || !c.fails && took < c.takes {
				t.Errorf("a request of %v: closed after %v", c.takes, took)
			}
			conn.Close()
		}
	})
}
