package main

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"reflect"
	"regexp"
	"sort"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// flat is one answer as path -> value, with what must differ between two brokers replaced by a word.
type flat map[string]string

// flatten walks an answer. Elements of a list are named by what identifies them (topic, partition, config name, ...), not by their place:
// the order of most lists is not part of the protocol, and a missing element should be one row, not a shift of all that follow.
func flatten(e *Env, prefix string, answer any) flat {
	out := flat{}
	w := walker{env: e, out: out}
	v := reflect.ValueOf(answer)
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	w.learnIDs(v)
	w.structure(prefix, v)
	return out
}

type walker struct {
	env *Env
	out flat
}

var (
	times      = regexp.MustCompile(`-?\d{13,}`)
	tagsType   = reflect.TypeOf(kmsg.Tags{})
	idType     = reflect.TypeOf([16]byte{})
	nodeFields = map[string]bool{"NodeID": true, "ControllerID": true, "LeaderID": true, "Leader": true, "Replicas": true, "ISR": true,
		"OfflineReplicas": true, "EligibleLeaderReplicas": true, "LastKnownELR": true, "AddingReplicas": true, "RemovingReplicas": true}
	// identity names the fields that tell one element of a list from another, in the order they are shown.
	identity = []string{"ApiKey", "ResourceType", "ResourceName", "Topic", "TopicID", "Partition", "Name", "Key", "User", "NodeID", "Dir", "RelativeOffset",
		"ProducerEpoch", "EntityType", "Group", "InstanceID", "MemberID"}
	uuids = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
)

// learnIDs remembers which topic an id belongs to wherever an answer tells both.
func (w *walker) learnIDs(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			w.learnIDs(v.Elem())
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Struct {
			for i := range v.Len() {
				w.learnIDs(v.Index(i))
			}
		}
	case reflect.Struct:
		name, id := v.FieldByName("Topic"), v.FieldByName("TopicID")
		if name.IsValid() && id.IsValid() && id.Type() == idType {
			if text := stringOf(name); text != "" {
				w.env.learn(text, id.Interface().([16]byte))
			}
		}
		for i := range v.NumField() {
			if v.Field(i).Type() != tagsType && v.Type().Field(i).IsExported() {
				w.learnIDs(v.Field(i))
			}
		}
	}
}

func stringOf(v reflect.Value) string {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return ""
		}
		v = v.Elem()
	}
	if v.Kind() != reflect.String {
		return ""
	}
	return v.String()
}

func (w *walker) structure(path string, v reflect.Value) {
	t := v.Type()
	for i := range v.NumField() {
		field := t.Field(i)
		switch {
		case field.Name == "Version" || field.Name == "ThrottleMillis" || !field.IsExported():
		case field.Type == tagsType:
			tags := v.Field(i).Interface().(kmsg.Tags)
			tags.Each(func(tag uint32, val []byte) {
				w.out[fmt.Sprintf("%s.tag%d", path, tag)] = hex.EncodeToString(val)
			})
		case field.Name == "RecordBatches":
			w.batches(join(path, field.Name), v.Field(i).Bytes())
		default:
			w.value(join(path, field.Name), field.Name, v.Field(i), v)
		}
	}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func (w *walker) value(path, name string, v, parent reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			w.out[path] = "null"
			return
		}
		w.value(path, name, v.Elem(), parent)
	case reflect.Struct:
		w.structure(path, v)
	case reflect.Slice:
		w.slice(path, name, v)
	default:
		w.out[path] = w.scalar(name, v, parent)
	}
}

func (w *walker) slice(path, name string, v reflect.Value) {
	if v.IsNil() {
		w.out[path] = "null"
		return
	}
	if v.Type().Elem().Kind() == reflect.Uint8 {
		w.out[path] = hex.EncodeToString(v.Bytes())
		return
	}
	if v.Type().Elem().Kind() != reflect.Struct {
		var all []string
		for i := range v.Len() {
			all = append(all, w.scalar(name, v.Index(i), v))
		}
		w.out[path] = "[" + strings.Join(all, " ") + "]"
		return
	}
	w.out[path] = "list" // as opposed to null; its elements speak for themselves
	seen := map[string]int{}
	for i := range v.Len() {
		key := w.key(v.Index(i))
		if code := v.Index(i).FieldByName("ErrorCode"); key == "" && code.IsValid() {
			key = "error " + fmt.Sprint(code.Int())
		}
		if key == "" {
			key = strconv.Itoa(i)
		}
		seen[key]++
		if seen[key] > 1 {
			key += "#" + strconv.Itoa(seen[key])
		}
		w.structure(path+"["+key+"]", v.Index(i))
	}
}

