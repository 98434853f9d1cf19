package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/promslog"
	promslogflag "github.com/prometheus/common/promslog/flag"

	"example.org/dormouse/cmd/dormouse/internal/cli"
	"example.org/dormouse/cmd/dormouse/internal/service"
	"example.org/dormouse/daemon"
	"example.org/dormouse/exporter"
	"example.org/dormouse/exporter/web"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board"
)

const defaultAddress = ":9367"

// settings are the flags of the commands that work with sensors.
type settings struct {
	service.Source
	board string

	serve         bool
	addresses     []string
	systemdSocket bool
	telemetryPath string
	lifecycle     bool
	textfile      string

	stateDirectory   string
	logLevel         *promslog.Level
	logFormat        *promslog.Format
	logOutput        string
	pidFile          string
	user, group      string
	umask            cli.Octal
	workingDirectory string
	release          string
	wakeSuspended    bool

	// prepare is what the demonstration does to its board, and firstWake what it
	// does after the first wake.
	prepare   func(board.Board)
	firstWake func(snapshot *sensors.Snapshot, clock exporter.Clock, urls []string) error
}

// wiringFlags say what is connected: run, start, restart, read, check and
// pinout have them.
func (s *settings) wiringFlags(c *kingpin.CmdClause) {
	c.Flag("sensor", "A sensor, its driver and its wiring: greenhouse=bme280,bus=1,addr=0x76. Repeatable. `dormouse drivers` lists the drivers.").
		PlaceHolder("NAME=DRIVER[,KEY=VALUE]…").StringsVar(&s.Sensors)
	c.Flag("task", "A program to be run on the schedule: backup=/home/pi/backup.py,at=\"30 3 * * *\". Repeatable. `dormouse drivers task` lists the keys.").
		PlaceHolder("NAME=PROGRAM[,KEY=VALUE]…").StringsVar(&s.Tasks)
	s.railFlag(c, "A supply that a line switches on only while its sensors are read: probes=GPIO17,settle=100ms. Repeatable.")
	c.Flag("config.file", "Sensors and rails as a YAML file, read at start and at SIGHUP.").PlaceHolder("FILE").StringVar(&s.ConfigFile)
	c.Flag("every", "Interval of sensors that have none of their own (5m).").PlaceHolder("5m").StringVar(&s.Every)
	s.boardFlag(c)
	c.Flag("state.directory", "Where counters are kept between runs. Default: /var/lib/dormouse, and for a user below $XDG_STATE_HOME.").PlaceHolder("DIR").Default(service.DefaultStateDirectory()).StringVar(&s.stateDirectory)
}

func (s *settings) railFlag(c *kingpin.CmdClause, help string) {
	c.Flag("rail", help).PlaceHolder("NAME=LINE[,KEY=VALUE]…").StringsVar(&s.Rails)
}

func (s *settings) boardFlag(c *kingpin.CmdClause) {
	s.Identify = s.identify
	c.Flag("board", "The board whose buses and lines are used: this machine's (auto), or a simulated one that needs no hardware (sim).").
		Default("auto").EnumVar(&s.board, "auto", "sim")
}

// daemonFlags are those of a process that stays: run and start.
func (s *settings) daemonFlags(c *kingpin.CmdClause, address, logOutput, pidFile string) {
	s.webFlags(c, address)
	c.Flag("textfile", "Also write the readings to a file for node_exporter's textfile collector, after each wake.").PlaceHolder("FILE").StringVar(&s.textfile)
	c.Flag("log.output", fmt.Sprintf("Where to log: stderr, syslog or a file, which SIGHUP opens again. Default: %s.", logOutput)).
		PlaceHolder("stderr|syslog|FILE").Default(logOutput).HintOptions("stderr", "syslog").StringVar(&s.logOutput)
	s.pidFileFlag(c, pidFile)
	c.Flag("user", "Become this user once everything is open; its groups and those of the wires (gpio, i2c, spi, dialout, video) are kept.").PlaceHolder("USER").StringVar(&s.user)
	c.Flag("group", "Primary group, if not the user's own.").PlaceHolder("GROUP").StringVar(&s.group)
	c.Flag("umask", "File creation mask, octal.").Default("022").SetValue(&s.umask)
	c.Flag("working-directory", "Working directory. Any but / keeps that directory's file system mounted.").Default("/").StringVar(&s.workingDirectory)
	c.Flag("wake-suspended", "Also wake a suspended machine to read its sensors, where its clock chip can.").BoolVar(&s.wakeSuspended)
	c.Flag("release-executable", "Run from a copy in memory so that the file system of the executable can be unmounted: auto does so only where it is on a removable mount.").
		Default("auto").EnumVar(&s.release, "auto", "always", "never")
}

