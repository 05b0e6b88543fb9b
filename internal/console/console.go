package console

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"html/template"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"
)

// Config is what a console is made of.
type Config struct {
	Source Source
	// Changes tells open pages what changed; nil leaves them to ask now and then.
	Changes *Hub
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// LoopbackOnly refuses requests that name another host than this machine: with a port that only this machine reaches, those come from a
	// stranger's page whose name was pointed at it (DNS rebinding).
	LoopbackOnly bool
	// Version is what the broker calls itself, for the foot of the pages.
	Version string
	// Logger hears of answers that failed; nil discards.
	Logger *slog.Logger
}

// Bounds of what is worked on at a time.
const (
	answersMax    = 16              // pages made at once; more wait
	answerTimeout = 5 * time.Second // for the Source and the page together
	streamsMax    = 64
)

//go:embed templates static
var files embed.FS

// Console serves /console/ and /api/v1/.
type Console struct {
	c     Config
	mux   *http.ServeMux
	pages map[string]*template.Template
	busy  chan struct{}
	etags map[string]string
	done  chan struct{} // closed by Close: ends the streams
}

// New is the console of a broker. It panics when its own templates do not parse, which a test would have found.
func New(c Config) *Console {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Changes == nil {
		c.Changes = NewHub()
	}
	s := &Console{c: c, mux: http.NewServeMux(), busy: make(chan struct{}, answersMax), done: make(chan struct{})}
	s.loadPages()
	s.loadStatic()
	s.mux.HandleFunc("GET /console", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/console/", http.StatusMovedPermanently)
	})
	s.page("/console/{$}", s.groups)
	s.page("/console/group", s.group)
	s.page("/console/timeline", s.timeline)
	s.page("/console/incident", s.incident)
	s.page("/console/topics", s.topics)
	s.page("/console/topic", s.topic)
	s.page("/console/", func(*request) (*answer, error) { return nil, errNoPage })
	s.mux.HandleFunc("GET /console/static/{file}", s.static)
	s.mux.HandleFunc("GET /console/events", s.events)
	s.routeAPI()
	return s
}

// Close ends the streams, so that a server can shut down.
func (s *Console) Close() { close(s.done) }

// contentPolicy allows what the console brings along and nothing else.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// ServeHTTP puts the same guard before every answer.
func (s *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	if s.c.LoopbackOnly && !loopbackHost(r.Host) {
		http.Error(w, "this port answers under the names of this machine only: localhost, 127.0.0.1 or [::1]", http.StatusMisdirectedRequest)
		return
	}
	s.mux.ServeHTTP(w, r)
}

func loopbackHost(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	a, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && a.Unmap().IsLoopback()
}

// request is one request for a page, with what every page wants to know.
type request struct {
	ctx   context.Context
	query url.Values
	words *words
	now   time.Time
	width int // of the reader's plot, in pixels
	url   *url.URL
}

// answer is a page to be written: a template and what it shows.
type answer struct {
	template string
	page     *page
}

// page is what all pages have in common.
type page struct {
	*words
	Title, Section string
	// Watch is what the page shows, for the stream of changes: "groups", "topics" or "group".
	Watch, WatchName string
	// Here leads to this page without a language; Languages to it in others.
	Version string
	Now     time.Time
	url     *url.URL
	Retry   bool
	Body    any
}

// T is a text in the reader's language.
func (p *page) T(key string) string { return p.get(key) }

// Tf is T with numbers in it.
func (p *page) Tf(format string, args ...any) string { return p.getf(format, args...) }

// Tn is the text for one or for many, with the number in it.
func (p *page) Tn(n int64, one, many string) string {
	if n == 1 {
		many = one
	}
	return p.getf(many, count(n))
}

// Lang is the page's language.
func (p *page) Lang() string { return p.lang }

// In is the link to this page in another language.
func (p *page) In(lang string) string {
	q := p.url.Query()
	q.Set("lang", lang)
	return p.url.Path + "?" + q.Encode()
}

var errNoPage = errors.New("there is no such page")

// page mounts a function that makes pages.
func (s *Console) page(pattern string, f func(*request) (*answer, error)) {
	s.mux.HandleFunc("GET "+pattern, func(w http.ResponseWriter, r *http.Request) {
		if lang := r.URL.Query().Get("lang"); lang != "" {
			s.setLanguage(w, r, lang)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), answerTimeout)
		defer cancel()
		q := &request{ctx: ctx, query: r.URL.Query(), words: wordsFor(language(r)), now: s.c.Now().UTC(), width: width(r), url: r.URL}
		w.Header().Add("Vary", "Accept-Language, Cookie")
		select {
		case s.busy <- struct{}{}:
			defer func() { <-s.busy }()
		case <-ctx.Done():
			s.fail(w, q, context.DeadlineExceeded)
			return
		}
		a, err := f(q)
		if err != nil {
			s.fail(w, q, err)
			return
		}
		s.write(w, q, http.StatusOK, a)
	})
}

