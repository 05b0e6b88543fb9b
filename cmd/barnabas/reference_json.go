package main

import (
	"encoding"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/barnabas-mq/barnabas/internal/kafka"
	"github.com/barnabas-mq/barnabas/internal/observe/clientlog"
)

// jsonOutputs is what each command prints with -o json, as zero values of the types it encodes. The reference shows their fields.
// Several values are several kinds of line.
var jsonOutputs = map[string][]any{
	"barnabas bench consume":         {benchReport{}},
	"barnabas bench latency":         {benchReport{}},
	"barnabas bench produce":         {benchReport{}},
	"barnabas cluster":               {clusterInfo{}},
	"barnabas cluster api-versions":  {[]apiRow{}},
	"barnabas cluster describe":      {clusterInfo{}},
	"barnabas config alter":          {[]configResult{}},
	"barnabas config describe":       {[]configResource{}},
	"barnabas demo slow-consumer":    {explanation{}},
	"barnabas explain":               {explanation{}, clientlog.Report{}},
	"barnabas groups delete":         {[]groupResult{}},
	"barnabas groups delete-offsets": {[]deletedOffset{}},
	"barnabas groups describe":       {[]groupDescription{}},
	"barnabas groups export":         {[]exportedGroup{}},
	"barnabas groups import":         {[]offsetChange{}},
	"barnabas groups lag":            {[]lagRow{}},
	"barnabas groups list":           {[]groupRow{}},
	"barnabas groups migrate":        {[]migratedOffset{}},
	"barnabas groups remove-members": {[]removedMember{}},
	"barnabas groups reset-offsets":  {[]offsetChange{}},
	"barnabas log dump":              {dumpBatch{}, dumpRecord{}, dumpIndexEntry{}, dumpTimeEntry{}, dumpTxn{}, dumpProducer{}, dumpEpoch{}, dumpOffset{}, dumpMetadata{}, dumpProblem{}, dumpSummary{}},
	"barnabas offsets":               {[]offsetRow{}},
	"barnabas produce":               {produceResult{}},
	"barnabas records delete":        {[]deletedRow{}},
	"barnabas simulate":              {simReport{}, []scenarioInfo{}},
	"barnabas topics add-partitions": {[]topicResult{}},
	"barnabas topics alter":          {[]topicResult{}},
	"barnabas topics configs":        {[]configResource{}},
	"barnabas topics create":         {[]topicResult{}},
	"barnabas topics delete":         {[]topicResult{}},
	"barnabas topics describe":       {[]topicDescription{}},
	"barnabas topics list":           {[]topicRow{}},
	"barnabas version":               {buildFacts{}},
}

// writeShape prints the fields of a JSON value with their types; "?" marks those that may be left out, "or null" says so.
func writeShape(w io.Writer, t reflect.Type, indent string) {
	switch {
	case t == reflect.TypeFor[kafka.TopicID]():
		fmt.Fprint(w, "string")
	case t.Implements(reflect.TypeFor[encoding.TextMarshaler]()):
		fmt.Fprint(w, "string")
	case t.Implements(reflect.TypeFor[json.Marshaler]()):
		fmt.Fprint(w, "number")
	case t == reflect.TypeFor[[]byte]():
		fmt.Fprint(w, "base64")
	case t.Kind() == reflect.Pointer:
		writeShape(w, t.Elem(), indent)
		fmt.Fprint(w, " or null")
	case t.Kind() == reflect.Slice:
		fmt.Fprint(w, "[")
		writeShape(w, t.Elem(), indent)
		fmt.Fprint(w, ", ...]")
	case t.Kind() == reflect.Struct:
		fmt.Fprintln(w, "{")
		writeFields(w, t, indent+"  ")
		fmt.Fprint(w, indent+"}")
	case t.Kind() == reflect.Bool:
		fmt.Fprint(w, "true or false")
	case t.Kind() == reflect.String:
		fmt.Fprint(w, "string")
	case t.Kind() == reflect.Float64:
		fmt.Fprint(w, "number")
	default:
		fmt.Fprint(w, "integer")
	}
}

func writeFields(w io.Writer, t reflect.Type, indent string) {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			writeFields(w, f.Type, indent)
			continue
		}
		if !f.IsExported() {
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		typ := f.Type
		mark := ""
		if options == "omitempty" {
			mark = "?"
			if typ.Kind() == reflect.Pointer { // absent instead of null
				typ = typ.Elem()
			}
		}
		fmt.Fprintf(w, "%s%s%s: ", indent, name, mark)
		writeShape(w, typ, indent)
		fmt.Fprintln(w)
	}
}
