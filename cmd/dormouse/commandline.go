package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/version"

	"example.org/dormouse/sensors"
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
	kingpin.EnableFileExpansion = false // expandFiles has done it
	app := kingpin.New("dormouse", applicationHelp+helpExamples(applicationExamples))
	app.UsageWriter(stdout).UsageTemplate(usageTemplate).UsageFuncs(usageFuncs)
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
				err = usageError{explain(errors.New(text), app, args)}
			}
		default:
			panic(status)
		}
	}()
	name, err := app.Parse(args)
	if err != nil {
		return nil, usageError{explain(err, app, args)}
	}
	return actions[name], nil
}

// The errors of kingpin that explain adds something to.
var (
	unknownFlag    = regexp.MustCompile(`^unknown (?:long|short) flag '(.*)'$`)
	unknownCommand = regexp.MustCompile(`^expected command but got "(.*)"$`)
	unexpected     = regexp.MustCompile(`^unexpected (.*)$`)
)

// explain says of an error of kingpin's what may have been meant.
func explain(err error, app *kingpin.Application, args []string) error {
	text := err.Error()
	if m := unknownCommand.FindStringSubmatch(text); m != nil {
		var known []string
		for _, c := range commands() {
			known = append(known, c.name)
		}
		return fmt.Errorf("there is no command %q%s", m[1], sensors.DidYouMean(m[1], known))
	}
	context, _ := app.ParseContext(args)
	if m := unknownFlag.FindStringSubmatch(text); m != nil {
		typed := m[1]
		for _, arg := range args { // -sensor=… is taken for the flag -s
			if !strings.HasPrefix(typed, "--") && strings.HasPrefix(arg, typed) {
				name, _, _ := strings.Cut(arg, "=")
				typed = "-" + name
			}
		}
		return fmt.Errorf("%w%s", err, sensors.DidYouMean(typed, flagNames(app, context)))
	}
	if m := unexpected.FindStringSubmatch(text); m != nil {
		hint := ""
		if m[1] == "true" || m[1] == "false" {
			hint = ": a switch has no value: write --NAME or --no-NAME"
		}
		return fmt.Errorf("unexpected argument %q%s", m[1], hint)
	}
	if context == nil {
		return err
	}
	// An invalid value is reported without its flag.
	for _, e := range context.Elements {
		if flag, ok := e.Clause.(*kingpin.FlagClause); ok {
			if m := flag.Model(); e.Value != nil && fmt.Sprint(m.Value.Set(*e.Value)) == text {
				return fmt.Errorf("--%s=%s: %w", m.Name, *e.Value, err)
			}
		}
	}
	return err
}

// flagNames are the flags that may stand in a command line.
func flagNames(app *kingpin.Application, context *kingpin.ParseContext) []string {
	groups := []*kingpin.FlagGroupModel{app.Model().FlagGroupModel}
	if context != nil && context.SelectedCommand != nil {
		groups = append(groups, context.SelectedCommand.Model().FlagGroupModel)
	}
	var names []string
	for _, g := range groups {
		for _, f := range g.Flags {
			names = append(names, "--"+f.Name)
			if f.IsBoolFlag() && f.Name != "help" && f.Name != "version" {
				names = append(names, "--no-"+f.Name)
			}
		}
	}
	return names
}

// expandFiles replaces each argument @FILE by the lines of the file. Empty
// lines and those that begin with # are left out; what the lines hold isn't
// expanded again.
func expandFiles(args []string) ([]string, error) {
	var expanded []string
	for i, arg := range args {
		name, isFile := strings.CutPrefix(arg, "@")
		switch {
		case arg == "--" || arg == "--completion-bash":
			return append(expanded, args[i:]...), nil
		case isFile:
			lines, err := kingpin.ExpandArgsFromFile(name)
			if err != nil {
				return nil, usageError{err}
			}
			expanded = append(expanded, lines...)
		default:
			expanded = append(expanded, arg)
		}
	}
	return expanded, nil
}

// usageFuncs and usageTemplate are the help: how a command is written, what it
// does, examples, and its flags with their defaults.
var usageFuncs = map[string]any{
	"CommandsToTwoColumns": func(list []*kingpin.CmdModel) [][2]string {
		var rows [][2]string
		for _, c := range list {
			if !c.Hidden {
				rows = append(rows, [2]string{c.Name, c.Help})
			}
		}
		return rows
	},
}

const usageTemplate = `{{define "Arguments" -}}
{{if .FlagSummary}} {{.FlagSummary}}{{end -}}
{{range .Args}} [<{{.Name}}>{{if .Value|IsCumulative}} ...{{end}}]{{end -}}
{{end -}}

{{with .Context.SelectedCommand -}}
usage: {{$.App.Name}} {{.}}{{template "Arguments" .}}

{{.Help|Wrap 0 -}}
{{if .HelpLong}}
{{.HelpLong|Wrap 0 -}}
{{end -}}
{{else -}}
usage: {{.App.Name}}{{template "Arguments" .App}} <command> [<args> ...]

{{.App.Help|Wrap 0 -}}
{{end}}
Flags:
{{.Context.Flags|FlagsToTwoColumns|FormatTwoColumns -}}
{{if .Context.Args}}
Args:
{{.Context.Args|ArgsToTwoColumns|FormatTwoColumns -}}
{{end -}}
{{if not .Context.SelectedCommand}}
Commands:
{{.App.Commands|CommandsToTwoColumns|FormatTwoColumns -}}
{{end -}}
`
