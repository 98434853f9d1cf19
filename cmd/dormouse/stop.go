package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"example.org/dormouse/cmd/dormouse/internal/service"
	"example.org/dormouse/daemon"
)

var stopCommand = &command{
	name:    "stop",
	summary: "Stop the daemon, and return when it has ended.",
	details: `Where no daemon runs that is a success.`,
	define:  daemonCommand(stop),
}

// daemonCommand defines a command that speaks to the daemon of --pid-file, within
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
	return c.Flag("timeout", "How long to wait for the daemon.").Default("10s").Duration()
}

// stop ends the daemon; that none runs is a success, as LSB wants it.
func stop(ctx context.Context, pidFile string, stdout io.Writer) error {
	pid, err := daemon.Stop(ctx, pidFile)
	if errors.Is(err, daemon.ErrNotRunning) {
		_, err = fmt.Fprintln(stdout, "dormouse is not running")
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
