package console

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/barnabas-mq/barnabas/internal/journal"
)

// nameMax is how many characters of a name are shown; Kafka allows 32,767 bytes for a group.
const nameMax = 160

// shown is a name from outside for people: what is invisible, turns the direction of writing, or is no text at all is spelled out, so that two
// names that differ look different. It is still to be escaped for where it goes.
func shown(s string) string { return spelled(s, nameMax) }

// sentenceOf is shown for a sentence, which may be longer: names are in it.
func sentenceOf(s string) string { return spelled(s, 2000) }

func spelled(s string, most int) string {
	plain := len(s) <= most
	for i := 0; plain && i < len(s); i++ {
		plain = s[i] >= ' ' && s[i] < 0x7f
	}
	if plain {
		return s
	}
	var b strings.Builder
	n := 0
	for i, r := range s {
		if n++; n > most {
			b.WriteString("…")
			break
		}
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD"):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == ' ' || unicode.IsGraphic(r) && !unicode.Is(unicode.Zs, r) && !unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) &&
			!unicode.Is(unicode.Variation_Selector, r) && r != '\u115f' && r != '\u1160' && r != '\u3164' && r != '\uffa0':
			b.WriteRune(r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	return b.String()
}

// count is a number with its thousands apart.
func count(n int64) string {
	s := strconv.FormatInt(n, 10)
	neg := strings.HasPrefix(s, "-")
	s = strings.TrimPrefix(s, "-")
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	if neg {
		return "-" + s
	}
	return s
}

const unknownValue = "–"

func countOrNot(n *int64) string {
	if n == nil {
		return unknownValue
	}
	return count(*n)
}

// size is a number of bytes: 1.5 MiB.
func size(n *int64) string {
	if n == nil {
		return unknownValue
	}
	return bytesText(float64(*n))
}

func bytesText(f float64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	i := 0
	for f >= 1024 && i < len(units)-1 {
		f /= 1024
		i++
	}
	if i == 0 {
		return strconv.FormatFloat(math.Round(f), 'f', -1, 64) + " B"
	}
	return digits(f) + " " + units[i]
}

// digits is a number of about three digits.
func digits(f float64) string {
	switch {
	case f == 0:
		return "0"
	case f < 10:
		return strconv.FormatFloat(math.Round(f*100)/100, 'f', -1, 64)
	case f < 100:
		return strconv.FormatFloat(math.Round(f*10)/10, 'f', -1, 64)
	}
	return count(int64(math.Round(f)))
}

func rate(f *float64) string {
	if f == nil {
		return unknownValue
	}
	return digits(*f) + "/s"
}

func byteRate(f *float64) string {
	if f == nil {
		return unknownValue
	}
	return bytesText(*f) + "/s"
}

// percent is a share of 1: 12%, and 0.3% where it is small.
func percent(f *float64) string {
	switch {
	case f == nil:
		return unknownValue
	case *f > 0 && *f < .001:
		return "<0.1%"
	case *f < .1:
		return strconv.FormatFloat(math.Round(*f*1000)/10, 'f', -1, 64) + "%"
	}
	return strconv.FormatFloat(math.Round(*f*100), 'f', -1, 64) + "%"
}

func clock(t time.Time) string   { return t.UTC().Format("2006-01-02 15:04:05") }
func clockMs(t time.Time) string { return t.UTC().Format("15:04:05.000") }
func stamp(t time.Time) string   { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// ago is how long something is over, in one unit.
func ago(d time.Duration) (n int, unit string) {
	switch {
	case d < time.Minute:
		return int(max(0, d) / time.Second), "s"
	case d < time.Hour:
		return int(d / time.Minute), "min"
	case d < 48*time.Hour:
		return int(d / time.Hour), "h"
	}
	return int(d / (24 * time.Hour)), "d"
}

func millis(m *journal.Millis) string {
	if m == nil {
		return unknownValue
	}
	return m.String()
}

// textWidth guesses how wide a text is in pixels: exact enough to keep flags apart.
func textWidth(s string, size float64) float64 {
	w := 0.0
	for _, r := range s {
		switch {
		case r >= 0x1100:
			w += size
		case strings.ContainsRune("ilj.,:;'|!()[] ", r):
			w += size * .32
		case unicode.IsUpper(r) || r == 'm' || r == 'w':
			w += size * .72
		default:
			w += size * .55
		}
	}
	return w
}

// shorten cuts a text to a width.
func shorten(s string, size, width float64) string {
	if textWidth(s, size) <= width {
		return s
	}
	w := textWidth("…", size)
	for i, r := range s {
		if w += textWidth(string(r), size); w > width {
			return strings.TrimRight(s[:i], " ") + "…"
		}
	}
	return s
}

// partitionList is partitions as people write them: 0-4, 7.
func partitionList(ps []int32) string {
	var b strings.Builder
	for i := 0; i < len(ps); {
		j := i
		for j+1 < len(ps) && ps[j+1] == ps[j]+1 {
			j++
		}
		if b.Len() > 0 {
			b.WriteString(", ")
		}
		if b.Len() > 400 {
			b.WriteString("…")
			break
		}
		b.WriteString(strconv.Itoa(int(ps[i])))
		if j > i {
			sep := "-"
			if j == i+1 {
				sep = ", "
			}
			b.WriteString(sep + strconv.Itoa(int(ps[j])))
		}
		i = j + 1
	}
	return b.String()
}
