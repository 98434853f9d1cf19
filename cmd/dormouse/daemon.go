package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/common/version"
	"golang.org/x/sys/unix"

	"example.org/dormouse/cmd/dormouse/internal/service"
	"example.org/dormouse/daemon"
	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/daemon/duration"
	"example.org/dormouse/daemon/logging"
	"example.org/dormouse/exporter"
	"example.org/dormouse/exporter/control"
	"example.org/dormouse/exporter/web"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board"
	"example.org/dormouse/sensors/board/sim"
)

// wireGroups own the device nodes of the wires on Raspberry Pi OS; the daemon's
// user gets those that exist.
var wireGroups = []string{"gpio", "i2c", "spi", "dialout", "video"}

// daemon becomes a daemon, and runs until it is asked to end. In the command
// that was typed it returns when the daemon is ready.
func (s *settings) daemon(d *daemon.Context, stdout io.Writer) error {
	if err := s.validate(); err != nil {
		return err
	}
	in, err := s.gather()
	if err != nil {
		return err
	}
	files, err := s.Parse(in)
	if err != nil {
		return err
	}
	s.describe(d)
	if _, arrived := daemon.Handover(); !arrived {
		in.Warnings = s.warnings(d, in)
		output, warning, err := s.chooseLog(d)
		if err != nil {
			return err
		}
		s.logOutput, in.LogOutput = output, output
		if warning != "" {
			in.Warnings = append(in.Warnings, warning)
		}
	}
	if d.Handover, err = in.Handover(); err != nil {
		return err
	}
	if f, err := s.stderr(d); err != nil {
		return err
	} else if f != nil {
		defer f.Close()
	}

	p, err := d.Open()
	if err != nil {
		return namingFlag(err)
	}
	if p.Starter() {
		return s.started(stdout, p, files.Web)
	}
	for _, w := range in.Warnings {
		p.Warn(w)
	}
	if err := s.serveUntilEnd(p, files); err != nil {
		return namingFlag(p.Fail(err))
	}
	return p.Close()
}

// gather takes what was handed over, or reads the files. From then on all
// paths are absolute.
func (s *settings) gather() (*service.Inputs, error) {
	data, ok := daemon.Handover()
	if !ok {
		here, err := workingDirectory()
		if err != nil {
			return nil, err
		}
		s.absolutePaths(here)
		in, err := s.Read()
		if err != nil {
			return nil, err
		}
		s.Machine = service.FindMachine()
		in.Directory, in.Machine, in.StateDirectory, in.PIDFile = here, s.Machine, s.stateDirectory, s.pidFile
		return in, nil
	}
	in, err := service.ParseInputs(data)
	if err != nil {
		return nil, err
	}
	s.Machine, s.stateDirectory, s.pidFile, s.logOutput = in.Machine, in.StateDirectory, in.PIDFile, in.LogOutput
	s.absolutePaths(in.Directory)
	return in, nil
}

// describe says how the process is to be.
func (s *settings) describe(d *daemon.Context) {
	d.WorkingDirectory = s.workingDirectory
	d.Umask = int(s.umask)
	d.PIDFile = s.pidFile
	if s.stateDirectory != "" {
		d.Directories = []string{s.stateDirectory}
	}
	d.User, d.Group = s.user, s.group
	d.SupplementaryGroups = wireGroups
	if s.wakeSuspended && s.user != "" { // root has it anyway
		d.AmbientCapabilities = []uintptr{unix.CAP_WAKE_ALARM}
	}
	d.ReleaseExecutable = daemon.Release(s.release)
	d.SignalMap[syscall.SIGUSR1] = service.EventRead
	d.SignalMap[syscall.SIGUSR2] = service.EventDump
	d.Environment = runtimeSettings()
}

// chooseLog is where the daemon would log on this machine, with a warning where
// that isn't what was asked for.
func (s *settings) chooseLog(d *daemon.Context) (output, warning string, err error) {
	output, warning, err = logging.Choose(s.logOutput, s.stateDirectory, d.Detaches())
	if err != nil {
		err = usageError{fmt.Errorf("--log.output: %w", err)}
	}
	return output, warning, err
}

// stderr is the log file for what doesn't go through the logger: a panic.
func (s *settings) stderr(d *daemon.Context) (*os.File, error) {
	if _, ok := daemon.Handover(); ok || d.DetachProcess == daemon.DetachNever || !s.logsToFile() {
		return nil, nil
	}
	f, err := d.OpenLog(s.logOutput)
	if err != nil {
		return nil, namingFlag(err)
	}
	d.Stderr = f
	return f, nil
}

// started prints the warnings, that the daemon runs, and where its pages are.
func (s *settings) started(stdout io.Writer, p *daemon.Process, c *web.Config) error {
	for _, w := range p.Warnings() {
		if _, err := fmt.Fprintln(stdout, "warning:", w); err != nil {
			return err
		}
	}
	text := fmt.Sprintf("dormouse runs as process %d", p.PID())
	switch {
	case s.serve && s.systemdSocket:
		text += "; its page and metrics are on the socket that systemd opened"
	case s.serve:
		text += "; " + service.Served(service.URLs(s.addresses, c), s.telemetryPath)
	}
	_, err := fmt.Fprintln(stdout, text)
	return err
}

