package console

import "github.com/barnabas-mq/barnabas/internal/journal"

// ChineseWords is the table of the other language.
func ChineseWords() map[string]string { return chinese }

// DynamicWords are those that are not written out where they are used.
func DynamicWords() (out []string) {
	for _, p := range []journal.PhaseName{journal.Gathering, journal.Noticing, journal.Drain, journal.Assign, journal.Sync} {
		out = append(out, string(p))
	}
	for _, c := range []journal.Confidence{journal.Measured, journal.Inferred, journal.ConsistentWith, journal.NotKnown} {
		out = append(out, string(c))
	}
	for _, c := range []journal.Change{journal.Stayed, journal.Joined, journal.Gone, journal.Replaced, journal.Passed} {
		out = append(out, string(c))
	}
	for _, k := range []journal.Kind{journal.Absorbed, journal.Refused} {
		out = append(out, string(k))
	}
	for _, text := range triggers {
		out = append(out, text)
	}
	return append(out, "crash", "pause", "fetching", "together", "everybody", "%d s ago", "%d min ago", "%d h ago", "%d d ago",
		"learned of it", "rejoined", "has its assignment",
		"There is no group of this name here, and the journal knows none.", "There is no topic of this name.", "There is no such incident; the journal keeps them for a limited time.",
		"There is no such page.", "The broker is starting, or shutting down. This page tries again by itself.", "The broker could not answer in time. Try again; its log says more.")
}