func (w *walker) key(v reflect.Value) string {
	var parts []string
	for _, name := range identity {
		f := v.FieldByName(name)
		if !f.IsValid() || f.Kind() == reflect.Pointer && f.IsNil() {
			continue
		}
		if f.Kind() == reflect.Pointer {
			f = f.Elem()
		}
		if f.Type() == idType {
			if len(parts) > 0 { // the topic's name stands there already
				continue
			}
			if f.IsZero() {
				continue
			}
		}
		if text := w.scalar(name, f, v); text != `""` {
			parts = append(parts, strings.Trim(text, `"`))
		}
	}
	return strings.Join(parts, ",")
}

// scalar prints a value, or the word that stands for it when two brokers must differ there: ids, hosts, ports, times and sizes of disks.
func (w *walker) scalar(name string, v, parent reflect.Value) string {
	e := w.env
	switch {
	case v.Type() == idType:
		return e.idName(v.Interface().([16]byte))
	case nodeFields[name] && v.CanInt():
		if v.Int() == int64(e.node) {
			return "this-node"
		}
	case name == "Port" && v.CanInt():
		if v.Int() == int64(e.port) {
			return "PORT"
		}
	case name == "Host":
		if s := stringOf(v); s == e.host {
			return "HOST"
		}
	case name == "SessionID" && v.Int() != 0:
		return "SESSION"
	case name == "LogAppendTime" && v.CanInt() && v.Int() >= 0:
		return "TIME"
	case name == "ProducerID" && v.Int() >= 0 && !fixedProducers[v.Int()]:
		return "PRODUCER"
	case name == "FinalizedFeaturesEpoch" && v.Int() >= 0:
		return "EPOCH"
	case (name == "TotalBytes" || name == "UsableBytes") && v.Int() > 0:
		return "BYTES"
	case name == "ClusterID":
		if s := stringOf(v); s == e.cluster {
			return "CLUSTER"
		}
	}
	switch v.Kind() {
	case reflect.String:
		text := uuids.ReplaceAllString(e.words.Replace(v.String()), "UUID") // members' ids
		if name == "ErrorMessage" {
			text = times.ReplaceAllString(text, "TIME")
		}
		return strconv.Quote(text)
	case reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case reflect.Float64:
		return strconv.FormatFloat(v.Float(), 'g', -1, 64)
	default:
		return fmt.Sprint(v.Interface())
	}
}

// batches spells out the headers of record batches; the records themselves are compared byte by byte.
func (w *walker) batches(path string, b []byte) {
	if b == nil {
		w.out[path] = "null"
		return
	}
	if len(b) == 0 {
		w.out[path] = "empty"
		return
	}
	for n := 0; len(b) > 0; n++ {
		at := fmt.Sprintf("%s[%d]", path, n)
		if len(b) < 61 {
			w.out[at] = fmt.Sprintf("%d bytes of a batch cut short", len(b))
			return
		}
		size := int(binary.BigEndian.Uint32(b[8:])) + 12
		if size > len(b) {
			w.out[at] = fmt.Sprintf("a batch at %d cut short: %d of %d bytes", binary.BigEndian.Uint64(b), len(b), size)
			return
		}
		var batch kmsg.RecordBatch
		if err := batch.ReadFrom(b[:size]); err != nil {
			w.out[at] = "undecodable: " + err.Error()
			return
		}
		if batch.Attributes&8 != 0 { // LogAppendTime: the broker's clock and what follows from it
			batch.MaxTimestamp, batch.CRC = 0, 0
		}
		w.structure(at, reflect.ValueOf(batch))
		w.out[at+".Records"] = hex.EncodeToString(batch.Records)
		b = b[size:]
	}
}