// serveUntilEnd is the daemon's life, from a process that is one until it is
// asked to end, which it also may be while a file is opened that doesn't answer.
func (s *settings) serveUntilEnd(p *daemon.Process, files service.Files) error {
	var o service.Options
	opened := make(chan error, 1)
	go func() {
		var err error
		o, err = s.open(p, files)
		opened <- err
	}()
	select {
	case err := <-opened:
		if err != nil {
			return err
		}
	case <-p.Done():
		return nil // nothing was read, and no rail is up
	}
	defer o.Clock.Close()
	return service.Run(o)
}

// open opens what the daemon works with. After an error the process ends, and
// what was opened with it.
func (s *settings) open(p *daemon.Process, files service.Files) (o service.Options, err error) {
	log, err := s.openLog(s.logOutput)
	if err != nil {
		return o, err
	}
	log.Info("starting", "version", version.Version, "revision", version.GetRevision(), "pid", os.Getpid())
	service.TryWrites(p, log, s.stateDirectory)
	for _, w := range p.Warnings() {
		log.Warn(w)
	}
	for _, w := range files.Config.Warnings {
		log.Warn(w.Error())
	}
	clock, err := service.OpenClock(s.wakeSuspended)
	if err != nil {
		return o, err
	}
	o = service.Options{
		Process: p, Log: log, Clock: clock, Board: openBoard(s.board, clock), Files: files, Load: s.Reload,
		Build: buildLabels(), TelemetryPath: s.telemetryPath, Lifecycle: s.lifecycle,
		Textfile: s.textfile, StateDirectory: s.stateDirectory,
	}
	if s.prepare != nil {
		s.prepare(o.Board)
	}
	if s.firstWake != nil {
		o.FirstWake = func(snapshot *sensors.Snapshot) error {
			return s.firstWake(snapshot, clock, service.URLs(s.addresses, files.Web))
		}
	}
	if s.serve {
		if o.Listeners, err = service.Listen(p, s.addresses, s.systemdSocket); err != nil {
			return o, err
		}
	}
	if s.pidFile != "" {
		if o.Control, err = control.Listen(s.pidFile); err != nil {
			return o, err
		}
	}
	return o, nil
}

// warnings are about places that are in order now and will cause trouble later.
func (s *settings) warnings(d *daemon.Context, in *service.Inputs) []string {
	paths := []service.Path{
		{Flag: "--log.output", Path: s.logOutput}, {Flag: "--textfile", Path: s.textfile}, {Flag: "--state.directory", Path: s.stateDirectory},
		{Flag: "--pid-file", Path: s.pidFile}, {Flag: "--working-directory", Path: s.workingDirectory},
	}
	return slices.Concat(service.BusyMounts(paths, daemon.MountOf), s.Unreadable(d, in), s.Exposed(in))
}

func (s *settings) logsToFile() bool { return isFile(s.logOutput) }

// isFile tells whether the log's output is a file.
func isFile(output string) bool { return output != logging.Stderr && output != logging.Syslog }

func (s *settings) openLog(output string) (*logging.Logger, error) {
	log, err := logging.New(output, s.logLevel, s.logFormat)
	if err != nil {
		return nil, fmt.Errorf("--log.output: %w", err)
	}
	return log, nil
}

// buildLabels are the labels of dormouse_build_info.
func buildLabels() exporter.Build {
	return exporter.Build{Version: version.Version, Revision: version.GetRevision(), Branch: version.Branch, Tags: version.GetTags(),
		GoVersion: version.GoVersion, GoOS: version.GoOS, GoArch: version.GoArch}
}

// runtimeSettings keep the Go runtime of the sleeping process idle; those of the
// environment win. docs/cost.md has the measurements.
func runtimeSettings() []string {
	settings := []string{"GOMAXPROCS=1", gcSetting, "GOMEMLIMIT=24MiB"}
	for i, s := range settings {
		name, _, _ := strings.Cut(s, "=")
		if value := os.Getenv(name); value != "" {
			settings[i] = name + "=" + value
		}
	}
	return settings
}

// openBoard opens the machine's own wires, or a simulated board's, whose world
// differs each time.
func openBoard(kind string, clock *alarm.Clock) board.Board {
	if kind == "sim" {
		return sim.New(clock, uint64(time.Now().UnixNano()))
	}
	return board.Open()
}

// inspector is the board's own, nil where it can't be inspected. Closing the
// clock is the caller's.
func (s *settings) inspector() (board.Inspector, *alarm.Clock, error) {
	clock, err := alarm.New()
	if err != nil {
		return nil, nil, err
	}
	inspector, _ := openBoard(s.board, clock).(board.Inspector)
	return inspector, clock, nil
}

// within limits the wait for a daemon.
func within(timeout time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(context.Background(), timeout, fmt.Errorf("waited %s", duration.Format(timeout)))
}
