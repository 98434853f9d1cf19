package main

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/version"

	"example.org/dormouse/cmd/dormouse/internal/cli"
)

// A command is a command of the command line.
type command struct {
	name     string
	summary  string // one sentence
	details  string // paragraphs; may be empty
	examples string // command lines, one a line
	// define adds the flags and arguments, and gives what the command does with
	// them once they are parsed.
	define func(*kingpin.CmdClause) action
}

// An action is what a command does.
type action func(stdout, stderr io.Writer) error

// newApplication defines the command line. Help and version go to stdout.
func newApplication(stdout io.Writer) (*kingpin.Application, map[string]action) {
	kingpin.EnableFileExpansion = false // cli.ExpandFiles has done it
	kingpin.ManPageTemplate = cli.ManTemplate
	kingpin.BashCompletionTemplate, kingpin.ZshCompletionTemplate = cli.BashCompletion, cli.ZshCompletion
	app := kingpin.New("dormouse", applicationHelp+helpExamples(applicationExamples))
	app.UsageWriter(stdout).UsageTemplate(cli.UsageTemplate).UsageFuncs(cli.UsageFuncs)
	app.Version(strings.TrimSpace(version.Print("dormouse")))
	app.HelpFlag.Short('h').Help("Show this help, or that of the command.")
	app.VersionFlag.Short('V').Help("Show the version and what it was built with.")
	actions := map[string]action{}
	for _, c := range commands() {
		clause := app.Command(c.name, c.summary)
		clause.HelpLong(c.details + helpExamples(c.examples))
		actions[c.name] = c.define(clause)
	}
	return app, actions
}

// helpExamples makes a block of command lines, which the help shows as they
// are.
func helpExamples(lines string) string {
	if lines == "" {
		return ""
	}
	return "\n\nExamples:\n\n\t" + strings.ReplaceAll(strings.TrimSpace(lines), "\n", "\n\t")
}

// terminated is the panic by which kingpin ends a command line that is served:
// --help, --version, completions.
type terminated int

// parse parses the command line into what its command does. Where it asks for
// help or the like, that is written to stdout and nothing is left to do. The
// error is a usageError.
func parse(args []string, stdout io.Writer) (do action, err error) {
	app, actions := newApplication(stdout)
	var message bytes.Buffer
	app.ErrorWriter(&message)
	app.Terminate(func(status int) { panic(terminated(status)) })
	defer func() {
		switch status := recover().(type) {
		case nil:
		case terminated:
			do, err = func(io.Writer, io.Writer) error { return nil }, nil
			if status != 0 {
				text := strings.TrimPrefix(strings.TrimSpace(message.String()), "dormouse: error: ")
				err = usageError{cli.Explain(errors.New(text), app, args)}
			}
		default:
			panic(status)
		}
	}()
	name, err := app.Parse(args)
	if err != nil {
		return nil, usageError{cli.Explain(err, app, args)}
	}
	return actions[name], nil
}
