package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// properties is a client configuration file in the form Kafka's tools take: name=value lines, '#' and '!' comments.
type properties map[string]string

func (p properties) get(name string) string { return p[name] }

// knownProperties are those that mean something here. Others that Kafka knows are accepted and unused, as Kafka's tools do.
var knownProperties = []string{
	"bootstrap.servers", "client.id", "request.timeout.ms", "default.api.timeout.ms", "socket.connection.setup.timeout.ms",
	"retries", "metadata.max.age.ms", "security.protocol",
}

func loadProperties(file string) (properties, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, wrap(err, "reading --command-config")
	}
	p := properties{}
	sc := bufio.NewScanner(bytes.NewReader(b))
	for n := 1; sc.Scan(); n++ {
		line := strings.TrimSpace(sc.Text())
		if line == "" || line[0] == '#' || line[0] == '!' {
			continue
		}
		k, v, ok := strings.Cut(line, "=")
		if !ok {
			return nil, usage(fmt.Sprintf("%s:%d: no '=' in %q", file, n, line), "write one name=value per line")
		}
		p[strings.TrimSpace(k)] = strings.TrimSpace(v)
	}
	if err := sc.Err(); err != nil {
		return nil, wrap(err, "reading %s", file)
	}
	if v := p["security.protocol"]; v != "" && v != "PLAINTEXT" {
		return nil, usage("security.protocol="+v+" is not supported by this build", "use a PLAINTEXT listener")
	}
	for _, name := range []string{"request.timeout.ms", "default.api.timeout.ms", "socket.connection.setup.timeout.ms", "retries", "metadata.max.age.ms"} {
		if v, ok := p[name]; ok {
			if n, err := strconv.ParseInt(v, 10, 32); err != nil || n < 0 {
				return nil, usage(fmt.Sprintf("%s: %s=%q is not a whole number from 0 to 2147483647", file, name, v), "correct the value")
			}
		}
	}
	return p, nil
}

// ms is a property in milliseconds, or def.
func (p properties) ms(name string, def time.Duration) time.Duration {
	if v, err := strconv.ParseInt(p[name], 10, 32); err == nil {
		return time.Duration(v) * time.Millisecond
	}
	return def
}

// apiTimeout bounds one admin action with all its retries (Kafka: default.api.timeout.ms, 60 s; a person waits less gladly).
func (a *app) apiTimeout() time.Duration {
	return a.settings.ms("default.api.timeout.ms", 15*time.Second)
}

// client opens a connection to the cluster and makes sure somebody answers, so that a wrong address is one clear error at once.
func (a *app) client(ctx context.Context, more ...kgo.Opt) (*kgo.Client, error) {
	opts := []kgo.Opt{
		kgo.SeedBrokers(a.bootstrap...),
		kgo.ClientID(cmp.Or(a.settings.get("client.id"), "barnabas-cli")),
		kgo.SoftwareNameAndVersion("barnabas-cli", softwareVersion()),
		kgo.DialTimeout(a.settings.ms("socket.connection.setup.timeout.ms", 5*time.Second)),
		kgo.RequestTimeoutOverhead(max(100*time.Millisecond, min(15*time.Minute, a.settings.ms("request.timeout.ms", 10*time.Second)))),
		kgo.RetryTimeout(a.apiTimeout()),
		kgo.MetadataMinAge(100 * time.Millisecond),
	}
	if v := a.settings.get("retries"); v != "" {
		n, _ := strconv.Atoi(v) // loadProperties checked it
		opts = append(opts, kgo.RequestRetries(n))
	}
	if v := a.settings.ms("metadata.max.age.ms", 0); v > 0 {
		opts = append(opts, kgo.MetadataMaxAge(max(v, 100*time.Millisecond)))
	}
	opts = append(opts, a.extra...)
	opts = append(opts, more...)
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, usage(fmt.Sprintf("cannot set the client up: %v", err), "check --bootstrap and --command-config")
	}
	pctx, cancel := context.WithTimeout(ctx, a.apiTimeout())
	defer cancel()
	if err := cl.Ping(pctx); err != nil {
		cl.Close()
		return nil, err
	}
	return cl, nil
}

// adminClient is kadm plus the connection under it, for requests that kadm has no door for.
type adminClient struct {
	*kadm.Client
	wire *kgo.Client
}

// admin is client for commands that ask and change, bounded in time as a whole.
func (a *app) admin(ctx context.Context) (context.Context, *adminClient, func(), error) {
	cl, err := a.client(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 4*a.apiTimeout())
	adm := &adminClient{Client: kadm.NewClient(cl), wire: cl}
	adm.SetTimeoutMillis(int32(a.apiTimeout() / time.Millisecond))
	return ctx, adm, func() { cancel(); cl.Close() }, nil
}

// pattern selects topics by name: exact names, shell globs when they hold one of *?[, or regular expressions that must
// match the whole name.
type pattern struct {
	args  []string
	regex []*regexp.Regexp
}

