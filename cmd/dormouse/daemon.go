package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/common/version"
	"golang.org/x/sys/unix"

	"example.org/dormouse/daemon"
	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/exporter"
	"example.org/dormouse/exporter/web"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board"
	"example.org/dormouse/sensors/board/sim"
	"example.org/dormouse/sensors/config"
	"example.org/dormouse/sensors/poll"
)

// Events of our own, besides daemon.Terminate and daemon.Reload.
const (
	eventRead daemon.Event = "read" // SIGUSR1: read everything now
	eventDump daemon.Event = "dump" // SIGUSR2: tell the state to the log
)

// stopTimeout is how long the end may take, a running scrape included. init
// and systemd wait longer before they kill.
const stopTimeout = 4 * time.Second

// wireGroups own the device nodes of the wires on Raspberry Pi OS; the daemon's
// user gets those that exist.
var wireGroups = []string{"gpio", "i2c", "spi", "dialout", "video"}

// daemon becomes one, and is one until it is asked to end.
func (s *settings) daemon(d *daemon.Context, stdout io.Writer) error {
	in, err := s.gather()
	if err != nil {
		return err
	}
	cfg, err := s.parse(in.Config)
	if err != nil {
		return err
	}
	webConfig, err := in.webConfig(s)
	if err != nil {
		return err
	}
	s.describe(d)
	if _, arrived := daemon.Handover(); !arrived {
		in.Warnings = s.warnings(d, in)
	}
	if d.Handover, err = in.handover(); err != nil {
		return err
	}
	if f, err := s.stderr(d); err != nil {
		return err
	} else if f != nil {
		defer f.Close()
	}

	p, err := d.Open()
	if err != nil {
		return namingPIDFile(err)
	}
	if p.Starter() {
		return s.started(stdout, p)
	}
	for _, w := range in.Warnings {
		p.Warn(w)
	}
	if err := s.serveUntilTold(p, cfg, webConfig); err != nil {
		return p.Fail(namingPIDFile(err))
	}
	return p.Close()
}

// describe says what the process is to be like.
func (s *settings) describe(d *daemon.Context) {
	d.WorkingDirectory = s.workingDirectory
	d.Umask = int(s.umask)
	d.PIDFile = s.pidFile
	if s.stateDirectory != "" {
		d.Directories = []string{s.stateDirectory}
	}
	d.User, d.Group = s.user, s.group
	d.SupplementaryGroups = wireGroups
	if s.wakeSuspended && s.user != "" { // root has it anyway, and so has who was given it
		d.AmbientCapabilities = []uintptr{unix.CAP_WAKE_ALARM}
	}
	d.ReleaseExecutable = daemon.Release(s.release)
	d.SignalMap[syscall.SIGUSR1] = eventRead
	d.SignalMap[syscall.SIGUSR2] = eventDump
	d.Environment = runtimeSettings()
	d.KeepEnvironment = []string{"RUNTIME_DIRECTORY", "STATE_DIRECTORY"}
}

// stderr is the log file for what doesn't go through the logger: a panic.
func (s *settings) stderr(d *daemon.Context) (*os.File, error) {
	if _, ok := daemon.Handover(); ok || d.DetachProcess == daemon.DetachNever || s.logOutput == "syslog" || s.logOutput == "stderr" {
		return nil, nil
	}
	f, err := d.OpenLog(s.logOutput)
	if err != nil {
		return nil, fmt.Errorf("--log.output: %w: choose a file in a directory that exists and that can be written to", err)
	}
	d.Stderr = f
	return f, nil
}

// started tells the person who typed the command that all is well.
func (s *settings) started(stdout io.Writer, p *daemon.Process) error {
	for _, w := range p.Warnings() {
		if _, err := fmt.Fprintln(stdout, "warning:", w); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(stdout, "dormouse runs as process %d%s\n", p.PID(), s.whereThePageIs())
	return err
}

func (s *settings) whereThePageIs() string {
	if !s.serve {
		return ""
	}
	scheme := "http"
	if s.webConfigFile != "" {
		scheme = "http(s)"
	}
	if s.systemdSocket {
		return "; its page is on the socket that systemd opened"
	}
	var urls []string
	for _, address := range s.addresses {
		urls = append(urls, scheme+"://"+reachable(address)+s.telemetryPath)
	}
	return "; its page is " + strings.Join(urls, " and ")
}

// reachable is an address that a browser on this machine can open.
func reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}

// A running is the daemon at work: what its events act upon.
type running struct {
	*settings
	process *daemon.Process
	log     *logger
	clock   *alarm.Clock
	poller  *poll.Poller
	page    *exporter.Exporter
	server  *web.Server

	textfileFailed bool
	told           tally           // to the supervisor, of publish
	tellAgain      atomic.Bool     // something else was told meanwhile
	reloads        chan chan error // asked for by POST /-/reload
}