// webFlags have the names of the exporter-toolkit's.
func (s *settings) webFlags(c *kingpin.CmdClause, address string) {
	c.Flag("web", "Serve the metrics for Prometheus; --no-web for a daemon that only writes --textfile or runs tasks.").Default("true").BoolVar(&s.serve)
	c.Flag("web.listen-address", fmt.Sprintf("Address to serve the metrics on: :9367, 127.0.0.1:9367, [::1]:9367. Repeatable. Default: %s.", address)).
		PlaceHolder("ADDRESS").Default(address).StringsVar(&s.addresses)
	c.Flag("web.systemd-socket", "Serve the metrics on the sockets that systemd opened.").BoolVar(&s.systemdSocket)
	c.Flag("web.config.file", "TLS and passwords, in the format of the Prometheus exporter-toolkit; read at start and at SIGHUP.").PlaceHolder("FILE").StringVar(&s.WebConfigFile)
	c.Flag("web.telemetry-path", "Path of the metrics for Prometheus.").Default("/metrics").StringVar(&s.telemetryPath)
	c.Flag("web.enable-lifecycle", "Let a POST to /-/reload reload the configuration, and one to /-/read read the sensors.").BoolVar(&s.lifecycle)
}

// logLevelFlags are those of every exporter.
func (s *settings) logLevelFlags(c *kingpin.CmdClause, level string) {
	s.logLevel, s.logFormat = promslog.NewLevel(), promslog.NewFormat()
	c.Flag(promslogflag.LevelFlagName, promslogflag.LevelFlagHelp).Default(level).HintOptions(promslog.LevelFlagOptions...).SetValue(s.logLevel)
	c.Flag(promslogflag.FormatFlagName, promslogflag.FormatFlagHelp).Default("logfmt").HintOptions(promslog.FormatFlagOptions...).SetValue(s.logFormat)
}

func (s *settings) pidFileFlag(c *kingpin.CmdClause, value string) {
	help := "The file that holds the process id, and the lock that proves that the daemon runs."
	if value != "" {
		help += " Default: /run/dormouse/dormouse.pid, and for a user below $XDG_RUNTIME_DIR."
	}
	c.Flag("pid-file", help).PlaceHolder("FILE").Default(value).StringVar(&s.pidFile)
}

// validate checks the values of flags that no type does: a wrong one would be
// found only when the daemon uses it, and a service manager would try again.
func (s *settings) validate() error {
	var errs []error
	if s.serve && !s.systemdSocket {
		for _, address := range s.addresses {
			if err := web.CheckAddress(address); err != nil {
				errs = append(errs, fmt.Errorf("--web.listen-address: %w", err))
			}
		}
	}
	path, err := exporter.TelemetryPath(s.telemetryPath)
	if err != nil {
		errs = append(errs, fmt.Errorf("--web.telemetry-path: %w", err))
	}
	s.telemetryPath = path
	d := daemon.New("dormouse")
	d.User, d.Group = s.user, s.group
	if err := d.CheckAccount(); err != nil {
		errs = append(errs, namingFlag(err))
	}
	if len(errs) > 0 {
		return usageError{errors.Join(errs...)}
	}
	return nil
}

// absolutePaths makes every path absolute, from the directory that they were
// meant from: that of the command that was typed, which the daemon has left.
func (s *settings) absolutePaths(from string) {
	paths := []*string{&s.ConfigFile, &s.WebConfigFile, &s.textfile, &s.stateDirectory, &s.pidFile, &s.workingDirectory}
	if s.logsToFile() {
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
	here, err := workingDirectory()
	if err == nil {
		s.absolutePaths(here)
	}
	return err
}

// identify gives the board's own name of a wire: see config.Identifier.
func (s *settings) identify(c sensors.Claim) (id string, ok bool) {
	inspector, clock, err := s.inspector()
	if err != nil {
		return "", false // whoever waits on the clock reports it
	}
	defer clock.Close()
	if inspector == nil {
		return "", false
	}
	return inspector.Identify(c)
}

func workingDirectory() (string, error) {
	here, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the working directory: %w: run this in a directory that exists", err)
	}
	return here, nil
}
