package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/prometheus/common/promslog"

	"example.org/dormouse/exporter"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/config"
)

const defaultAddress = ":9367"

// settings are the flags of the commands that work with sensors.
type settings struct {
	sensors, rails []string
	configFile     string
	every          string
	board          string
	machine        *machine // nil: not looked at yet

	serve         bool
	addresses     []string
	systemdSocket bool
	webConfigFile string
	telemetryPath string
	lifecycle     bool
	textfile      string

	stateDirectory   string
	logLevel         *promslog.Level
	logFormat        *promslog.Format
	logOutput        string
	pidFile          string
	user, group      string
	umask            octal
	workingDirectory string
	release          string
	wakeSuspended    bool

	// Of the demonstration: a configuration that is in no file, and what to do
	// after the first wake.
	builtin   []byte
	firstWake func(*sensors.Snapshot, exporter.Clock) error
}

// wiringFlags say what is connected: run, start, read, check and pinout take
// them alike.
func (s *settings) wiringFlags(c *syntax) {
	c.texts(&s.sensors, "sensor", "NAME=DRIVER[,KEY=VALUE]…", "",
		"A sensor, its driver and its wiring: greenhouse=bme280,bus=1,addr=0x76. Repeatable. `dormouse drivers` lists the drivers.")
	c.texts(&s.rails, "rail", "NAME=LINE[,KEY=VALUE]…", "",
		"A supply that a line switches on only while its sensors are read: probes=GPIO17,settle=100ms. Repeatable.")
	c.text(&s.configFile, "config.file", "FILE", "", "Sensors and rails as a YAML file, read at start and at SIGHUP.")
	c.text(&s.every, "every", "5m", "", "How often a sensor is read that doesn't say so itself (5m).")
	c.enum(&s.board, "board", "auto", "Where the wires are: the machine's own, or a simulated board that needs no hardware.", "auto", "sim")
	c.text(&s.stateDirectory, "state.directory", "DIR", defaultStateDirectory(), "Where counters are kept between runs.")
}

// daemonFlags are those of a process that stays: run and start.
func (s *settings) daemonFlags(c *syntax, address, logOutput, pidFile string) {
	c.yesNo(&s.serve, "web", true, "Serve the page for Prometheus; --no-web for a daemon that only writes --textfile or runs tasks.")
	// The names are those of the exporter-toolkit.
	c.texts(&s.addresses, "web.listen-address", "ADDRESS", address, "Address to serve the page on: :9367, 127.0.0.1:9367, [::1]:9367. Repeatable.")
	c.yesNo(&s.systemdSocket, "web.systemd-socket", false, "Serve the page on the sockets that systemd opened.")
	c.text(&s.webConfigFile, "web.config.file", "FILE", "", "TLS and passwords, in the format of the Prometheus exporter-toolkit; read at start and at SIGHUP.")
	c.text(&s.telemetryPath, "web.telemetry-path", "", "/metrics", "Path of the page for Prometheus.")
	c.yesNo(&s.lifecycle, "web.enable-lifecycle", false, "Let a POST to /-/reload reload the configuration.")
	c.text(&s.textfile, "textfile", "FILE", "", "Also write the readings to a file for node_exporter's textfile collector, after each wake.")
	c.text(&s.logOutput, "log.output", "stderr|syslog|FILE", logOutput, "Where to log: stderr, syslog or a file, which SIGHUP opens anew.")
	s.pidFileFlag(c, pidFile)
	c.text(&s.user, "user", "USER", "", "Become this user once everything is open; its groups and those of the wires (gpio, i2c, spi, dialout, video) come along.")
	c.text(&s.group, "group", "GROUP", "", "Primary group, if not the user's own.")
	s.umask = 0o022
	c.value(&s.umask, "umask", "File creation mask, octal.")
	c.text(&s.workingDirectory, "working-directory", "", "/", "Working directory. Any but / keeps that directory's file system mounted.")
	c.yesNo(&s.wakeSuspended, "wake-suspended", false, "Also wake a suspended machine to read its sensors, where its clock chip can.")
	c.enum(&s.release, "release-executable", "auto", "Run from a copy in memory so that the file system of the executable can be unmounted: auto does so only where it is on a removable mount.",
		"auto", "always", "never")
}

