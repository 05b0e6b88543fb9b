package rig

import (
	"io"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// process is one child in a process group of its own.
type process struct {
	pid     int
	started time.Time     // just before the exec
	done    chan struct{} // closed when it ended; err is set before
	err     error
}

// startProcess runs argv in dir. The child dies with us: the kernel kills it when the thread that started it ends, and that thread is
// locked to a goroutine which waits for the child.
func startProcess(argv []string, dir string, log io.Writer) (*process, error) {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	tie(cmd)
	return run(cmd)
}

// run starts a tied command on a thread that lives as long as the command.
func run(cmd *exec.Cmd) (*process, error) {
	p := &process{done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		p.started = time.Now()
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		p.pid = cmd.Process.Pid
		started <- nil
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, <-started
}

// signal goes to the whole group: a broker's children go with it.
func (p *process) signal(s syscall.Signal) {
	select {
	case <-p.done: // the number may belong to someone else by now
	default:
		_ = syscall.Kill(-p.pid, s)
	}
}
