package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/alecthomas/kingpin/v2"

	"example.org/dormouse/daemon"
)

var inspectCommand = &command{
	name:    "inspect",
	summary: "Hold a running process against each point of a well-behaved daemon, with the evidence.",
	details: `The evidence is from /proc. The exit status is 1 if a point fails.`,
	examples: `
dormouse inspect
sudo dormouse inspect 1234 --format=json`,
	define: func(c *kingpin.CmdClause) action {
		s := &settings{}
		pid := c.Arg("pid", "The process; without it, the daemon of --pid-file.").String()
		s.pidFileFlag(c, defaultPIDFile())
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
		err = printInspection(stdout, inspection)
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
			return 0, fmt.Errorf("dormouse is %s: give the number of a process", state.Text)
		}
		return state.PID, nil
	}
	pid, err := strconv.Atoi(text)
	if err != nil || pid <= 0 {
		return 0, usageError{fmt.Errorf("%q is no process: give its number", text)}
	}
	if pid == os.Getpid() {
		return 0, usageError{errors.New("inspect another process than this one")}
	}
	return pid, nil
}

// printInspection prints each point with its verdict, its evidence, and where it
// fails why it matters.
func printInspection(w io.Writer, i *daemon.Inspection) error {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintf(tw, "process %d, %s, started by: %s\n", i.PID, i.Name, i.Situation)
	for _, p := range i.Points {
		fmt.Fprintf(tw, "%s\t%s\t%s\n", p.Verdict, p.Name, strings.Join(p.Evidence, "; "))
		if p.Verdict == daemon.Fail {
			fmt.Fprintf(tw, "\t\twhy it matters: %s\n", p.Why)
		}
	}
	return tw.Flush()
}

func printJSON(w io.Writer, document any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(document)
}
