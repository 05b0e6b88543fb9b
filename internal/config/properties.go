package config

import (
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Property is one entry of a properties file.
type Property struct {
	Key, Value string
	// Line is where the entry begins, counted from 1.
	Line int
}

// ParseProperties reads the syntax of Java's properties files, which server.properties uses: "key=value", "key: value" or
// "key value"; comments from '#' or '!'; a backslash at the end of a line continues it; \t \n \r \f \uXXXX and a backslash
// before any other character are escapes. Entries come in the order of the file, repeated keys included. The error is a
// *PropertyError; everything but a broken \u escape is some entry.
func ParseProperties(text string) ([]Property, error) {
	var out []Property
	text = strings.TrimPrefix(text, "\ufeff")
	for line := 1; text != ""; {
		start := line
		var logical string
		logical, text, line = logicalLine(text, line)
		if logical == "" {
			continue
		}
		rawKey, rawValue := splitProperty(logical)
		key, err := unescape(rawKey)
		if err == nil {
			var value string
			if value, err = unescape(rawValue); err == nil {
				out = append(out, Property{Key: key, Value: value, Line: start})
				continue
			}
		}
		return nil, &PropertyError{Line: start, Reason: err.Error()}
	}
	return out, nil
}

// PropertyError says where a properties file cannot be read.
type PropertyError struct {
	Line   int
	Reason string
}

func (e *PropertyError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Reason) }

// logicalLine takes the first logical line off text: natural lines joined at their trailing backslashes, without leading blanks.
// It is "" for blank lines and comments. line counts natural lines.
func logicalLine(text string, line int) (logical, rest string, next int) {
	natural, rest := naturalLine(text)
	line++
	natural = strings.TrimLeft(natural, " \t\f")
	if natural == "" || natural[0] == '#' || natural[0] == '!' {
		return "", rest, line
	}
	if !continues(natural) {
		return natural, rest, line
	}
	var b strings.Builder
	for continues(natural) {
		b.WriteString(natural[:len(natural)-1])
		if rest == "" {
			return b.String(), "", line
		}
		natural, rest = naturalLine(rest)
		natural = strings.TrimLeft(natural, " \t\f")
		line++
	}
	b.WriteString(natural)
	return b.String(), rest, line
}

// naturalLine cuts at \n, \r or \r\n.
func naturalLine(text string) (line, rest string) {
	i := strings.IndexAny(text, "\r\n")
	if i < 0 {
		return text, ""
	}
	if strings.HasPrefix(text[i:], "\r\n") {
		return text[:i], text[i+2:]
	}
	return text[:i], text[i+1:]
}

// continues reports whether a line ends in an odd number of backslashes.
func continues(line string) bool {
	return (len(line)-len(strings.TrimRight(line, `\`)))%2 == 1
}

// splitProperty finds the end of the key: the first '=', ':' or blank without a backslash before it.
func splitProperty(s string) (key, value string) {
	end := len(s)
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' {
			i++
			continue
		}
		if strings.IndexByte("=: \t\f", s[i]) >= 0 {
			end = i
			break
		}
	}
	key, value = s[:end], strings.TrimLeft(s[end:], " \t\f")
	if value != "" && (value[0] == '=' || value[0] == ':') {
		value = strings.TrimLeft(value[1:], " \t\f")
	}
	return key, value
}

func unescape(s string) (string, error) {
	if strings.IndexByte(s, '\\') < 0 {
		return s, nil
	}
	var b strings.Builder
	var high rune // a first surrogate that waits for its second
	flush := func() {
		if high != 0 {
			b.WriteRune(utf8.RuneError)
			high = 0
		}
	}
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			flush()
			b.WriteByte(s[i])
			continue
		}
		if i++; i == len(s) {
			break
		}
		if s[i] == 'u' {
			r, ok := hex4(s[i+1:])
			if !ok {
				return "", fmt.Errorf(`\u must be followed by four hexadecimal digits; write a backslash as \\`)
			}
			i += 4
			switch {
			case high != 0 && utf16.IsSurrogate(r):
				b.WriteRune(utf16.DecodeRune(high, r))
				high = 0
			case utf16.IsSurrogate(r):
				high = r
			default:
				flush()
				b.WriteRune(r)
			}
			continue
		}
		flush()
		if j := strings.IndexByte("tnrf", s[i]); j >= 0 {
			b.WriteByte("\t\n\r\f"[j])
		} else {
			b.WriteByte(s[i])
		}
	}
	flush()
	return b.String(), nil
}

func hex4(s string) (rune, bool) {
	if len(s) < 4 {
		return 0, false
	}
	var r rune
	for _, c := range []byte(s[:4]) {
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	return r, true
}

// EnvName is the environment variable of a setting, as Kafka's container images name it: KAFKA_ and the name in capitals, '.' as
// '_', '_' as '__', '-' as '___'.
func EnvName(setting string) string {
	return "KAFKA_" + strings.ToUpper(strings.NewReplacer("_", "__", "-", "___", ".", "_").Replace(setting))
}

// settingOfEnv is the setting that an environment variable names; ok is false for variables that name none: those without the
// prefix, and those by which the images steer the Java process.
func settingOfEnv(variable string) (name string, ok bool) {
	rest, ok := strings.CutPrefix(variable, "KAFKA_")
	if !ok || rest == "" || notSettings[variable] {
		return "", false
	}
	return strings.NewReplacer("___", "-", "__", "_", "_", ".").Replace(strings.ToLower(rest)), true
}

var notSettings = map[string]bool{
	"KAFKA_VERSION": true, "KAFKA_HEAP_OPTS": true, "KAFKA_OPTS": true, "KAFKA_HOME": true, "KAFKA_JMX_OPTS": true, "KAFKA_JMX_PORT": true,
	"KAFKA_JMX_HOSTNAME": true, "KAFKA_JVM_PERFORMANCE_OPTS": true, "KAFKA_GC_LOG_OPTS": true, "KAFKA_LOG4J_OPTS": true,
	"KAFKA_LOG4J_ROOT_LOGLEVEL": true, "KAFKA_LOG4J_LOGGERS": true, "KAFKA_TOOLS_LOG4J_LOGLEVEL": true, "KAFKA_DEBUG": true, "KAFKA_USER": true,
}
