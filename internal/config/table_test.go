package config

import (
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var rewrite = flag.Bool("rewrite", false, "write docs/configuration.md")

func TestEveryRowIsSound(t *testing.T) {
	for _, table := range []*table{brokerTable, topicTable} {
		for i := range table.rows {
			r := &table.rows[i]
			if r.HasDefault {
				if v, wrong := r.canonical(r.Default); wrong != "" || v != r.Default {
					t.Errorf("%s: default %q becomes %q, %s", r.Name, r.Default, v, wrong)
				}
			}
			if !strings.HasSuffix(r.Doc, ".") && !strings.HasSuffix(r.Doc, ".)") {
				t.Errorf("%s: its sentence has no end: %q", r.Name, r.Doc)
			}
			if (r.KafkaDefault != "") != (r.WhyDiffers != "") {
				t.Errorf("%s: differs from Kafka without saying how and why", r.Name)
			}
			if strings.HasSuffix(r.NoEffect, ".") {
				t.Errorf("%s: the reason %q is put into a sentence and needs no full stop", r.Name, r.NoEffect)
			}
			if r.Topic != "" && topicTable.byName[r.Topic] == nil {
				t.Errorf("%s: there is no topic setting %s", r.Name, r.Topic)
			}
		}
	}
}

func TestBrokerSynonymsOfTopicSettingsAgreeWithThem(t *testing.T) {
	for i := range topicTable.rows {
		r := &topicTable.rows[i]
		var def string
		for _, s := range r.Synonyms {
			b := brokerTable.byName[s.Name]
			if b == nil {
				t.Errorf("%s: there is no broker setting %s", r.Name, s.Name)
				continue
			}
			if b.Topic != r.Name && b.Name != "log.flush.scheduler.interval.ms" {
				t.Errorf("%s does not say that it is the default of %s", b.Name, r.Name)
			}
			if def == "" && b.HasDefault {
				def = s.convert(b.Default)
			}
			if s.Factor == 1 && (b.Type != r.Type || b.NoEffect != r.NoEffect) {
				t.Errorf("%s and %s differ in type or effect", r.Name, b.Name)
			}
		}
		if len(r.Synonyms) > 0 && def != r.Default {
			t.Errorf("%s has default %q, its broker settings %q", r.Name, r.Default, def)
		}
	}
}

// What has an effect must reach somebody: a field, or one of the few settings that code reads by name.
func TestEveryEffectiveSettingHasAField(t *testing.T) {
	byName := map[string]bool{
		"node.id": true, "broker.id": true, "log.dirs": true, "log.dir": true, "metadata.log.dir": true, "max.connections.per.ip.overrides": true,
		"listeners": true, "advertised.listeners": true, "listener.security.protocol.map": true, "inter.broker.listener.name": true,
		"controller.listener.names": true, "log.flush.scheduler.interval.ms": true,
		"cleanup.policy": true, "message.timestamp.type": true, "segment.bytes": true, "internal.segment.bytes": true,
	}
	var tags func(reflect.Type)
	tags = func(v reflect.Type) {
		for i := range v.NumField() {
			f := v.Field(i)
			if name := f.Tag.Get("config"); name != "" {
				byName[name] = true
			} else if f.Type.Kind() == reflect.Struct {
				tags(f.Type)
			}
		}
	}
	tags(reflect.TypeFor[Broker]())
	tags(reflect.TypeFor[TopicConfig]())
	for _, table := range []*table{brokerTable, topicTable} {
		for i := range table.rows {
			r := &table.rows[i]
			switch {
			case r.NoEffect != "" && byName[r.Name] && !r.TopicLevel:
				t.Errorf("%s is used but said to be without effect", r.Name)
			case r.NoEffect == "" && r.Topic == "" && !byName[r.Name]:
				t.Errorf("%s is said to have an effect but nothing uses it", r.Name)
			}
		}
	}
	for name := range byName { // any order: each is its own failure
		if brokerTable.byName[name] == nil && topicTable.byName[name] == nil {
			t.Errorf("a field names %s, which is no setting", name)
		}
	}
}

// All topic settings of Kafka 4 must be there, or tools that set them fail.
func TestTopicSettingsOfKafka4AreKnown(t *testing.T) {
	for _, name := range strings.Fields(`cleanup.policy compression.gzip.level compression.lz4.level compression.type compression.zstd.level
		delete.retention.ms file.delete.delay.ms flush.messages flush.ms follower.replication.throttled.replicas index.interval.bytes
		leader.replication.throttled.replicas local.retention.bytes local.retention.ms max.compaction.lag.ms max.message.bytes
		message.timestamp.after.max.ms message.timestamp.before.max.ms message.timestamp.type min.cleanable.dirty.ratio min.compaction.lag.ms
		min.insync.replicas preallocate remote.log.copy.disable remote.log.delete.on.disable remote.storage.enable retention.bytes
		retention.ms segment.bytes segment.index.bytes segment.jitter.ms segment.ms unclean.leader.election.enable`) {
		if _, ok := LookupTopic(name); !ok {
			t.Errorf("topic setting %s is not known", name)
		}
	}
}

func TestLookupPrefersTheBrokerSetting(t *testing.T) {
	r, ok := Lookup("min.insync.replicas")
	if !ok || r.TopicLevel || r.Topic != "min.insync.replicas" {
		t.Errorf("got %+v, %v", r, ok)
	}
	if r, ok := Lookup("retention.ms"); !ok || !r.TopicLevel || r.Unit() != "ms" || r.Allowed() != "at least -1" {
		t.Errorf("got %+v, %v", r, ok)
	}
	if _, ok := Lookup("no.such.thing"); ok {
		t.Error("an unknown name was found")
	}
}

func TestDocumentationIsCurrent(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "configuration.md")
	want := Documentation()
	if *rewrite {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.ReplaceAll(string(got), "\r\n", "\n"), want); diff != "" {
		t.Errorf("docs/configuration.md is stale; run go generate ./internal/config (- file, + tables):\n%s", diff)
	}
}