// serveUntilTold is the daemon's life, from a process that is one to the
// moment when nothing of it runs any more.
func (s *settings) serveUntilTold(p *daemon.Process, cfg *config.Config, webConfig *web.Config) error {
	log, err := newLogger(s.logOutput, s.logLevel, s.logFormat)
	if err != nil {
		return err
	}
	log.Info("starting", "version", version.Version, "pid", os.Getpid())
	s.tryPlaces(p, log)
	for _, w := range p.Warnings() {
		log.Warn(w)
	}
	for _, w := range cfg.Warnings {
		log.Warn(w.Error())
	}
	clock, err := s.openClock()
	if err != nil {
		return err
	}
	defer clock.Close()
	b := openBoard(s.board, clock)

	r := &running{settings: s, process: p, log: log, clock: clock, reloads: make(chan chan error)}
	options := exporter.Options{Build: build(), Clock: clock, Log: log.Logger, TelemetryPath: s.telemetryPath}
	if s.lifecycle {
		options.Reload = r.requestReload
	}
	r.page = exporter.New(options)
	if r.poller, err = poll.New(poll.Options{
		Config: cfg, Board: b, Clock: clock, Log: log.Logger, Publish: r.publish,
		StateDirectory: s.stateDirectory, Start: daemon.StartChild, Wait: daemon.WaitChild,
	}); err != nil {
		return err
	}

	failed := make(chan error, 2)
	listeners, err := s.listen(p)
	if err != nil {
		return err
	}
	control, err := s.listenControl()
	if err != nil {
		return err
	}
	r.server = web.New(r.page, webConfig, log.Logger)
	if len(listeners) > 0 {
		go func() { failed <- r.server.Serve(listeners...) }()
	}
	if control != nil {
		go func() { failed <- r.serveControl(control) }()
	}

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	polled := make(chan error, 1)
	go func() { polled <- r.poller.Run(ctx) }()

	if err := p.Ready(fmt.Sprintf("%d sensors", len(cfg.Sensors))); err != nil {
		return err
	}
	log.Info("started", "sensors", len(cfg.Sensors), "copied_to", p.Copied())

	alive, err := r.watchdog(ctx)
	if err == nil {
		err = r.follow(ctx, failed, polled, alive)
	}
	log.Info("stopping")
	stopping := p.Stopping()
	cancel()
	return errors.Join(err, stopping, r.end(polled, control))
}

// follow does what is asked until the end is asked for, or comes by itself.
func (r *running) follow(ctx context.Context, failed, polled chan error, alive <-chan struct{}) error {
	for {
		select {
		case <-r.process.Done():
			return nil
		case err := <-failed:
			return fmt.Errorf("serve the page: %w", err)
		case err := <-polled:
			polled <- nil // for end, which waits for it
			return fmt.Errorf("poll: %w", err)
		case <-alive:
			if err := r.process.Alive(); err != nil {
				r.log.Debug("the supervisor can't be told", "err", err)
			}
		case answer := <-r.reloads:
			answer <- r.reload()
		case event := <-r.process.Events():
			switch event {
			case daemon.Reload:
				// The outcome is in the log and in the metrics.
				_ = r.reload()
			case eventRead:
				// Not waited for: the next event may be TERM.
				go r.readNow(ctx)
			case eventDump:
				r.dump()
			}
		}
	}
}

// end waits for the rails to be down and for a running scrape to be answered.
func (r *running) end(polled chan error, control net.Listener) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout) // nothing sleeps any more
	defer cancel()
	var errs []error
	select {
	case err := <-polled:
		if err != nil && !errors.Is(err, context.Canceled) {
			errs = append(errs, err)
		}
	case <-ctx.Done():
		errs = append(errs, fmt.Errorf("the poller didn't end within %s", stopTimeout))
	}
	if len(errs) == 0 {
		r.log.Info("stopped", "rails", "off")
	}
	errs = append(errs, r.server.Shutdown(ctx))
	if control != nil {
		errs = append(errs, ignoreClosed(control.Close()))
	}
	return errors.Join(errs...)
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// publish is called after each wake.
func (r *running) publish(s *sensors.Snapshot) {
	r.page.Publish(s)
	if tell := r.firstWake; tell != nil {
		r.firstWake = nil
		if err := tell(s, r.clock); err != nil {
			r.log.Debug("nobody reads the terminal", "err", err)
		}
	}
	if r.textfile != "" {
		err := r.page.WriteTextfile(r.textfile)
		if err != nil && !r.textfileFailed {
			r.log.Error("the textfile can't be written; the daemon goes on without it", "file", r.textfile, "err", err)
		}
		if err == nil && r.textfileFailed {
			r.log.Info("the textfile is written again", "file", r.textfile)
		}
		r.textfileFailed = err != nil
	}
	// Told at each wake, the supervisor would wake each time, too.
	if now := countUp(s); now != r.told || r.tellAgain.Swap(false) {
		r.told = now
		if err := r.process.Status(now.String()); err != nil {
			r.log.Debug("the supervisor can't be told", "err", err)
		}
	}
}

