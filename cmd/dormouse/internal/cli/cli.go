// Package cli is what the command line adds to kingpin: help with examples, errors
// that say what may have been meant, arguments from files, octal values, and when
// to print in colour.
package cli

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/alecthomas/kingpin/v2"

	"example.org/dormouse/sensors"
)

// The errors of kingpin that Explain adds something to.
var (
	unknownFlag    = regexp.MustCompile(`^unknown (?:long|short) flag '(.*)'$`)
	unknownCommand = regexp.MustCompile(`^expected command but got "(.*)"$`)
	unexpected     = regexp.MustCompile(`^unexpected (.*)$`)
)

// Explain says of an error of kingpin's what may have been meant.
func Explain(err error, app *kingpin.Application, args []string) error {
	text := err.Error()
	if m := unknownCommand.FindStringSubmatch(text); m != nil {
		var known []string
		for _, c := range app.Model().Commands {
			if !c.Hidden {
				known = append(known, c.Name)
			}
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

// ExpandFiles replaces each argument @FILE by the lines of the file. Empty
// lines and those that begin with # are left out; what the lines hold isn't
// expanded again.
func ExpandFiles(args []string) ([]string, error) {
	var expanded []string
	for i, arg := range args {
		name, isFile := strings.CutPrefix(arg, "@")
		switch {
		case arg == "--" || arg == "--completion-bash":
			return append(expanded, args[i:]...), nil
		case isFile:
			lines, err := kingpin.ExpandArgsFromFile(name)
			if err != nil {
				return nil, err
			}
			expanded = append(expanded, withoutMark(lines)...)
		default:
			expanded = append(expanded, arg)
		}
	}
	return expanded, nil
}

// withoutMark removes the byte order mark, with which editors of Windows begin a
// file, from its lines.
func withoutMark(lines []string) []string {
	if len(lines) == 0 {
		return nil
	}
	first, marked := strings.CutPrefix(lines[0], "\ufeff")
	if marked && (strings.TrimSpace(first) == "" || strings.HasPrefix(first, "#")) {
		return lines[1:]
	}
	lines[0] = first
	return lines
}

// UsageFuncs and UsageTemplate are the help: how a command is written, what it
// does, examples, and its flags with their defaults.
var UsageFuncs = map[string]any{
	"CommandsToTwoColumns": func(list []*kingpin.CmdModel) [][2]string {
		var rows [][2]string
		for _, c := range list {
			if !c.Hidden {
				rows = append(rows, [2]string{c.Name, c.Help})
			}
		}
		return rows
	},
	"Roff": roff,
}

const UsageTemplate = `{{define "Arguments" -}}
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
