// Go 1.25 and later keep two cgroup files open and read them again and again to
// follow the container's share of the processors; a sleeping process needs
// neither.
//
//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0

// Command dormouse is the command line: it parses flags, calls the packages
// that do the work, and prints. One file holds one command.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	"github.com/prometheus/common/version"

	"example.org/dormouse/cmd/dormouse/internal/cli"
	"example.org/dormouse/daemon"
	"example.org/dormouse/daemon/logging"
	"example.org/dormouse/exporter/control"

	_ "example.org/dormouse/sensors/all" // the drivers register themselves
)

// Exit statuses besides those of LSB's status: see docs/install.md.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
	exitConfig = 6
)

const applicationHelp = `A sensor-polling daemon that sleeps between polls.

Dormouse wakes on a hardware timer, powers and reads sensors over I2C, GPIO and 1-Wire for a moment, exports their readings for Prometheus, and sleeps again.`

const applicationExamples = `
dormouse demo                                         # no hardware is needed
dormouse scan                                         # what is connected
dormouse run --sensor greenhouse=bme280,addr=0x76     # read it every 5 minutes
dormouse check --config.file=dormouse.yml --hardware  # find mistakes
dormouse read --config.file=dormouse.yml              # read everything now
dormouse start --config.file=dormouse.yml             # become a daemon`

// errSetID is the refusal to lend the executable's owner's rights: everybody's
// flags would name the files that are read and written with them.
var errSetID = daemon.WithExitCode(errors.New("the executable is set-user-ID or set-group-ID, which would lend its owner's rights to everybody: "+
	"chmod u-s,g-s it; where root has to start the daemon, --user gives root's rights up"), daemon.ExitPrivileges)

// commands are all commands in the order of the help.
func commands() []*command {
	return []*command{
		runCommand, startCommand, stopCommand, restartCommand, reloadCommand, statusCommand, inspectCommand,
		readCommand, checkCommand, scanCommand, pinoutCommand, driversCommand, selftestCommand, demoCommand,
	}
}

// A release has its tag by the linker: see the Makefile. The revision is that of
// the build information, which `go run` doesn't have.
func init() {
	if version.Version == "" {
		version.Version = "devel"
	}
}

// The kernel gives a signal to the main thread, unless that blocks it (signal(7)
// says any thread; kernel/signal.c, complete_signal, prefers this one). Where that
// thread waits for a file system that doesn't answer, which only SIGKILL ends, the
// process handles no signal. So the main thread does nothing but wait: an init function's
// call keeps the main goroutine on it.
func init() { runtime.LockOSThread() }

func main() {
	status := make(chan int)
	go func() { status <- start() }()
	os.Exit(<-status)
}

func start() int {
	if daemon.SetID() {
		return report(os.Stderr, errSetID)
	}
	args, err := cli.ExpandFiles(os.Args[1:])
	if err != nil {
		return report(os.Stderr, usageError{err})
	}
	// The processes of a start are executed with the same arguments, and the
	// files may be out of their reach.
	os.Args = append(os.Args[:1:1], args...)
	return run(args, os.Stdout, logging.Errors(os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	do, err := parse(args, stdout)
	if err == nil {
		err = do(stdout, stderr)
	}
	return report(stderr, err)
}

// report prints an error and gives the exit status that it stands for.
func report(stderr io.Writer, err error) int {
	if err == nil {
		return exitDone
	}
	if text := err.Error(); text != "" {
		fmt.Fprintf(stderr, "dormouse: %s\n", text)
	}
	var usage usageError
	var config *control.ConfigError
	switch {
	case errors.As(err, &usage):
		fmt.Fprintln(stderr, "Try `dormouse --help`.")
		return exitUsage
	case errors.As(err, &config):
		return exitConfig
	}
	return daemon.ExitCode(err)
}

// A usageError is an invalid command line: exit status 2.
type usageError struct{ error }

// silent is a failure that has been reported already.
type silent struct{ code int }

func (silent) Error() string   { return "" }
func (s silent) ExitCode() int { return s.code }
