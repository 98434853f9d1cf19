package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"example.org/dormouse/cmd/dormouse/internal/service"
	"example.org/dormouse/daemon"
	"example.org/dormouse/exporter"
	"example.org/dormouse/exporter/control"
)

var statusCommand = &command{
	name:    "status",
	summary: "Show whether the daemon runs, the state of its sensors, and the next wake.",
	details: `With the names of programs it also shows the last run and the last failed run of each, with what it printed; only root and the daemon's user may see that.
The exit status is LSB's: 0 running, 1 dead with its pidfile left, 3 not running, 4 unknown.`,
	define: func(c *kingpin.CmdClause) action {
		s := &settings{}
		s.pidFileFlag(c, service.DefaultPIDFile())
		timeout, format := timeoutFlag(c), formatFlag(c)
		names := c.Arg("name", "Also the runs of these programs.").Strings()
		return func(stdout, stderr io.Writer) error {
			if err := s.fromHere(); err != nil {
				return err
			}
			return status(s.pidFile, *timeout, *format, stdout, *names...)
		}
	},
}

func formatFlag(c *kingpin.CmdClause) *string {
	return c.Flag("format", "text for people, json for programs.").Default("text").Enum("text", "json")
}

// A statusDocument is the document of `status --format=json`. Fields are added
// to it, never changed or removed.
type statusDocument struct {
	daemon.State
	*exporter.Readings        // of a daemon that was asked: the document of /readings.json
	ReadingsError      string `json:"readings_error,omitempty"` // why a daemon that runs wasn't
	// Programs are the runs of the programs that were named.
	Programs []control.Program `json:"programs,omitempty"`
}

func status(pidFile string, timeout time.Duration, format string, stdout io.Writer, names ...string) error {
	doc := statusDocument{State: daemon.Status(pidFile)}
	if doc.Code == daemon.StatusRunning && !doc.Starting {
		ctx, cancel := within(timeout)
		defer cancel()
		// Only root and the daemon's own user may ask it; that it runs is
		// public.
		var err error
		if doc.Readings, err = control.Readings(ctx, pidFile); err != nil {
			doc.ReadingsError = err.Error()
			if errors.Is(err, fs.ErrPermission) {
				doc.ReadingsError = "only root and the daemon's user may ask for them: use sudo"
			}
		}
		if len(names) > 0 {
			if doc.Programs, err = service.ProgramsOf(ctx, pidFile, names); err != nil {
				return err
			}
		}
	}
	var err error
	if format == "json" {
		err = json.NewEncoder(stdout).Encode(doc)
	} else {
		err = printStatus(stdout, &doc, elsewhere(pidFile, doc.State))
	}
	if err == nil && doc.Code != daemon.StatusRunning {
		err = silent{doc.Code}
	}
	return err
}

// elsewhere tells of the system's daemon where none runs by the pidfile.
func elsewhere(pidFile string, state daemon.State) string {
	if state.Running() {
		return ""
	}
	return service.Elsewhere(pidFile, service.SystemPIDFile)
}

// printStatus prints how many sensors are up, the next wake, and why sensors
// are down.
func printStatus(w io.Writer, doc *statusDocument, elsewhere string) error {
	text := fmt.Sprintf("dormouse: %s%s\n", doc.Text, elsewhere)
	switch {
	case doc.Readings != nil:
		text += doc.Readings.Summary()
	case doc.ReadingsError != "":
		text += "readings: " + doc.ReadingsError + "\n"
	}
	if _, err := io.WriteString(w, text); err != nil {
		return err
	}
	for i := range doc.Programs {
		if err := doc.Programs[i].WriteText(w); err != nil {
			return err
		}
	}
	return nil
}
