package rig

import (
	"io"
	"os/exec"
	"syscall"
)

// Child is a program that a test talks to: a member of a consumer group, a worker. It has a process group of its own and dies with the test.
type Child struct {
	p     *process
	stdin io.WriteCloser
}

// StartChild runs argv. What it prints goes to out and log; env is added to the environment.
func StartChild(argv, env []string, dir string, out, log io.Writer) (*Child, error) {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.Env = dir, out, log, append(cmd.Environ(), env...)
	tie(cmd)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	p, err := run(cmd)
	if err != nil {
		return nil, err
	}
	return &Child{p: p, stdin: stdin}, nil
}

// Write goes to the program's standard input.
func (c *Child) Write(b []byte) (int, error) { return c.stdin.Write(b) }

// Signal goes to the program and its children.
func (c *Child) Signal(s syscall.Signal) { c.p.signal(s) }

// Done is closed when the program has ended and all it printed was handed on.
func (c *Child) Done() <-chan struct{} { return c.p.done }

// Err is how it ended; only after Done.
func (c *Child) Err() error { return c.p.err }

// PID of the program.
func (c *Child) PID() int { return c.p.pid }