// A tally is the state as systemctl status shows it.
type tally struct{ up, of int }

func countUp(s *sensors.Snapshot) tally {
	t := tally{of: len(s.Results)}
	for i := range s.Results {
		if s.Results[i].Up {
			t.up++
		}
	}
	return t
}

func (t tally) String() string { return fmt.Sprintf("%d of %d sensors up", t.up, t.of) }

// dump tells the log what the daemon knows.
func (r *running) dump() {
	snapshot := r.poller.Snapshot()
	if snapshot == nil {
		r.log.Info("state", "sensors", 0, "text", "nothing was read yet")
		return
	}
	for _, result := range snapshot.Results {
		attrs := []any{"sensor", result.Name, "driver", result.Driver, "wiring", result.Wiring, "up", result.Up, "reads", result.Reads}
		if result.Err != nil {
			attrs = append(attrs, "err", result.Err)
		}
		for _, reading := range result.Readings {
			if reading.Dist == nil {
				attrs = append(attrs, strings.Join(append([]string{reading.Quantity.Name}, reading.Labels...), "/"), reading.Quantity.Format(reading.Value))
			}
		}
		r.log.Info("state", attrs...)
	}
	for _, wire := range snapshot.Wires {
		r.log.Info("wire", "kind", wire.Kind, "name", wire.Name, "where", wire.Where, "active", wire.Active)
	}
	attrs := []any{"daemon", countUp(snapshot).String(), "goroutines", runtime.NumGoroutine()}
	if next, ok := r.clock.Wall(snapshot.NextWake); ok {
		attrs = append(attrs, "next_wake", next.Format(time.RFC3339))
	}
	r.log.Info("state", attrs...)
}

func (r *running) readNow(ctx context.Context) {
	if _, err := r.poller.ReadNow(ctx); err != nil && ctx.Err() == nil {
		r.log.Error("read on demand", "err", err)
	}
}

// requestReload is a reload asked for over HTTP; follow does it.
func (r *running) requestReload() error {
	answer := make(chan error, 1)
	select {
	case r.reloads <- answer:
		return <-answer
	case <-r.process.Done():
		return errors.New("the daemon is stopping")
	}
}

// reload reads all files again and takes all of them, or keeps what is.
func (r *running) reload() error {
	if err := r.process.Reloading(); err != nil {
		r.log.Debug("the supervisor can't be told", "err", err)
	}
	err := r.takeFiles()
	r.page.SetReload(err == nil, r.clock.Now())
	status := "reloaded"
	if err != nil {
		status = "reload failed, the old configuration stays"
		r.log.Error(status, "err", err)
	} else {
		r.log.Info(status)
	}
	if told := r.process.Reloaded(status); told != nil {
		r.log.Debug("the supervisor can't be told", "err", told)
	}
	r.tellAgain.Store(true)
	return err
}

func (r *running) takeFiles() error {
	reopened := r.log.Reopen()
	in, err := r.readFiles()
	if err != nil {
		return errors.Join(err, reopened)
	}
	cfg, err := r.parse(in.Config)
	if err != nil {
		return errors.Join(err, reopened)
	}
	webConfig, err := in.webConfig(r.settings)
	if err != nil {
		return errors.Join(err, reopened)
	}
	if err := r.poller.Reload(cfg); err != nil {
		return errors.Join(err, reopened)
	}
	r.server.SetConfig(webConfig)
	return reopened
}

// listen opens the sockets, or takes those that a supervisor opened.
func (s *settings) listen(p *daemon.Process) ([]net.Listener, error) {
	if !s.serve {
		return nil, nil
	}
	given, err := p.Listeners()
	if err != nil {
		return nil, err
	}
	if len(given) > 0 {
		return given, nil
	}
	if s.systemdSocket {
		return nil, errors.New("--web.systemd-socket: no socket was handed over: enable dormouse.socket, or leave the flag out")
	}
	return web.Listen(s.addresses)
}

func build() exporter.Build {
	return exporter.Build{Version: version.Version, Revision: version.GetRevision(), GoVersion: version.GoVersion}
}

// runtimeSettings keep the Go runtime of the sleeping process still, where the
// environment doesn't say otherwise; docs/cost.md has the measurements.
func runtimeSettings() []string {
	var settings []string
	for _, s := range []string{"GOMAXPROCS=1", gcSetting, "GOMEMLIMIT=24MiB"} {
		if name, _, _ := strings.Cut(s, "="); os.Getenv(name) == "" {
			settings = append(settings, s)
		}
	}
	return settings
}

// openBoard finds the wires: the machine's own, or a simulated board's, whose
// world is another one each time.
func openBoard(kind string, clock *alarm.Clock) board.Board {
	if kind == "sim" {
		return sim.New(clock, uint64(time.Now().UnixNano()))
	}
	return board.Open()
}
