package config

import (
	"fmt"
	"strings"
)

// Documentation is docs/configuration.md, made from the tables.
func Documentation() string {
	var b strings.Builder
	b.WriteString(docHead)
	differing(&b)
	b.WriteString("\n## Broker settings\n\nScope: *read-only* needs a restart, *cluster-wide* can change at runtime for one broker or for all, *per-broker* for one broker only\n" +
		"(`barnabas config alter`, `kafka-configs.sh --alter`, or the AdminClient of any language).\n")
	for _, c := range []struct {
		title string
		rows  []Definition
	}{
		{"Identity and data", identityRows}, {"Listeners and limits", networkRows}, {"Admin port and metrics", adminRows}, {"Log", logRows},
		{"Compaction", cleanerRows}, {"Consumer groups", groupRows}, {"Defaults of topic settings", topicRows},
	} {
		fmt.Fprintf(&b, "\n### %s\n", c.title)
		settings(&b, c.rows)
	}
	b.WriteString("\n## Topic settings\n\nSet them when a topic is created or later; all of them take effect without a restart. A topic without an override takes the broker's\n" +
		"default: dynamic for the broker, dynamic for all brokers, static, built-in, the first that exists.\n")
	settings(&b, topicLevelRows)
	withoutEffect(&b)
	return b.String()
}

const docHead = `<!-- Generated from internal/config by "go generate ./internal/config". Do not edit. -->
# Configuration

Settings have Kafka's names, and a ` + "`server.properties`" + ` of Kafka is a valid configuration. They come from, strongest first:

1. flags: ` + "`--data-dir`" + ` (log.dirs), ` + "`--listeners`, `--advertised-listeners`, `--admin-addr`, `--set name=value`" + `
2. the environment: ` + "`KAFKA_`" + ` and the name in capitals, ` + "`.`" + ` as ` + "`_`, `_` as `__`, `-` as `___`" + `: ` + "`KAFKA_LOG_RETENTION_MS=3600000`" + `. ` + "`CLUSTER_ID`" + ` sets
   cluster.id. When only ` + "`KAFKA_ADVERTISED_LISTENERS`" + ` is given, its ports are opened on all addresses, as the container images of Kafka do.
3. the file of ` + "`--config`" + `: ` + "`name=value`" + ` lines in the syntax of Java properties
4. the defaults below

A start with invalid settings reports all of them at once and where each came from. An unknown name is an error in ` + "`--set`" + ` and a warning in
the file and the environment, as in Kafka. Numbers may be written with Kafka's largest long, 9223372036854775807, where it means "never".
` + "`--ephemeral`" + ` takes free ports instead of the default ones and a temporary data directory.
`

// differing lists where our defaults are not Kafka's.
func differing(b *strings.Builder) {
	b.WriteString("\n## Where our defaults differ from Apache Kafka's\n\n| setting | ours | Kafka's | why |\n|---|---|---|---|\n")
	for _, t := range []*table{brokerTable, topicTable} {
		for i := range t.rows {
			r := &t.rows[i]
			if r.KafkaDefault != "" || r.WhyDiffers != "" {
				fmt.Fprintf(b, "| %s | %s | %s | %s |\n", code(r.Name), defaultText(r), code(r.KafkaDefault), cell(r.WhyDiffers))
			}
		}
	}
	b.WriteString("\nSettings that only Barnabas has:")
	sep := " "
	for i := range brokerTable.rows {
		if r := &brokerTable.rows[i]; r.Ours {
			b.WriteString(sep + code(r.Name))
			sep = ", "
		}
	}
	b.WriteString(".\n")
}

func settings(b *strings.Builder, rows []Definition) {
	for i := range rows {
		r := &rows[i]
		if r.NoEffect != "" || r.Internal || r.Gone {
			continue
		}
		fmt.Fprintf(b, "\n#### %s\n\n%s\n\n", r.Name, r.Doc)
		facts := []string{r.Type.String()}
		if u := r.Unit(); u != "" {
			facts[0] += " (" + u + ")"
		}
		facts = append(facts, "default "+defaultText(r))
		if a := r.Allowed(); a != "" {
			facts = append(facts, a)
		}
		if !r.TopicLevel {
			facts = append(facts, r.Scope.String())
		}
		if r.Ours {
			facts = append(facts, "not in Kafka")
		}
		b.WriteString(strings.Join(facts, "; "))
		if len(r.Synonyms) > 0 {
			names := synonymNames(r)
			for i := range names {
				names[i] = code(names[i])
			}
			b.WriteString("; broker default: " + strings.Join(names, ", else "))
		}
		b.WriteString("\n")
	}
}

// withoutEffect lists the known names that do nothing, by reason.
func withoutEffect(b *strings.Builder) {
	b.WriteString("\n## Accepted without effect\n\nThese names of Kafka are accepted, checked and described, so that files and tools keep working, but do nothing here.\n")
	var reasons []string
	names := map[string][]string{}
	for _, t := range []*table{brokerTable, topicTable} {
		for i := range t.rows {
			r := &t.rows[i]
			if r.NoEffect == "" || r.Internal || r.TopicLevel && r.Gone {
				continue
			}
			if names[r.NoEffect] == nil {
				reasons = append(reasons, r.NoEffect)
			}
			n := code(r.Name)
			if r.TopicLevel {
				n += " (topic)"
			}
			names[r.NoEffect] = append(names[r.NoEffect], n)
		}
	}
	for _, why := range reasons {
		fmt.Fprintf(b, "\n- %s: %s\n", cell(why), strings.Join(names[why], ", "))
	}
}

func defaultText(r *Definition) string {
	switch {
	case !r.HasDefault:
		return "none"
	case r.Default == "":
		return "empty"
	}
	return code(r.Default)
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}

func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
