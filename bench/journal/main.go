// Command journal measures what a long history of rebalances costs: it fills the journal of a broker with a million incidents of 10,000 groups, and
// then asks for some of them as people do, by `barnabas explain` and by the console.
//
//	go build -o /tmp/barnabas ./cmd/barnabas && go run ./bench/journal -binary /tmp/barnabas -dir /tmp/journal
//
// The incidents are true ones: real members of a group come, go and die on that broker first, and what the broker wrote down of them is written
// again for every other group, with other names and times, by the journal's own encoder and in the journal's own batches. A directory that is
// there is measured again without being filled.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

type options struct {
	binary, dir        string
	groups, hot        int
	incidents, hottest int
	revisions          int
	over               time.Duration
	repeat             int
	out                string
}

func main() {
	var o options
	flag.StringVar(&o.binary, "binary", "", "the barnabas to measure")
	flag.StringVar(&o.dir, "dir", "", "where its data is, or will be")
	flag.IntVar(&o.groups, "groups", 10_000, "groups")
	flag.IntVar(&o.hot, "hot", 50, "groups among them with -hottest incidents each; the others share the rest")
	flag.IntVar(&o.incidents, "incidents", 1_000_000, "incidents of all groups")
	flag.IntVar(&o.hottest, "hottest", 10_000, "incidents of each hot group")
	flag.IntVar(&o.revisions, "revisions", 1, "how many records an incident has, its last ones; a broker writes about six")
	flag.DurationVar(&o.over, "over", 29*24*time.Hour, "the time before now that they are spread over; the journal keeps 30 days")
	flag.IntVar(&o.repeat, "repeat", 5, "how often each question is asked")
	flag.StringVar(&o.out, "out", "", "a file for the result as JSON")
	flag.Parse()
	if err := run(context.Background(), o); err != nil {
		fmt.Fprintln(os.Stderr, "journal:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	if o.binary == "" || o.dir == "" {
		return errors.New("-binary and -dir are needed")
	}
	if o.hot*o.hottest > o.incidents || o.hot >= o.groups {
		return errors.New("the hot groups have more incidents than there are")
	}
	if _, err := os.Stat(filepath.Join(o.dir, "filled.json")); errors.Is(err, fs.ErrNotExist) {
		if err := fill(ctx, o); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	res, err := measure(ctx, o)
	if err != nil {
		return err
	}
	res.print(os.Stdout)
	if o.out == "" {
		return nil
	}
	b, err := json.MarshalIndent(res, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(o.out, append(b, '\n'), 0o644)
}

// filled is what the directory holds, as filled.json in it says.
type filled struct {
	Groups, Incidents, Records int
	Hot, Quiet                 string // a group of each kind
	Over                       string
	Bytes                      int64 // of the journal's logs
	Shapes                     int   // incidents that were played by real members
	Machine                    string
}

func machine() string {
	return fmt.Sprintf("%s/%s, %d processors", runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
}
