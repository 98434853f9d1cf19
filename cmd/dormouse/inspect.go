package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/alecthomas/kingpin/v2"

	"example.org/dormouse/cmd/dormouse/internal/service"
	"example.org/dormouse/daemon"
)

var inspectCommand = &command{
	name:    "inspect",
	summary: "Check a running process against each point of a well-behaved daemon, with the evidence.",
	details: `The evidence is from /proc. The exit status is 1 if a point fails.`,
	examples: `
dormouse inspect
sudo dormouse inspect 1234 --format=json`,
	define: func(c *kingpin.CmdClause) action {
		s := &settings{}
		pid := c.Arg("pid", "The process; without it, the daemon of --pid-file.").String()
		s.pidFileFlag(c, service.DefaultPIDFile())
		format := formatFlag(c)
		return func(stdout, stderr io.Writer) error {
			if err := s.fromHere(); err != nil {
				return err
			}
			return inspect(*pid, s.pidFile, *format, stdout)
		}
	},
}

func inspect(pid, pidFile, format string, stdout io.Writer) error {
	number, err := processToInspect(pid, pidFile)
	if err != nil {
		return err
	}
	inspection, err := daemon.Inspect(number)
	if err != nil {
		return err
	}
	if format == "json" {
		err = printJSON(stdout, inspection)
	} else {
		err = inspection.WriteText(stdout)
	}
	if err == nil && inspection.Failed() {
		err = silent{exitFailed}
	}
	return err
}

func processToInspect(text, pidFile string) (int, error) {
	if text == "" {
		state := daemon.Status(pidFile)
		if state.PID == 0 {
			return 0, fmt.Errorf("dormouse is %s: give the number of a process%s", state.Text, elsewhere(pidFile, state))
		}
		return state.PID, nil
	}
	pid, err := strconv.Atoi(text)
	if err != nil || pid <= 0 {
		return 0, usageError{fmt.Errorf("%q is not a process number", text)}
	}
	if pid == os.Getpid() {
		return 0, usageError{errors.New("inspect another process than this one")}
	}
	return pid, nil
}

func printJSON(w io.Writer, document any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(document)
}
