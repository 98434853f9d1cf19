// Package command runs programs on the schedule: whatever can print a number
// or metrics is a sensor, and whatever has an exit status is a task. A program
// lives for one read and is ended with its session when the time is up; what
// it printed is trusted no further than a chip's answer.
//
// It is no init and no cron: nothing that should keep running is started here,
// and when a program is due is decided in sensors/poll.
package command

import (
	"errors"
	"fmt"
	"math"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/units"
)

const (
	number     = "number"
	prometheus = "prometheus"
	none       = "none"
)

// path is where programs look for programs: the daemon's own PATH is whatever
// its starter's was.
const path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

func init() {
	outputOption := sensors.Option{Name: "output", Type: sensors.EnumOption, Choices: []string{number, prometheus, none}, Default: number,
		Help: "what it prints: one number, metrics in Prometheus' text format, or nothing that matters: a task"}
	programs := &sensors.Programs{
		Task:   func(o *sensors.Options) bool { return o.Text("output") == none },
		Ending: ending, Ended: ended, Verify: verify,
	}
	sensors.Register(&sensors.Driver{
		Name:      "command",
		Summary:   "any program: the number or the metrics it prints, or a task whose exit status is the result",
		Datasheet: "Prometheus text exposition format 0.0.4; docs/commands.md",
		Wiring:    wiring,
		Timing:    "as long as the program runs, at most timeout (1m unless said otherwise): then it is ended with its session",
		Options:   programOptions("1m", outputOption),
		Programs:  programs,
		Claims:    claims,
		Check:     check,
		New:       openCommand,
	})
	tasks := *programs
	tasks.Task = func(*sensors.Options) bool { return true }
	sensors.Register(&sensors.Driver{
		Name:      "task",
		Summary:   "a program that does something and has an exit status; it gives no reading",
		Datasheet: "docs/commands.md",
		Wiring:    wiring,
		Timing:    "as long as the program runs, at most timeout (10m unless said otherwise): then it is ended with its session",
		Options:   programOptions("10m"),
		Measures:  []*sensors.Quantity{sensors.ExitStatus, sensors.ExitDuration},
		Programs:  &tasks,
		Claims:    claims,
		Check:     check,
		New:       openTask,
	})
}

const wiring = "the program must be executable by the user it runs as; directories and mounts are not kept in use between runs"

// programOptions are those of both drivers.
func programOptions(timeout string, more ...sensors.Option) []sensors.Option {
	return append([]sensors.Option{
		{Name: "argv", Type: sensors.ListOption, Required: true, Help: "the program, by its absolute path, and its arguments; no shell takes part"},
		{Name: "user", Type: sensors.TextOption, Help: "user to run it as, with that user's groups; only root can become another"},
		{Name: "env", Type: sensors.MapOption, Help: "its environment, besides PATH, LANG, HOME, USER and LOGNAME"},
		{Name: "environment-file", Type: sensors.PathOption, Help: "a file of NAME=VALUE lines, read at each run; env wins over it"},
		{Name: "directory", Type: sensors.PathOption, Default: "/", Help: "its working directory"},
		{Name: "umask", Type: sensors.TextOption, Help: "its file creation mask, in octal: 027; by default the daemon's"},
		{Name: "nice", Type: sensors.IntegerOption, Default: "0", Range: &sensors.Range{Min: -20, Max: 19}, Help: "added to its nice value: 10 lets others go first; below 0 needs privileges"},
		{Name: "timeout", Type: sensors.DurationOption, Default: timeout, Range: &sensors.Range{Min: 0.01, Max: 366 * 86400},
			Help: "how long it may run before it is ended, with its session, by SIGTERM"},
		{Name: "kill-after", Type: sensors.DurationOption, Default: "5s", Range: &sensors.Range{Min: 0, Max: 3600},
			Help: "how long after SIGTERM it is killed"},
		{Name: "retries", Type: sensors.IntegerOption, Default: "0", Range: &sensors.Range{Min: 0, Max: 10},
			Help: "further runs when it fails: a task may have been half done"},
		{Name: "log", Type: sensors.EnumOption, Choices: []string{logFailures, logAll}, Default: logFailures,
			Help: "which output is logged: that of failures, where it differs from that of the previous failure, or that of all runs"},
		{Name: "catch-up", Type: sensors.DurationOption, Default: "0s", Help: "with at: a run that was missed while the daemon or the machine was off is made once, if it is no older than this; 0s: it isn't"},
		{Name: "on-failure", Type: sensors.ListOption, Help: "a program to run when it fails after a success; its environment describes what happened"},
		{Name: "on-recovery", Type: sensors.ListOption, Help: "a program to run when it succeeds again"},
	}, more...)
}