// logLevelFlags are called as in every exporter.
func (s *settings) logLevelFlags(c *syntax, level string) {
	s.logLevel, s.logFormat = promslog.NewLevel(), promslog.NewFormat()
	for _, f := range []struct {
		name, value, help string
		flag              setter
		choices           []string
	}{
		{"log.level", level, "Only log messages with the given severity or above.", s.logLevel, promslog.LevelFlagOptions},
		{"log.format", "logfmt", "Output format of log messages.", s.logFormat, promslog.FormatFlagOptions},
	} {
		if err := f.flag.Set(f.value); err != nil {
			panic(err) // our own default
		}
		c.value(f.flag, f.name, fmt.Sprintf("%s One of: [%s]", f.help, strings.Join(f.choices, ", ")))
	}
}

func (s *settings) pidFileFlag(c *syntax, value string) {
	c.text(&s.pidFile, "pid-file", "FILE", value, "The file that holds the process id, and the lock that proves the daemon runs.")
}

// absolutePaths makes every path absolute, from the directory that they were
// meant from: that of the command that was typed, which the daemon has left.
func (s *settings) absolutePaths(from string) {
	paths := []*string{&s.configFile, &s.webConfigFile, &s.textfile, &s.stateDirectory, &s.pidFile, &s.workingDirectory}
	if s.logOutput != "stderr" && s.logOutput != "syslog" {
		paths = append(paths, &s.logOutput)
	}
	for _, p := range paths {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(from, *p)
		}
	}
}

// fromHere makes every path absolute from the working directory.
func (s *settings) fromHere() error {
	here, err := os.Getwd()
	if err != nil {
		return fmt.Errorf("find out where this is: %w: give absolute paths from a directory that exists", err)
	}
	s.absolutePaths(here)
	return nil
}

// load reads the configuration file, if any, and makes the configuration.
func (s *settings) load() (*config.Config, error) {
	data, err := s.readConfigFile()
	if err != nil {
		return nil, err
	}
	return s.parse(data)
}

// parse makes the configuration from the flags and the file's content.
func (s *settings) parse(data []byte) (*config.Config, error) {
	cfg, err := config.Load(s.source(data))
	if err != nil {
		return nil, &configError{err}
	}
	return cfg, nil
}

func (s *settings) readConfigFile() ([]byte, error) {
	if s.configFile == "" || s.builtin != nil {
		return s.builtin, nil
	}
	data, err := os.ReadFile(s.configFile)
	if err != nil {
		return nil, &configError{fmt.Errorf("--config.file: %w: name a file that exists and that this user may read", err)}
	}
	return data, nil
}

// A configError is a configuration that can't be had or isn't right: exit 6.
type configError struct{ err error }

func (e *configError) Error() string { return e.err.Error() }
func (e *configError) Unwrap() error { return e.err }

// octal is a file mode that is written as one: 022 is not twenty-two.
type octal uint32

func (o *octal) Set(text string) error {
	v, err := strconv.ParseUint(text, 8, 32)
	if err != nil || v > 0o777 {
		return errors.New("write a file creation mask in octal, as in 022")
	}
	*o = octal(v)
	return nil
}

func (o *octal) String() string { return fmt.Sprintf("%03o", uint32(*o)) }

// Default paths: root's are the system's, a user's are their own, and what the
// service manager has set up wins.
func defaultPIDFile() string {
	return filepath.Join(runtimeDirectory(), "dormouse.pid")
}

func runtimeDirectory() string {
	if d := os.Getenv("RUNTIME_DIRECTORY"); d != "" {
		return firstOf(d)
	}
	if os.Geteuid() == 0 {
		return "/run/dormouse"
	}
	if d := os.Getenv("XDG_RUNTIME_DIR"); d != "" {
		return filepath.Join(d, "dormouse")
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("dormouse-%d", os.Geteuid()))
}

func defaultStateDirectory() string {
	if d := os.Getenv("STATE_DIRECTORY"); d != "" {
		return firstOf(d)
	}
	if os.Geteuid() == 0 {
		return "/var/lib/dormouse"
	}
	if d := os.Getenv("XDG_STATE_HOME"); d != "" {
		return filepath.Join(d, "dormouse")
	}
	if home := os.Getenv("HOME"); home != "" {
		return filepath.Join(home, ".local", "state", "dormouse")
	}
	return ""
}

// firstOf is the first of the directories that systemd gives, colon-separated.
func firstOf(list string) string {
	first := filepath.SplitList(list)[0]
	return first
}
