package daemon_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"example.org/dormouse/daemon"
)

// A whole program: a daemon that counts, with start, stop, reload and status.
func Example() {
	pidFile := filepath.Join(os.TempDir(), fmt.Sprintf("counter-%d.pid", os.Getuid()))
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	_, resumed := daemon.Handover() // the daemon itself, which the first case started
	command := append(os.Args, "help")[1]
	var err error
	switch {
	case resumed, command == "start":
		err = count(pidFile)
	case command == "stop":
		_, err = daemon.Stop(ctx, pidFile)
	case command == "reload":
		_, err = daemon.Signal(ctx, pidFile, syscall.SIGHUP)
	case command == "status":
		state := daemon.Status(pidFile)
		fmt.Println(state.Text)
		os.Exit(state.Code)
	default:
		err = daemon.WithExitCode(errors.New("usage: counter start|stop|reload|status"), daemon.ExitUsage)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "counter:", err)
		os.Exit(daemon.ExitCode(err))
	}
}

func count(pidFile string) error {
	c := daemon.New("counter")
	c.PIDFile = pidFile
	p, err := c.Open()
	if err != nil {
		return err
	}
	if p.Starter() {
		fmt.Println("counting as process", p.PID())
		return nil
	}
	// Here the daemon opens what it needs. An error goes to the terminal, and its
	// exit status to the command that was typed:
	//
	//	return p.Fail(err)
	if err := p.Ready("counting"); err != nil {
		return err
	}
	for n := 0; ; {
		select {
		case <-time.After(time.Minute):
			n++
		case event := <-p.Events():
			switch event {
			case daemon.Reload:
				n = 0
			case daemon.Terminate:
				return p.Close()
			}
		}
	}
}
