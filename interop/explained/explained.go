// Package explained reads tables of differences that are meant: text, one row a line, cells between bars, '#' before a remark. What the cells
// are is their reader's business.
package explained

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

// Rows hands on each row's cells, trimmed, none of them empty; what the last one holds may have bars in it. columns are the names of the cells, for
// who reads the error. An error of row is told with the file and the line.
func Rows(file string, columns []string, row func(line int, cells []string) error) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	in := bufio.NewScanner(f)
	for n := 1; in.Scan(); n++ {
		text := strings.TrimSpace(in.Text())
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		cells := strings.SplitN(text, "|", len(columns))
		if len(cells) != len(columns) {
			return fmt.Errorf("%s:%d: want %s", file, n, strings.Join(columns, " | "))
		}
		for i := range cells {
			if cells[i] = strings.TrimSpace(cells[i]); cells[i] == "" {
				return fmt.Errorf("%s:%d: cell %d is empty", file, n, i+1)
			}
		}
		if err := row(n, cells); err != nil {
			return fmt.Errorf("%s:%d: %w", file, n, err)
		}
	}
	return in.Err()
}

// Glob matches text against a pattern in which * stands for any run of characters.
func Glob(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == text
	}
	if !strings.HasPrefix(text, parts[0]) {
		return false
	}
	text = text[len(parts[0]):]
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(text, part)
		if i < 0 {
			return false
		}
		text = text[i+len(part):]
	}
	return strings.HasSuffix(text, parts[len(parts)-1])
}
