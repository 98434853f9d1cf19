package logging

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
)

// devLog is where a syslog daemon listens: syslog(3). A test names another.
var devLog = "/dev/log"

// errDetached says that standard error is no output of a daemon that detaches:
// it becomes /dev/null.
var errDetached = errors.New("a daemon that detaches has no standard error: give syslog or a file, or use `run`")

// Choose is where a daemon logs that was told to log to output. Where syslog was
// chosen and nobody listens there, as in a container or on a minimal system, one
// that detaches logs to dormouse.log in the directory, and one that doesn't to
// standard error; the warning says so. The error is that standard error was chosen
// for one that detaches.
func Choose(output, directory string, detaches bool) (chosen, warning string, err error) {
	switch {
	case output == Stderr && detaches:
		return "", "", errDetached
	case output != Syslog || listens(devLog):
		return output, "", nil
	case !detaches:
		return Stderr, fmt.Sprintf("no syslog daemon listens on %s: the log goes to standard error", devLog), nil
	case directory == "":
		return output, "", nil // opening it says what is wrong
	}
	file := filepath.Join(directory, "dormouse.log")
	return file, fmt.Sprintf("no syslog daemon listens on %s: the log is %s; --log.output names another", devLog, file), nil
}

// listens tells whether anybody receives what is sent there, as log/syslog
// does it.
func listens(path string) bool {
	for _, network := range []string{"unixgram", "unix"} {
		if c, err := net.Dial(network, path); err == nil {
			_ = c.Close() // nothing was sent
			return true
		}
	}
	return false
}