// Every setting of Apache Kafka is known with its type, importance, scope and default, unless a row says how and why it differs.
func TestSettingsAgreeWithApacheKafka(t *testing.T) {
	text, err := os.ReadFile("testdata/kafka-4.3.1.tsv")
	if err != nil {
		t.Fatal(err)
	}
	known := 0
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		f := strings.Split(strings.TrimRight(line, "\r"), "\t")
		if strings.HasPrefix(line, "#") || len(f) != 7 {
			continue
		}
		known++
		level, name, typ, def, importance, scope, synonym := f[0], f[1], f[2], f[3], f[4], f[5], f[6]
		r := brokerTable.byName[name]
		if level == "topic" {
			r = topicTable.byName[name]
		}
		if r == nil {
			t.Errorf("%s setting %s is not known", level, name)
			continue
		}
		ours := r.Default
		switch {
		case r.KafkaDefault != "":
			ours = r.KafkaDefault
		case !r.HasDefault:
			ours = "none"
		}
		if name == "process.roles" { // Kafka demands it, here it means nothing
			ours = "none"
		}
		if r.Type.String() != typ || ours != def || r.Importance.String() != importance || r.Ours || r.Gone || r.Internal {
			t.Errorf("%s: Kafka has %s, default %q, %s; we have %s, default %q, %s, ours=%v gone=%v internal=%v",
				name, typ, def, importance, r.Type, ours, r.Importance, r.Ours, r.Gone, r.Internal)
		}
		// What opens ports or protects them is not changed at runtime here, and what protects nothing yet must not pretend to.
		stricter := r.Scope == ReadOnly && (r.NoEffect == noSecurity || name == "listeners" || name == "listener.security.protocol.map")
		if level == "broker" && r.Scope.String() != scope && !stricter {
			t.Errorf("%s is %s, in Kafka %s", name, r.Scope, scope)
		}
		if level == "topic" && (len(r.Synonyms) > 0) != (synonym != "") || synonym != "" && r.Synonyms[0].Name != synonym {
			t.Errorf("%s has the broker settings %v, in Kafka %q", name, r.Synonyms, synonym)
		}
	}
	if known < 300 {
		t.Errorf("only %d settings were compared", known)
	}
}