func newPattern(args []string, isRegex bool) (*pattern, error) {
	p := &pattern{args: args}
	if isRegex {
		for _, s := range args {
			re, err := regexp.Compile("^(?:" + s + ")$")
			if err != nil {
				return nil, usage(fmt.Sprintf("%q is not a regular expression: %v", s, err), "Go's RE2 syntax, without ^ and $")
			}
			p.regex = append(p.regex, re)
		}
		return p, nil
	}
	for _, s := range args {
		if _, err := path.Match(s, ""); err != nil {
			return nil, usage(fmt.Sprintf("%q is not a pattern: %v", s, err), "use * for any text, ? for one character, [a-z] for a set")
		}
	}
	return p, nil
}

func isGlob(s string) bool { return strings.ContainsAny(s, "*?[") }

// wild reports whether any argument can match more than one name.
func (p *pattern) wild() bool { return p.regex != nil || slices.ContainsFunc(p.args, isGlob) }

// pick returns the matching names in the order of names, and the arguments that matched nothing. No arguments match all.
// A glob or expression takes internal topics only if internal is set; a full name always does.
func (p *pattern) pick(names []string, internal func(string) bool, withInternal bool) (picked, unmatched []string) {
	hit := make([]bool, len(p.args))
	for _, name := range names {
		ok := len(p.args) == 0 && (withInternal || !internal(name))
		for i, s := range p.args {
			var m bool
			switch {
			case p.regex != nil:
				m = p.regex[i].MatchString(name) && (withInternal || !internal(name))
			case isGlob(s):
				m, _ = path.Match(s, name)
				m = m && (withInternal || !internal(name))
			default:
				m = s == name
			}
			if m {
				ok, hit[i] = true, true
			}
		}
		if ok {
			picked = append(picked, name)
		}
	}
	for i, s := range p.args {
		if !hit[i] {
			unmatched = append(unmatched, s)
		}
	}
	return picked, unmatched
}

// matchTopics lists the cluster's topics and applies p. An argument that matches nothing is an error, unless lenient.
func matchTopics(ctx context.Context, adm *adminClient, p *pattern, withInternal, lenient bool) ([]kadm.TopicDetail, error) {
	var meta kadm.TopicDetails
	var err error
	if p.wild() || len(p.args) == 0 {
		meta, err = adm.ListTopicsWithInternal(ctx)
	} else {
		meta, err = adm.ListTopicsWithInternal(ctx, p.args...)
	}
	if err != nil {
		return nil, wrap(err, "listing topics")
	}
	var names []string
	for _, n := range meta.Names() {
		if d := meta[n]; d.Err == nil || len(d.Partitions) > 0 {
			names = append(names, n)
		}
	}
	picked, unmatched := p.pick(names, func(n string) bool { return meta[n].IsInternal }, withInternal)
	if len(unmatched) > 0 && !lenient {
		if d, ok := meta[unmatched[0]]; ok && d.Err != nil && !isUnknownTopic(d.Err) {
			return nil, wrap(d.Err, "%s", unmatched[0])
		}
		return nil, noTopic(unmatched...)
	}
	out := make([]kadm.TopicDetail, len(picked))
	for i, n := range picked {
		out[i] = meta[n]
	}
	return out, nil
}

func noTopic(names ...string) error {
	cure := "see the topics with `barnabas topics list`"
	if len(names) == 1 && !isGlob(names[0]) {
		cure += ", or create it with `barnabas topics create " + names[0] + "`"
	}
	if len(names) == 1 {
		return failed("no topic "+names[0], cure)
	}
	return failed("no topics "+strings.Join(names, ", "), cure)
}

// parsePartitions reads "0,3,5-7".
func parsePartitions(s string) ([]int32, error) {
	if s == "" {
		return nil, nil
	}
	seen := map[int32]bool{}
	var out []int32
	for part := range strings.SplitSeq(s, ",") {
		lo, hi, isRange := strings.Cut(strings.TrimSpace(part), "-")
		from, err := strconv.ParseInt(lo, 10, 32)
		to := from
		if err == nil && isRange {
			to, err = strconv.ParseInt(hi, 10, 32)
		}
		if err != nil || from < 0 || to < from || to-from > 1_000_000 {
			return nil, usage(fmt.Sprintf("partitions %q: %q is neither a number nor a range", s, part), "write them as 0,3,5-7")
		}
		for n := from; n <= to; n++ {
			if !seen[int32(n)] {
				seen[int32(n)] = true
				out = append(out, int32(n))
			}
		}
	}
	slices.Sort(out)
	return out, nil
}

// parsePairs reads k=v flags. The value may hold '=' and may be empty.
func parsePairs(flag string, list []string) ([][2]string, error) {
	var out [][2]string
	for _, s := range list {
		k, v, ok := strings.Cut(s, "=")
		if !ok || k == "" {
			return nil, usage(fmt.Sprintf("--%s %q is not name=value", flag, s), "write --"+flag+" name=value")
		}
		out = append(out, [2]string{k, v})
	}
	return out, nil
}
