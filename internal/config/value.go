package config

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// check is what a value must satisfy beyond its type.
type check struct {
	min, max, also          float64
	hasMin, hasMax, hasAlso bool
	oneOf                   []string
	fold                    bool
	allowed                 string
	f                       func(string) string
}

func (c *check) String() string {
	var s string
	switch {
	case c.allowed != "":
		s = c.allowed
	case len(c.oneOf) > 0:
		s = "one of " + strings.Join(c.oneOf, ", ")
	case c.hasMin && c.hasMax:
		s = "from " + number(c.min) + " to " + number(c.max)
	case c.hasMin:
		s = "at least " + number(c.min)
	case c.hasMax:
		s = "at most " + number(c.max)
	}
	if c.hasAlso {
		s = number(c.also) + ", or " + s
	}
	return s
}

func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// canonical trims a value and checks it against its definition. It returns the text to keep, or what is wrong with it: which
// values are allowed, without naming the setting.
func (d *Definition) canonical(raw string) (value string, wrong string) {
	v := strings.TrimSpace(raw)
	switch d.Type {
	case Boolean:
		if v = strings.ToLower(v); v != "true" && v != "false" {
			return "", "must be true or false"
		}
	case Int, Short, Long:
		bits := map[Type]int{Int: 32, Short: 16, Long: 64}[d.Type]
		n, err := strconv.ParseInt(v, 10, bits)
		if err != nil {
			lo, hi := int64(-1)<<(bits-1), int64(uint64(1)<<(bits-1)-1)
			return "", fmt.Sprintf("must be a whole number (%s) from %d to %d", d.Type, lo, hi)
		}
		if wrong := d.check.number(float64(n)); wrong != "" {
			return "", wrong
		}
		v = strconv.FormatInt(n, 10)
	case Double:
		f, err := strconv.ParseFloat(v, 64)
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return "", "must be a number such as 0.5"
		}
		if wrong := d.check.number(f); wrong != "" {
			return "", wrong
		}
	case List:
		items := splitList(v)
		for _, it := range items {
			if wrong := d.check.text(it); wrong != "" {
				return "", "each item " + wrong
			}
		}
		v = strings.Join(items, ",")
		if d.check.f != nil {
			if wrong := d.check.f(v); wrong != "" {
				return "", wrong
			}
		}
		return v, ""
	case Password:
		return raw, ""
	case String, Class:
		if d.check.fold {
			for _, o := range d.check.oneOf {
				if strings.EqualFold(o, v) {
					v = o
				}
			}
		}
		if wrong := d.check.text(v); wrong != "" {
			return "", wrong
		}
	}
	if d.check.f != nil {
		if wrong := d.check.f(v); wrong != "" {
			return "", wrong
		}
	}
	return v, ""
}

func (c *check) number(f float64) string {
	if c.hasAlso && f == c.also {
		return ""
	}
	if c.hasMin && f < c.min || c.hasMax && f > c.max {
		return "must be " + c.String()
	}
	return ""
}

func (c *check) text(v string) string {
	if len(c.oneOf) > 0 && !slices.Contains(c.oneOf, v) {
		return "must be one of " + strings.Join(c.oneOf, ", ")
	}
	return ""
}

// splitList splits at commas, trims, and drops empty items, as Kafka does for settings of type list.
func splitList(v string) []string {
	var out []string
	for _, it := range strings.Split(v, ",") {
		if it = strings.TrimSpace(it); it != "" {
			out = append(out, it)
		}
	}
	return out
}

// duration turns a number of the given unit into a time.Duration. Kafka uses the largest long for "never"; so does the result.
func duration(n int64, unit string) time.Duration {
	u := map[string]time.Duration{"ms": time.Millisecond, "seconds": time.Second, "minutes": time.Minute, "hours": time.Hour}[unit]
	switch {
	case n > 0 && n > math.MaxInt64/int64(u):
		return math.MaxInt64
	case n < 0:
		return -1
	}
	return time.Duration(n) * u
}
