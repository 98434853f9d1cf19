// Go 1.25 and later keep two cgroup files open and read them again and again to
// follow the container's share of the processors; a sleeping process needs
// neither.
//
//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0

// Command dormouse is the command line of the daemon: it wires the rooms of
// the house together, and does nothing of its own that a room could do.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/prometheus/common/version"

	"example.org/dormouse/daemon"

	_ "example.org/dormouse/sensors/all" // the drivers register themselves
)

// Exit statuses besides those of LSB's status: see docs/install.md.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
	exitConfig = 6
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// A command is what was typed: its flags, and what it does with them.
type command func(stdout, stderr io.Writer) error

func run(args []string, stdout, stderr io.Writer) int {
	app := newApplication("dormouse", help)
	app.add("run", helpRun, defineRun)
	app.add("start", helpStart, defineStart)
	app.add("stop", "Stop the daemon, and return when it has ended.", defineStop)
	app.add("restart", "Stop the daemon if it runs, then start it as `start` does.", defineRestart)
	app.add("reload", "Have the daemon read its configuration again: whole, or not at all.", defineReload)
	app.add("status", "Tell whether the daemon runs, how its sensors are and when it wakes next. Exits as LSB says: 0 running, 1 dead with its pidfile left, 3 not running, 4 unknown.", defineStatus)
	app.add("inspect", helpInspect, defineInspect)
	app.add("read", helpRead, defineRead)
	app.add("check", helpCheck, defineCheck)
	app.add("scan", helpScan, defineScan)
	app.add("pinout", helpPinout, definePinout)
	app.add("drivers", "List the drivers, or tell all about one: quantities, options, wiring, timing, data sheet.", defineDrivers)
	app.add("demo", helpDemo, defineDemo)

	do, err := app.parse(args)
	if err != nil {
		fmt.Fprintf(stderr, "dormouse: %v\nTry `dormouse --help`.\n", err)
		return exitUsage
	}
	if err := do(stdout, stderr); err != nil {
		if text := err.Error(); text != "" {
			fmt.Fprintf(stderr, "dormouse: %s\n", text)
		}
		return exitCode(err)
	}
	return exitDone
}

// versionText is what exporters answer to --version. The package's own Print
// uses text/template, which must not get into the executable: see
// docs/dependencies.md.
func versionText() string {
	return fmt.Sprintf(`dormouse, version %s (branch: %s, revision: %s)
  build user:       %s
  build date:       %s
  go version:       %s
  platform:         %s/%s
  tags:             %s
`, version.Version, version.Branch, version.GetRevision(), version.BuildUser, version.BuildDate,
		version.GoVersion, version.GoOS, version.GoArch, version.GetTags())
}

// exitCode is the exit status that an error stands for.
func exitCode(err error) int {
	var usage usageError
	var config *configError
	switch {
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &config):
		return exitConfig
	}
	return daemon.ExitCode(err)
}

// usageError is a command line that can't be: exit 2.
type usageError struct{ error }

// silent is a failure that has been told already.
type silent struct{ code int }

func (silent) Error() string   { return "" }
func (s silent) ExitCode() int { return s.code }

const help = `A sensor-polling daemon that sleeps.

Dormouse wakes on a hardware timer, powers and reads sensors over I2C, GPIO and
1-Wire for a moment, exports their readings for Prometheus, and sleeps again.

Try it without hardware:   dormouse demo
Name what is wired where:  dormouse run --sensor greenhouse=bme280,addr=0x76
Find mistakes:             dormouse check --config.file=dormouse.yml --hardware
Read everything now:       dormouse read --config.file=dormouse.yml
Become a daemon:           dormouse start --config.file=dormouse.yml`

const helpRun = `Run in the foreground: under systemd, in a container, for debugging. It never detaches, and writes no pidfile unless told to.`

const helpStart = `Detach, and return when the daemon is ready, with its address; an error of its start ends this command with the error's status. Where init, systemd or a superserver has detached the process already, it isn't done again.`

const helpRead = `Read the sensors once, now, and print what they say. Where a daemon has the same sensors it is asked for fresh readings. Exits with 1 if any failed.`

const helpCheck = `Tell every mistake of the configuration at once, with file, line and key; and the wiring in words. --hardware also reads each sensor once and tells what doesn't answer, and why.`

const helpPinout = `Draw the 40-pin header with what is wired where, and tell what can't be: a line that is used twice, that has another function at present, or that somebody else holds. A wrong configuration is drawn as far as it is understood; then the exit status is 6.`

const helpDemo = `Run the whole daemon on a simulated board: a dozen sensors at short intervals, the page for Prometheus, and a status page. Needs no hardware and no root.`

const helpInspect = `Hold a running process against each point of a well-behaved daemon, from /proc, with the evidence. Exits with 1 if a point fails.`
