package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
	"unicode"

	"example.org/dormouse/sensors"
	"golang.org/x/sys/unix"
)

const (
	// maxOutput is what a program may print where its output matters.
	maxOutput = 1 << 20
	// tailSize is how much of the end of its messages is kept.
	tailSize = 4 << 10
)

// ran is what became of a program.
type ran struct {
	status int            // exit status, or 128 and the signal
	signal syscall.Signal // that ended it, or zero
	ended  error          // why it was killed, or its output couldn't be read
	output []byte
	words  tail
	took   time.Duration
}

// how tells how the program ended.
func (r *ran) how() string {
	if r.signal != 0 {
		return fmt.Sprintf("was ended by signal %d (%v)", int(r.signal), r.signal)
	}
	return fmt.Sprintf("exited with status %d", r.status)
}

// messages are the last lines of what it wrote to its standard error, to be
// put behind an error: ": disk full".
func (r *ran) messages() string {
	const lines, most = 3, 300
	kept := make([]string, 0, lines)
	for line := range strings.Lines(strings.ToValidUTF8(string(r.words.end), "?")) {
		line = strings.TrimSpace(strings.Map(func(c rune) rune {
			if unicode.IsPrint(c) {
				return c
			}
			return ' '
		}, line))
		if line == "" {
			continue
		}
		if len(kept) == lines {
			kept = append(kept[:0], kept[1:]...)
		}
		kept = append(kept, line)
	}
	text := strings.Join(kept, " | ")
	if len(text) > most {
		text = "…" + strings.ToValidUTF8(text[len(text)-most:], "")
	}
	if text == "" {
		return ""
	}
	return ": " + text
}

// tail keeps the end of what is written to it.
type tail struct{ end []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.end = append(t.end, p...)
	if excess := len(t.end) - tailSize; excess > 0 {
		t.end = append(t.end[:0], t.end[excess:]...)
	}
	return len(p), nil
}

