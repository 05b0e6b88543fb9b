package main

import (
	"fmt"
	"io"
)

// How a command ends that asks for several things, or changes them: a row for each on stdout, in the form that -o names, and when some failed one
// error line that counts them and says what is wrong with the first, and what to do about it.

// report prints rows and is the end of the command. what is the rows in the plural, "topics". blame is what is wrong with a row, nil for nothing. draw
// prints the rows for people; alone says that there is one row and it failed, which the error line says already.
func report[R any](a *app, what string, rows []R, blame func(r *R) *fault, draw func(w io.Writer, alone bool)) error {
	if rows == nil {
		rows = []R{} // [] in JSON, not null
	}
	bad, first := blamed(rows, blame)
	if err := a.emit(rows, func(w io.Writer) { draw(w, bad == 1 && len(rows) == 1) }); err != nil {
		return err
	}
	return partial(bad, len(rows), what, first)
}

// blamed counts the rows that failed, and is what is wrong with the first of them.
func blamed[R any](rows []R, blame func(r *R) *fault) (bad int, first *fault) {
	for i := range rows {
		if f := blame(&rows[i]); f != nil {
			if bad++; first == nil {
				first = f
			}
		}
	}
	return bad, first
}

// blame is the fault of the row called name: text is what the row says of err, and err knows the cure. Nil without an error.
func (a *app) blame(name, text string, err error) *fault {
	if err == nil {
		return nil
	}
	return &fault{what: name + ": " + text, cure: a.explain(err).cure, code: exitFailed}
}

// partial is the end of a command that did several things of which some failed; each was already shown where it belongs.
func partial(bad, all int, what string, first *fault) error {
	if bad == 0 {
		return nil
	}
	f := &fault{what: fmt.Sprintf("%d of %d %s failed; the first: %s", bad, all, what, first.what), cure: first.cure, code: exitFailed, err: first}
	if bad == 1 && all == 1 {
		f.what = first.what
	}
	return f
}

func partitionName(topic string, partition int32) string {
	return fmt.Sprintf("%s-%d", topic, partition)
}
