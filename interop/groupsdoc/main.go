// Command groupsdoc writes the groups' half of docs/interop.md and the transcripts beside it from the rows that the runs kept, and fails when a
// broker gave a kind of answer that the other never gave and nobody explained, when a cell failed, or when it took Barnabas noticeably longer.
//
//	INTEROP_GROUPS=all INTEROP_KEEP=../../tmp/groups go test ./groups                        the rows on Barnabas
//	INTEROP_GROUPS=all INTEROP_KEEP=../../tmp/groups INTEROP_BROKER=kafka go test ./groups   the rows on Apache Kafka
//	go run ./groupsdoc -rows ../tmp/groups
//
// With -notice it writes the measurements of prompt notice into docs/prompt-notice.md instead.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/barnabas-mq/barnabas/interop/groups"
	"github.com/barnabas-mq/barnabas/interop/rig"
)

func main() {
	rows := flag.String("rows", "../tmp/groups", "the folder that INTEROP_KEEP named")
	notice := flag.String("notice", "", "a folder of figures of prompt notice")
	flag.Parse()
	work := func() error { return run(*rows) }
	if *notice != "" {
		work = func() error { return figures(*notice) }
	}
	if err := work(); err != nil {
		fmt.Fprintln(os.Stderr, "groupsdoc:", err)
		os.Exit(1)
	}
}

func figures(dir string) error {
	root, err := rig.Root()
	if err != nil {
		return err
	}
	all, err := groups.LoadFigures(dir)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return fmt.Errorf("%s has no figures", dir)
	}
	doc := filepath.Join(root, "docs", "prompt-notice.md")
	before, err := os.ReadFile(doc)
	if err != nil {
		return err
	}
	return groups.WriteSection(doc, groups.NoticeSection(all, string(before)))
}

func run(dir string) error {
	root, err := rig.Root()
	if err != nil {
		return err
	}
	barnabas, err := groups.LoadRows(dir, "barnabas")
	if err != nil {
		return err
	}
	kafka, err := groups.LoadRows(dir, "kafka")
	if err != nil {
		return err
	}
	if len(barnabas) == 0 || len(kafka) == 0 {
		return fmt.Errorf("%s has rows of %d clients on Barnabas and of %d on Apache Kafka; both are needed", dir, len(barnabas), len(kafka))
	}
	explained, err := groups.LoadExplained(filepath.Join(root, "interop", "groups", "explained.txt"))
	if err != nil {
		return err
	}
	differences := groups.Compare(kafka, barnabas, "Apache Kafka", "Barnabas", explained)
	docs := filepath.Join(root, "docs")
	if err := groups.WriteSection(filepath.Join(docs, "interop.md"), groups.Section(barnabas, kafka, differences)); err != nil {
		return err
	}
	if err := groups.WriteTranscripts(filepath.Join(docs, "transcripts"), kafka, barnabas); err != nil {
		return err
	}
	wrong := 0
	for _, d := range differences {
		if d.Why == "" {
			fmt.Printf("only %s: %s\n  in %v\n", d.Broker, d.Shape, d.Cells)
			wrong++
		}
	}
	for _, late := range groups.Late(barnabas, kafka) {
		fmt.Println("late:", late)
		wrong++
	}
	for _, e := range explained {
		if !e.Used {
			fmt.Printf("needed by nothing this time: %s\n", e.Shape)
		}
	}
	for _, broker := range []map[string]map[groups.Scenario]groups.Row{barnabas, kafka} {
		for client, cells := range broker {
			for scenario, r := range cells {
				if r.Result == "FAIL" {
					fmt.Printf("failed on %s: %s, %s: %.200s\n", r.Broker, client, scenario, r.Why)
					wrong++
				}
			}
		}
	}
	if wrong > 0 {
		return fmt.Errorf("%d cells failed, were late, or showed an answer that nobody explained", wrong)
	}
	return nil
}
