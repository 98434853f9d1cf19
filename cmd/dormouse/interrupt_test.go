package main

import (
	"bufio"
	"context"
	"os"
	"os/signal"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// What reads sensors once ends of a signal by itself, so that its supply goes off,
// and says what to do.
func TestReadingEndsOfASignal(t *testing.T) {
	wiring := []string{"--board=sim", "--rail=probes=GPIO17,settle=1h", "--sensor=a=bme280,power=probes"}
	for name, tt := range map[string]struct {
		args   []string
		prints string // once signals are caught; else it has a timer then
	}{
		"read":  {args: []string{"read"}},
		"check": {args: []string{"check", "--hardware", "--sensor=p=command,argv=/bin/true"}, prints: "p is a program: not run"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			cmd := p.command(append(tt.args, wiring...)...)
			var stderr strings.Builder
			cmd.Stderr = &stderr
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if tt.prints == "" {
				p.eventually(func() error { return haveTimer(cmd.Process.Pid) })
			} else {
				lines := bufio.NewScanner(stdout)
				for lines.Scan() && !strings.Contains(lines.Text(), tt.prints) {
				}
			}
			if err := cmd.Process.Signal(unix.SIGTERM); err != nil {
				t.Fatal(err)
			}
			err = cmd.Wait()
			if cmd.ProcessState.ExitCode() != exitFailed || !strings.Contains(stderr.String(), "the reading of the sensors was interrupted (terminated signal received): run the command again") {
				t.Errorf("%v: %s", err, stderr.String())
			}
		})
	}
}

// Which signals end a command: a lost connection is one, if it isn't ignored.
func TestUntilSignal(t *testing.T) {
	// Whatever this process was started to ignore, as what a shell runs in the
	// background ignores SIGINT.
	defer signal.Reset(unix.SIGHUP, unix.SIGINT)
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, unix.SIGHUP, unix.SIGINT)
	for want, send := range map[string][]unix.Signal{"hangup": {unix.SIGHUP}, "interrupt": {unix.SIGINT}, "terminated": {unix.SIGTERM}} {
		endsOf(t, want, send...)
	}
	signal.Ignore(unix.SIGHUP)
	endsOf(t, "terminated", unix.SIGHUP, unix.SIGTERM)
}

func endsOf(t *testing.T, want string, send ...unix.Signal) {
	t.Helper()
	ctx, stop := untilSignal()
	defer stop()
	for _, s := range send {
		if err := unix.Kill(unix.Getpid(), s); err != nil {
			t.Fatal(err)
		}
	}
	<-ctx.Done()
	if got := context.Cause(ctx).Error(); !strings.HasPrefix(got, want) {
		t.Errorf("after %v the context ended by %q, want %s", send, got, want)
	}
}
