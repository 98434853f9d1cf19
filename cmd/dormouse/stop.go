package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"example.org/dormouse/cmd/dormouse/internal/cli"
	"example.org/dormouse/cmd/dormouse/internal/service"
	"example.org/dormouse/daemon"
	"example.org/dormouse/exporter/control"
)

var stopCommand = &command{
	name:    "stop",
	summary: "Stop the daemon, and return when it has ended.",
	details: `The exit status is 0 as well if no daemon runs. Programs that are running get SIGTERM and some time to end; with stop-tasks: wait in the configuration, tasks may finish.`,
	define: func(c *kingpin.CmdClause) action {
		s := &settings{}
		s.pidFileFlag(c, service.DefaultPIDFile())
		limit := endTimeoutFlag(c)
		return func(stdout, stderr io.Writer) error {
			if err := s.fromHere(); err != nil {
				return err
			}
			ctx, cancel := within(limit(s.pidFile))
			defer cancel()
			return stop(ctx, s.pidFile, stdout)
		}
	},
}

// endTimeoutFlag is --timeout of a command that ends the daemon. Where it isn't
// given, the daemon tells how much longer its programs may take.
func endTimeoutFlag(c *kingpin.CmdClause) func(pidFile string) time.Duration {
	given := false
	timeout := cli.Duration(c.Flag("timeout", "How long to wait for the daemon. Default: 10s, and as long as its programs may take to end.").
		PlaceHolder("10s").Default("10s").IsSetByUser(&given))
	return func(pidFile string) time.Duration {
		if given {
			return *timeout
		}
		ctx, cancel := within(*timeout)
		defer cancel()
		programs, err := control.LongestEnd(ctx, pidFile)
		if err != nil { // stop tells what is wrong with it
			programs = 0
		}
		return *timeout + programs
	}
}

// daemonCommand defines a command that asks the daemon of --pid-file, within
// --timeout.
func daemonCommand(do func(ctx context.Context, pidFile string, stdout io.Writer) error) func(*kingpin.CmdClause) action {
	return func(c *kingpin.CmdClause) action {
		s := &settings{}
		s.pidFileFlag(c, service.DefaultPIDFile())
		timeout := timeoutFlag(c)
		return func(stdout, stderr io.Writer) error {
			if err := s.fromHere(); err != nil {
				return err
			}
			ctx, cancel := within(*timeout)
			defer cancel()
			return do(ctx, s.pidFile, stdout)
		}
	}
}

func timeoutFlag(c *kingpin.CmdClause) *time.Duration {
	return cli.Duration(c.Flag("timeout", "How long to wait for the daemon.").Default("10s"))
}

// stop ends the daemon; that none runs is a success, as LSB wants it.
func stop(ctx context.Context, pidFile string, stdout io.Writer) error {
	pid, err := daemon.Stop(ctx, pidFile)
	if errors.Is(err, daemon.ErrNotRunning) {
		_, err = fmt.Fprintln(stdout, "dormouse is not running"+service.Elsewhere(pidFile, service.SystemPIDFile))
		return err
	}
	if err != nil {
		return namingFlag(err)
	}
	_, err = fmt.Fprintf(stdout, "dormouse, process %d, has ended\n", pid)
	return err
}

// fieldFlags are the flags that set a daemon.Context's fields.
var fieldFlags = map[string]string{
	"PIDFile": "--pid-file", "Directories": "--state.directory", "WorkingDirectory": "--working-directory",
	"User": "--user", "Group": "--group", "Stderr": "--log.output", "ReleaseExecutable": "--release-executable",
}

// namingFlag puts the flag before an error that comes from its value.
func namingFlag(err error) error {
	field, ok := errors.AsType[*daemon.FieldError](err)
	if !ok || fieldFlags[field.Field] == "" {
		return err
	}
	return fmt.Errorf("%s: %w", fieldFlags[field.Field], err)
}