// waitExit waits until the process is over and leaves it unreaped: until then
// its number, and its group's, can't become somebody else's. A process that
// hangs in the kernel, on a dead network file system say, outlives even
// SIGKILL; then this lasts, and poll leaves the read behind.
func waitExit(pid int) error {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// run starts the program and waits until it is over and its pipes are closed.
// When ctx ends, or it prints too much, it is killed with its group. Its error
// is that of a program which never ran, or which can't be ended. Without
// keepOutput its standard output counts as messages.
func run(ctx context.Context, e sensors.Env, cmd *exec.Cmd, keepOutput bool) (*ran, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%s was not started: %w", cmd.Path, err)
	}
	r := &ran{}
	var readers []func() error
	var mine, theirs []*os.File
	closeAll := func(files []*os.File) {
		for _, f := range files {
			f.Close() // a pipe: nothing is written back
		}
	}
	defer func() { closeAll(mine) }()
	pipe := func(reader func(*os.File) error) (*os.File, error) {
		in, out, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		mine, theirs = append(mine, in), append(theirs, out)
		readers = append(readers, func() error { return reader(in) })
		return out, nil
	}
	stderr, err := pipe(func(in *os.File) error {
		_, err := io.Copy(&r.words, in)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("pipe for %s: %w", cmd.Path, err)
	}
	stdout := stderr
	if keepOutput {
		if stdout, err = pipe(func(in *os.File) (err error) {
			if r.output, err = io.ReadAll(io.LimitReader(in, maxOutput+1)); len(r.output) > maxOutput {
				return errFlood
			}
			return err
		}); err != nil {
			closeAll(theirs)
			return nil, fmt.Errorf("pipe for %s: %w", cmd.Path, err)
		}
	}
	cmd.Stdout, cmd.Stderr = stdout, stderr

	began := e.Now()
	err = e.Start(cmd)
	closeAll(theirs)
	if err != nil {
		return nil, startError(err, cmd)
	}
	pid := cmd.Process.Pid

	read := make(chan error, len(readers))
	for _, reader := range readers {
		go func() { read <- reader() }()
	}
	exit := make(chan error, 1)
	go func() { exit <- waitExit(pid) }()

	// kill ends the whole group, whose number is the leader's. Our ends of the
	// pipes are closed because a process that left the group may hold theirs.
	due := ctx.Done()
	kill := func(why error) {
		if r.ended != nil {
			return
		}
		r.ended, due = why, nil
		if err := syscall.Kill(-pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			r.ended = fmt.Errorf("%w; and it can't be killed: %w", why, err)
		}
		closeAll(mine)
	}

	over := false
	for reading := len(readers); reading > 0 || !over; {
		select {
		case err := <-read:
			reading--
			switch {
			case errors.Is(err, errFlood):
				kill(sensors.Errorf(sensors.Command, "%s printed more than %d bytes and was killed: print less", cmd.Path, maxOutput))
			case err != nil && r.ended == nil:
				kill(sensors.Errorf(sensors.IO, "read from %s: %w", cmd.Path, err))
			}
		case err := <-exit:
			over = true
			if err != nil { // somebody else reaped it: its number is no longer ours to kill
				r.ended, due = sensors.Errorf(sensors.IO, "wait for %s: %w", cmd.Path, err), nil
				closeAll(mine)
			}
		case <-due:
			kill(timeUp(ctx, cmd, over, e.Now().Sub(began)))
		}
	}
	r.took = e.Now().Sub(began)

	var status *exec.ExitError
	if err := e.Wait(cmd); err != nil && !errors.As(err, &status) {
		return nil, sensors.Errorf(sensors.IO, "exit status of %s: %w", cmd.Path, err)
	}
	how := cmd.ProcessState.Sys().(syscall.WaitStatus)
	r.status = how.ExitStatus()
	if how.Signaled() {
		r.signal = how.Signal()
		r.status = 128 + int(r.signal)
	}
	if r.ended != nil {
		if words := r.messages(); words != "" {
			r.ended = fmt.Errorf("%w%s", r.ended, words)
		}
	}
	return r, nil
}

var errFlood = errors.New("too much output")

// timeUp says why a program was killed.
func timeUp(ctx context.Context, cmd *exec.Cmd, over bool, after time.Duration) error {
	text := sensors.FormatDuration(after.Round(time.Millisecond))
	switch {
	case !errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("%s was killed after %s: %w", cmd.Path, text, ctx.Err())
	case over:
		return sensors.Errorf(sensors.Timeout, "%s ended, but what it started held its output open for %s and was killed; end that too, or give it another output: %w", cmd.Path, text, ctx.Err())
	}
	return sensors.Errorf(sensors.Timeout, "%s still ran after %s and was killed with its children; if it needs longer raise timeout: %w", cmd.Path, text, ctx.Err())
}

// startError says what is to be done about a program that couldn't be started.
func startError(err error, cmd *exec.Cmd) error {
	advice := ""
	switch {
	case errors.Is(err, syscall.EPERM) && cmd.SysProcAttr.Credential != nil:
		advice = ": only root, or CAP_SETUID and CAP_SETGID, can run it as another user; under systemd they are in CapabilityBoundingSet= and AmbientCapabilities=. With NoNewPrivileges= setuid programs and sudo don't work either"
	case errors.Is(err, syscall.EPERM):
		advice = ": the system forbids it; with NoNewPrivileges= in the unit setuid programs and sudo don't work"
	case errors.Is(err, syscall.EACCES):
		advice = ": the user it runs as may not execute it; chmod +x it, and let that user search every directory above it and the working directory; its mount must not be noexec"
	case errors.Is(err, syscall.ENOEXEC):
		advice = ": it is neither a program for this machine nor a script that begins with #!"
	case errors.Is(err, syscall.ENOENT):
		advice = ": if it exists, the interpreter named in its first line (#!) or its dynamic loader doesn't"
		if first, ok := shebang(cmd.Path); ok {
			advice = fmt.Sprintf(": its first line is %q: is that interpreter installed?", first)
		}
	}
	return sensors.Errorf(sensors.Command, "start %s: %w%s", cmd.Path, err, advice)
}

// shebang returns the first line of a script.
func shebang(path string) (string, bool) {
	f, err := os.Open(path)
	if err != nil {
		return "", false
	}
	defer f.Close()
	head := make([]byte, 128)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return "", false
	}
	line, _, _ := bytes.Cut(head[:n], []byte("\n"))
	return string(line), bytes.HasPrefix(line, []byte("#!"))
}
