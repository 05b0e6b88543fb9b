package main

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// parseSteps reads which of n steps to play: "0,3-7,12", or all when text is empty.
func parseSteps(text string, n int) (keep []int, err error) {
	if text == "" {
		for i := range n {
			keep = append(keep, i)
		}
		return keep, nil
	}
	for _, part := range strings.Split(text, ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		lo, err1 := strconv.Atoi(from)
		hi, err2 := strconv.Atoi(to)
		if err1 != nil || err2 != nil || lo < 0 || hi >= n || lo > hi {
			return nil, fmt.Errorf("steps %q: the walk has steps 0 to %d", part, n-1)
		}
		for i := lo; i <= hi; i++ {
			keep = append(keep, i)
		}
	}
	return keep, nil
}

// formatSteps is what parseSteps reads.
func formatSteps(keep []int) string {
	var parts []string
	for i := 0; i < len(keep); {
		j := i
		for j+1 < len(keep) && keep[j+1] == keep[j]+1 {
			j++
		}
		if i == j {
			parts = append(parts, strconv.Itoa(keep[i]))
		} else {
			parts = append(parts, fmt.Sprintf("%d-%d", keep[i], keep[j]))
		}
		i = j + 1
	}
	return strings.Join(parts, ",")
}

// planted falsifies the first error code of the answers to an API: none becomes UNKNOWN_MEMBER_ID, and that becomes none.
func planted(api string) func(kmsg.Response) {
	return func(answer kmsg.Response) {
		if kmsg.NameForKey(answer.Key()) != api {
			return
		}
		plantIn(reflect.ValueOf(answer).Elem())
	}
}

func plantIn(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Struct:
		if code := v.FieldByName("ErrorCode"); code.IsValid() {
			switch code.Int() {
			case 0:
				code.SetInt(25)
			case 25:
				code.SetInt(0)
			default:
				return false
			}
			return true
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() && plantIn(v.Field(i)) {
				return true
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			if plantIn(v.Index(i)) {
				return true
			}
		}
	}
	return false
}