// write makes the whole page before its first byte leaves, so that a failure is a page of its own.
func (s *Console) write(w http.ResponseWriter, q *request, code int, a *answer) {
	a.page.words, a.page.Now, a.page.Version, a.page.url = q.words, q.now, s.c.Version, q.url
	var b bytes.Buffer
	name := "layout"
	if a.template == "timeline.html" {
		name = "timeline"
	}
	if err := s.pages[a.template].ExecuteTemplate(&b, name, a.page); err != nil {
		s.c.Logger.Error("a page of the console could not be made", "page", a.template, "error", err)
		http.Error(w, "the page could not be made; the broker's log says why", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", q.words.lang)
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(code)
	_, _ = w.Write(b.Bytes()) // the reader went away: nobody is left to tell
}

type failure struct{ Text string }

func (s *Console) fail(w http.ResponseWriter, q *request, err error) {
	code, p := http.StatusInternalServerError, &page{Title: q.words.get("Something failed"), Retry: true}
	text := "The broker could not answer in time. Try again; its log says more."
	switch {
	case errors.Is(err, errNoPage):
		code, p.Title, p.Retry, text = http.StatusNotFound, q.words.get("Not found"), false, "There is no such page."
	case errors.Is(err, ErrNotFound):
		code, p.Title, p.Retry = http.StatusNotFound, q.words.get("Not found"), false
		text = "There is no group of this name here, and the journal knows none."
		switch path.Base(q.url.Path) {
		case "topic":
			text = "There is no topic of this name."
		case "incident":
			text = "There is no such incident; the journal keeps them for a limited time."
		}
	case errors.Is(err, ErrNotReady):
		code, p.Title, text = http.StatusServiceUnavailable, q.words.get("Not ready"), "The broker is starting, or shutting down. This page tries again by itself."
		w.Header().Set("Retry-After", "2")
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		code = http.StatusServiceUnavailable
	default:
		s.c.Logger.Error("the console could not show a page", "path", q.url.Path, "error", err)
	}
	p.Body = failure{q.words.get(text)}
	s.write(w, q, code, &answer{"error.html", p})
}

// language is the reader's: chosen, else the browser's, else English.
func language(r *http.Request) string {
	if c, err := r.Cookie("lang"); err == nil {
		return c.Value
	}
	return pick(r.Header.Get("Accept-Language"))
}

func (s *Console) setLanguage(w http.ResponseWriter, r *http.Request, lang string) {
	http.SetCookie(w, &http.Cookie{Name: "lang", Value: wordsFor(lang).lang, Path: "/console", MaxAge: 365 * 24 * 3600, HttpOnly: true, SameSite: http.SameSiteStrictMode})
	q := r.URL.Query()
	q.Del("lang")
	to := url.URL{Path: r.URL.Path, RawQuery: q.Encode()}
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, to.String(), http.StatusSeeOther)
}

// width is how wide the reader's plot is: asked for, or as the script left it; a laptop's without one.
func width(r *http.Request) int {
	n, _ := strconv.Atoi(r.URL.Query().Get("w"))
	if c, err := r.Cookie("w"); n == 0 && err == nil {
		n, _ = strconv.Atoi(c.Value)
	}
	if n == 0 {
		n = 1120
	}
	return min(max(n, 300), 2400)
}

func (s *Console) loadPages() {
	s.pages = map[string]*template.Template{}
	base := template.Must(template.New("").Funcs(functions).ParseFS(files, "templates/layout.html", "templates/timeline.html", "templates/parts.html"))
	names, err := fs.Glob(files, "templates/*.html")
	if err != nil {
		panic(err)
	}
	for _, n := range names {
		s.pages[path.Base(n)] = template.Must(template.Must(base.Clone()).ParseFS(files, n))
	}
}

func (s *Console) loadStatic() {
	s.etags = map[string]string{}
	list, err := files.ReadDir("static")
	if err != nil {
		panic(err)
	}
	for _, f := range list {
		b, err := files.ReadFile("static/" + f.Name())
		if err != nil {
			panic(err)
		}
		sum := sha256.Sum256(b)
		s.etags[f.Name()] = `"` + hex.EncodeToString(sum[:8]) + `"`
	}
}

var contentTypes = map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

func (s *Console) static(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	etag, ok := s.etags[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", contentTypes[path.Ext(name)])
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", etag)
	http.ServeFileFS(w, r, files, "static/"+name)
}
