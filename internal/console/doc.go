// Package console is the broker in a browser: groups and their rebalances as a timeline, incidents with their evidence, topics with sizes and
// rates.
//
// Shell: pages by html/template, drawings as SVG made here, live updates as server-sent events, and a few small scripts of our own, all inside
// the binary. It promises that every name from outside (groups, topics, clients, members, reasons) is shown as text wherever it stands, that the
// pages work without scripts and load nothing from another host, and that an answer costs no more than its page: lists are paged, drawings
// aggregated above 200 lanes or 5,000 ribbons, streams counted. It reads and never changes anything; it knows brokers only as a Source.
//
// The parts, from the outside in:
//
//	console.go   the handler: routes, headers, who may ask, errors
//	pages.go     one function per page
//	api.go       the same as JSON
//	events.go    the stream of changes
//	store.go     the newest incidents, within a bound
//	source.go    what is asked of the broker
//	timeline.go  incidents -> who owned what when
//	lanes.go     members -> lanes, at most 200 of them
//	draw.go      that -> coordinates and paths
//	words.go     the console's words in English and Chinese
//	format.go    numbers, times and strange names for people
package console