// row is one difference in one case, over the versions that show it alike.
type row struct {
	Key      int16
	Case     string
	Path     string
	A, B     string
	Versions []int16
	Reason   string // why it is so, when explained.txt knows
}

const absent = "(absent)"

// alike takes the version out of the names of topics that a case made for it, so that the same difference at several versions is one row.
func alike(f flat, version int16) flat {
	own := regexp.MustCompile(`\b(wd[-_.][a-z._-]*)` + strconv.Itoa(int(version)) + `\b`)
	out := make(flat, len(f))
	for path, value := range f {
		out[own.ReplaceAllString(path, "${1}V")] = own.ReplaceAllString(value, "${1}V")
	}
	return out
}

// compare lists where two answers differ. Texts that both sides send but word differently get their path marked ~text, so that a table can
// let words differ and still insist that there are words.
func compare(key int16, version int16, name string, a, b flat) []row {
	a, b = alike(a, version), alike(b, version)
	paths := map[string]bool{}
	for p := range a {
		paths[p] = true
	}
	for p := range b {
		paths[p] = true
	}
	sorted := make([]string, 0, len(paths))
	for p := range paths {
		sorted = append(sorted, p)
	}
	sort.Strings(sorted)
	var rows []row
	missing := "" // when an element is missing as a whole, one row says it
	for _, p := range sorted {
		va, oka := a[p]
		vb, okb := b[p]
		if va == vb && oka == okb {
			continue
		}
		if !oka || !okb {
			if element := p[:strings.LastIndexByte(p, ']')+1]; element != "" {
				if missing != "" && strings.HasPrefix(p, missing) {
					continue
				}
				if !anyUnder(a, element) || !anyUnder(b, element) {
					for { // the outermost element that is missing
						cut := strings.LastIndexByte(element[:strings.LastIndexByte(element, '[')], ']')
						if cut < 0 || anyUnder(a, element[:cut+1]) && anyUnder(b, element[:cut+1]) {
							break
						}
						element = element[:cut+1]
					}
					missing = element
					va, vb = presence(anyUnder(a, element)), presence(anyUnder(b, element))
					p = element
					rows = append(rows, row{Key: key, Case: name, Path: p, A: va, B: vb, Versions: []int16{version}})
					continue
				}
			}
		}
		if !oka {
			va = absent
		}
		if !okb {
			vb = absent
		}
		if strings.HasPrefix(va, `"`) && strings.HasPrefix(vb, `"`) && (strings.HasSuffix(p, "ErrorMessage") || strings.HasSuffix(p, "Documentation")) {
			p += "~text"
		}
		rows = append(rows, row{Key: key, Case: name, Path: p, A: va, B: vb, Versions: []int16{version}})
	}
	return rows
}

func presence(there bool) string {
	if there {
		return "present"
	}
	return absent
}

func anyUnder(f flat, element string) bool {
	for p := range f {
		if strings.HasPrefix(p, element) {
			return true
		}
	}
	return false
}

// merge folds rows that say the same for several versions.
func merge(rows []row) []row {
	var out []row
	at := map[string]int{}
	for _, r := range rows {
		id := fmt.Sprintf("%d|%s|%s|%s|%s", r.Key, r.Case, r.Path, r.A, r.B)
		if i, ok := at[id]; ok {
			out[i].Versions = append(out[i].Versions, r.Versions...)
			continue
		}
		at[id] = len(out)
		out = append(out, r)
	}
	return out
}

// versionText prints 0,1,2,4 as "0-2,4".
func versionText(vs []int16) string {
	var parts []string
	for i := 0; i < len(vs); {
		j := i
		for j+1 < len(vs) && vs[j+1] == vs[j]+1 {
			j++
		}
		if i == j {
			parts = append(parts, strconv.Itoa(int(vs[i])))
		} else {
			parts = append(parts, fmt.Sprintf("%d-%d", vs[i], vs[j]))
		}
		i = j + 1
	}
	return strings.Join(parts, ",")
}
