package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"syscall"
	"time"

	"example.org/dormouse/daemon"
)

// told is the pidfile and the patience of the commands that speak to a daemon.
type told struct {
	settings
	timeout time.Duration
}

func (t *told) flags(c *syntax) {
	t.pidFileFlag(c, defaultPIDFile())
	c.duration(&t.timeout, "timeout", 10*time.Second, "How long to wait for the daemon.")
}

func formatFlag(c *syntax) *string {
	format := new(string)
	c.enum(format, "format", "text", "text for people, json for programs.", "text", "json")
	return format
}

// namingPIDFile puts the flag before an error of the pidfile's own.
func namingPIDFile(err error) error {
	if _, ok := errors.AsType[*daemon.PIDFileError](err); ok {
		return fmt.Errorf("--pid-file: %w", err)
	}
	return err
}

func (t *told) context() (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(context.Background(), t.timeout, fmt.Errorf("waited %s", t.timeout))
}

func defineStop(c *syntax) command {
	t := &told{}
	t.flags(c)
	return func(stdout, stderr io.Writer) error {
		if err := t.fromHere(); err != nil {
			return err
		}
		ctx, cancel := t.context()
		defer cancel()
		return stop(ctx, stdout, t.pidFile)
	}
}

// stop ends the daemon; that none runs is a success, as LSB wants it.
func stop(ctx context.Context, stdout io.Writer, pidFile string) error {
	pid, err := daemon.Stop(ctx, pidFile)
	if errors.Is(err, daemon.ErrNotRunning) {
		_, err = fmt.Fprintln(stdout, "dormouse is not running")
		return err
	}
	if err != nil {
		return namingPIDFile(err)
	}
	_, err = fmt.Fprintf(stdout, "dormouse, process %d, has ended\n", pid)
	return err
}

func defineRestart(c *syntax) command {
	var timeout time.Duration
	c.duration(&timeout, "timeout", 10*time.Second, "How long to wait for the daemon to end.")
	s := &settings{}
	s.wiringFlags(c)
	s.logLevelFlags(c, "info")
	s.daemonFlags(c, defaultAddress, "syslog", defaultPIDFile())
	return func(stdout, stderr io.Writer) error {
		if _, arrived := daemon.Handover(); !arrived {
			if err := s.fromHere(); err != nil {
				return err
			}
			// What can't be started mustn't be stopped either.
			in, err := s.readFiles()
			if err != nil {
				return err
			}
			if _, err := s.parse(in.Config); err != nil {
				return err
			}
			ctx, cancel := (&told{timeout: timeout}).context()
			defer cancel()
			if err := stop(ctx, stdout, s.pidFile); err != nil {
				return err
			}
		}
		return s.daemon(daemon.New("dormouse"), stdout)
	}
}

func defineReload(c *syntax) command {
	t := &told{}
	t.flags(c)
	return func(stdout, stderr io.Writer) error {
		if err := t.fromHere(); err != nil {
			return err
		}
		ctx, cancel := t.context()
		defer cancel()
		state := daemon.Status(t.pidFile)
		if state.Code == daemon.StatusUnknown {
			return fmt.Errorf("--pid-file: %s", state.Text)
		}
		if !state.Running() {
			return daemon.WithExitCode(fmt.Errorf("dormouse is %s: there is nothing to reload", state.Text), daemon.ExitNotRunning)
		}
		// The control socket tells the outcome; a signal can't.
		err := askToReload(ctx, t.pidFile)
		if !errors.Is(err, errNoDaemon) {
			if err == nil {
				_, err = fmt.Fprintln(stdout, "reloaded")
			}
			return err
		}
		pid, err := daemon.Signal(ctx, t.pidFile, syscall.SIGHUP)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(stdout, "told process %d to reload; its log tells the outcome\n", pid)
		return err
	}
}

func defineStatus(c *syntax) command {
	t := &told{}
	t.flags(c)
	format := formatFlag(c)
	return func(stdout, stderr io.Writer) error {
		if err := t.fromHere(); err != nil {
			return err
		}
		state := daemon.Status(t.pidFile)
		ctx, cancel := t.context()
		defer cancel()
		if *format == "json" {
			if err := json.NewEncoder(stdout).Encode(state); err != nil {
				return err
			}
		} else if _, err := fmt.Fprintf(stdout, "dormouse: %s\n", state.Text); err != nil {
			return err
		}
		if state.Code != daemon.StatusRunning {
			return silent{state.Code}
		}
		if *format == "text" && !state.Starting {
			// Only root and the daemon's own user may ask it; that it runs is
			// for everybody to know.
			if readings, err := askForReadings(ctx, t.pidFile); err == nil {
				return describeState(stdout, readings)
			}
		}
		return nil
	}
}

func defineInspect(c *syntax) command {
	c.takes(1, "[<pid>]", "The process; without it, the daemon of --pid-file.")
	t := &told{}
	t.flags(c)
	format := formatFlag(c)
	return func(stdout, stderr io.Writer) error {
		if err := t.fromHere(); err != nil {
			return err
		}
		which := 0
		if len(c.given) > 0 {
			pid, err := strconv.Atoi(c.given[0])
			if err != nil || pid <= 0 {
				return usageError{fmt.Errorf("%q is no process: give its number", c.given[0])}
			}
			which = pid
		} else {
			state := daemon.Status(t.pidFile)
			if state.PID == 0 {
				return fmt.Errorf("dormouse is %s: name a process", state.Text)
			}
			which = state.PID
		}
		if which == os.Getpid() {
			return usageError{errors.New("inspect another process than this one")}
		}
		inspection, err := daemon.Inspect(which)
		if err != nil {
			return err
		}
		if *format == "json" {
			e := json.NewEncoder(stdout)
			e.SetIndent("", "  ")
			err = e.Encode(inspection)
		} else {
			err = printInspection(stdout, inspection)
		}
		if err != nil {
			return err
		}
		if inspection.Failed() {
			return silent{exitFailed}
		}
		return nil
	}
}