// claims is the program. An argv that is wrong has no value.
func claims(o *sensors.Options) []sensors.Claim {
	argv := o.List("argv")
	if len(argv) == 0 {
		return nil
	}
	return []sensors.Claim{{Kind: sensors.ProgramWire, Option: "argv", Path: argv[0]}}
}

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func check(o *sensors.Options) error {
	for _, key := range []string{"argv", "on-failure", "on-recovery"} {
		if argv := o.List(key); len(argv) > 0 {
			if err := checkProgram(argv[0]); err != nil {
				return &sensors.OptionError{Key: key, Err: err}
			}
		}
	}
	for name := range o.Map("env") {
		if !envName.MatchString(name) {
			return &sensors.OptionError{Key: "env", Err: fmt.Errorf("%q can't be the name of an environment variable: letters, digits and _", name)}
		}
	}
	if _, err := parseUmask(o.Text("umask")); err != nil {
		return &sensors.OptionError{Key: "umask", Err: err}
	}
	return nil
}

func checkProgram(program string) error {
	if filepath.IsAbs(program) {
		return nil
	}
	advice := "write its absolute path"
	if found, err := exec.LookPath(program); err == nil && filepath.IsAbs(found) {
		advice = "write " + found
	}
	return fmt.Errorf("%q is not an absolute path: %s (the daemon's working directory is /)", program, advice)
}

// parseUmask reads an octal mask; empty is the daemon's own, -1.
func parseUmask(text string) (int, error) {
	if text == "" {
		return -1, nil
	}
	n, err := strconv.ParseUint(text, 8, 16)
	if err != nil || n > 0o777 {
		return 0, fmt.Errorf("%q is not an octal mask from 000 to 777, as in 027", text)
	}
	return int(n), nil
}

// umaskOf is the option umask, which Check has seen.
func umaskOf(o *sensors.Options) int {
	mask, err := parseUmask(o.Text("umask"))
	if err != nil {
		return -1
	}
	return mask
}

// parseNumber reads the one number that a program printed.
func parseNumber(output []byte) (float64, error) {
	const most = 64 // longer is no number, and nothing to print in an error
	text := strings.TrimSpace(string(output[:min(len(output), most)]))
	switch {
	case len(output) > most:
		return 0, sensors.Errorf(sensors.Command, "printed %d bytes beginning %q where one number is expected: print only the number, or use output=prometheus or output=none", len(output), text)
	case text == "":
		return 0, sensors.Errorf(sensors.Command, "printed nothing where a number is expected: print one, or use output=none")
	}
	// An overflow gives an infinity besides its error.
	if v, _ := strconv.ParseFloat(text, 64); math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, sensors.Errorf(sensors.OutOfRange, "printed %q, which is not a reading: where there is none, print nothing and exit with a status other than 0", text)
	}
	v, err := units.None.Parse(text)
	if err != nil {
		return 0, sensors.Errorf(sensors.Command, "printed something else than one number: %w; print only the number, or use output=prometheus or output=none", err)
	}
	return v, nil
}

var errNotRegular = errors.New("is not a regular file")
