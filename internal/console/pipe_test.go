package console_test

import (
	"io"
	"net/http"
	"strconv"
)

func fmtInt(n int64) string { return strconv.FormatInt(n, 10) }

// pipe is an answer that is read while it is written.
type pipe struct {
	header http.Header
	*io.PipeWriter
}

func newPipe() (*io.PipeReader, *pipe) {
	r, w := io.Pipe()
	return r, &pipe{http.Header{}, w}
}

func (p *pipe) Header() http.Header { return p.header }
func (p *pipe) WriteHeader(int)     {}
func (p *pipe) Flush()              {}
func (p *pipe) close()              { p.PipeWriter.Close() }
