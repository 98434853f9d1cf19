package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"example.org/dormouse/sensors"
	"golang.org/x/sys/unix"
)

// maxOutput is what a program may print where its output is a reading.
const maxOutput = 1 << 20

// ran is what became of a program.
type ran struct {
	status int            // exit status, or 128 and the signal
	signal syscall.Signal // that ended it, or zero
	ended  error          // why it was ended, or its output couldn't be read
	output []byte         // its standard output, where that is a reading
	said   transcript
	began  sensors.Instant
	took   time.Duration
}

// how tells how the program ended.
func (r *ran) how() string {
	if r.signal != 0 {
		return fmt.Sprintf("was ended by signal %d (%v)", int(r.signal), r.signal)
	}
	return fmt.Sprintf("exited with status %d", r.status)
}

// An execution is a program that is being run.
type execution struct {
	env       sensors.Env
	cmd       *exec.Cmd
	killAfter time.Duration
	ran       *ran
	pid       int

	mine    []*os.File // our ends of its pipes
	reading int        // readers of them that haven't ended
	read    chan error // tells that one has
	over    bool       // the program itself is over
	exit    chan error // tells that it is
}

// run starts the program and waits until it is over and its pipes are closed.
// When ctx ends, or it prints too much, it is ended with its session. The error
// is that of a program which never ran. Without keepOutput its standard output
// counts as messages.
func run(ctx context.Context, e sensors.Env, l launch, keepOutput bool) (*ran, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%s was not started: %w", l.cmd.Path, err)
	}
	x := &execution{env: e, cmd: l.cmd, killAfter: l.killAfter, ran: &ran{}}
	defer x.closePipes()
	if err := x.start(l, keepOutput); err != nil {
		return nil, err
	}
	x.wait(ctx)
	x.ran.took = e.Now().Sub(x.ran.began)
	return x.ran, x.status()
}

// start connects the pipes and starts the program and what watches it.
func (x *execution) start(l launch, keepOutput bool) error {
	said := &x.ran.said
	var theirs []*os.File
	defer func() {
		for _, f := range theirs {
			f.Close() // a pipe: nothing is written back
		}
	}()
	var readers []func() error
	pipe := func(reader func(io.Reader) error) (*os.File, error) {
		in, out, err := os.Pipe()
		if err != nil {
			return nil, fmt.Errorf("pipe for %s: %w", x.cmd.Path, err)
		}
		x.mine, theirs = append(x.mine, in), append(theirs, out)
		readers = append(readers, func() error { return reader(in) })
		return out, nil
	}
	stderr, err := pipe(func(in io.Reader) error { return said.copy(in, true) })
	if err != nil {
		return err
	}
	stdout, err := pipe(func(in io.Reader) error {
		if !keepOutput {
			return said.copy(in, false)
		}
		return x.collect(in)
	})
	if err != nil {
		return err
	}
	x.cmd.Stdout, x.cmd.Stderr = stdout, stderr
	x.ran.began = x.env.Now()
	if err := l.start(x.env); err != nil {
		return startError(err, x.cmd)
	}
	x.pid = x.cmd.Process.Pid

	x.reading, x.read, x.exit = len(readers), make(chan error, len(readers)), make(chan error, 1)
	for _, reader := range readers {
		go func() { x.read <- reader() }()
	}
	go func() { x.exit <- waitExit(x.pid) }()
	return nil
}

// collect keeps the whole standard output, and the transcript its end.
func (x *execution) collect(in io.Reader) error {
	data, err := io.ReadAll(io.LimitReader(io.TeeReader(in, writer(x.ran.said.stdout)), maxOutput+1))
	if len(data) > maxOutput {
		return errFlood
	}
	x.ran.output = data
	return err
}

var errFlood = errors.New("too much output")

func (x *execution) closePipes() {
	for _, f := range x.mine {
		f.Close() // read only: there is nothing to lose
	}
	x.mine = nil
}

// waitExit waits until the process is over and leaves it unreaped: until then
// its number, and its session's, can't become another's. A process that hangs
// in the kernel, on a dead network file system say, outlives even SIGKILL; then
// this lasts, and poll leaves the read behind.
func waitExit(pid int) error {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// isZombie tells whether the process, a child of ours, is over.
func isZombie(pid int) bool {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOWAIT|unix.WNOHANG, nil)
	return err == nil && info.Signo != 0 // 0: it runs
}

// wait returns when the program is over and nobody holds its output any more,
// or when it has been ended.
func (x *execution) wait(ctx context.Context) {
	for x.running() {
		select {
		case err := <-x.read:
			if why := x.readerEnded(err); why != nil {
				x.end(why)
				return
			}
		case err := <-x.exit:
			if !x.exited(err) {
				return
			}
		case <-ctx.Done():
			x.end(context.Cause(ctx))
			return
		}
	}
}

func (x *execution) running() bool { return x.reading > 0 || !x.over }

// readerEnded notes that a pipe was closed, and returns why the program is to
// be ended for it.
func (x *execution) readerEnded(err error) error {
	x.reading--
	switch {
	case errors.Is(err, errFlood):
		return sensors.Errorf(sensors.Command, "%s printed more than %d bytes: print less", x.cmd.Path, maxOutput)
	case err != nil:
		return sensors.Errorf(sensors.IO, "read from %s: %w", x.cmd.Path, err)
	}
	return nil
}

// exited notes that the program is over. Where somebody else has reaped it, its
// number is no longer ours to signal, and all is over.
func (x *execution) exited(err error) bool {
	x.over = true
	if err == nil {
		return true
	}
	x.ran.ended = sensors.Errorf(sensors.IO, "wait for %s: %w", x.cmd.Path, err)
	x.closePipes()
	for ; x.reading > 0; x.reading-- {
		<-x.read
	}
	return false
}

// status reaps the program and fills in how it ended.
func (x *execution) status() error {
	var failed *exec.ExitError
	if err := x.env.Wait(x.cmd); err != nil && !errors.As(err, &failed) {
		return sensors.Errorf(sensors.IO, "exit status of %s: %w", x.cmd.Path, err)
	}
	how := x.cmd.ProcessState.Sys().(syscall.WaitStatus)
	r := x.ran
	r.status = how.ExitStatus()
	if how.Signaled() {
		r.signal = how.Signal()
		r.status = 128 + int(r.signal)
	}
	if r.ended != nil && r.status == 0 {
		// It ended well by itself, and what it started had to be ended; or it
		// takes SIGTERM for success. Its run is none.
		r.status = 128 + int(syscall.SIGKILL)
	}
	return nil
}
