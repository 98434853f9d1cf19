package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"

	"example.org/dormouse/daemon"
	"example.org/dormouse/exporter/control"
)

var reloadCommand = &command{
	name:    "reload",
	summary: "Have the daemon read its files again: all of them, or none if one is invalid.",
	details: `The files are those of --config.file and --web.config.file; the log file is opened again. The exit status is 6 where the configuration is invalid, and 7 where no daemon runs.`,
	define:  daemonCommand(reload),
}

func reload(ctx context.Context, pidFile string, stdout io.Writer) error {
	state := daemon.Status(pidFile)
	if state.Code == daemon.StatusUnknown {
		return fmt.Errorf("--pid-file: %s", state.Text)
	}
	if !state.Running() {
		return daemon.WithExitCode(fmt.Errorf("dormouse is %s: there is nothing to reload%s", state.Text, elsewhere(pidFile, state)), daemon.ExitNotRunning)
	}
	// The control socket tells the outcome; a signal can't.
	err := control.Reload(ctx, pidFile)
	if !errors.Is(err, control.ErrNoDaemon) {
		if err == nil {
			_, err = fmt.Fprintln(stdout, "reloaded")
		}
		return err
	}
	pid, err := daemon.Signal(ctx, pidFile, syscall.SIGHUP)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "sent SIGHUP to process %d; its log has the outcome\n", pid)
	return err
}
