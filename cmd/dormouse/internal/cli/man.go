package cli

import "strings"

// ManTemplate is the manual page: kingpin's own fills examples into paragraphs,
// and has neither what the commands' help explains nor the switches' --no-NAME.
const ManTemplate = `{{define "Flags" -}}
{{range .Flags}}{{if not .Hidden -}}
.TP
\fB{{if .Short}}\-{{.Short|Char}}, {{end}}\-\-{{if and .IsBoolFlag (ne .Name "help") (ne .Name "version")}}[no\-]{{end}}{{.Name|Roff -}}
{{if not .IsBoolFlag}}={{.FormatPlaceHolder|Roff}}{{end}}\fR
{{.Help|Roff}}
{{end}}{{end}}{{end -}}
.TH DORMOUSE 1
.nh
.ad l
.SH "NAME"
{{.App.Name}} \- sensor\-polling daemon that sleeps between polls
.SH "SYNOPSIS"
\fB{{.App.Name}}\fR {{.App.FlagSummary|Roff}} <command> [<args> ...]
.SH "DESCRIPTION"
{{.App.Help|Roff}}
.SH "OPTIONS"
{{template "Flags" .App -}}
.SH "COMMANDS"
{{range .App.Commands}}{{if not .Hidden -}}
.SS "{{.Name}}{{if .FlagSummary}} {{.FlagSummary|Roff}}{{end}}{{range .Args}} [<{{.Name}}>{{if .Value|IsCumulative}} ...{{end}}]{{end}}"
{{.Help|Roff}}
{{if .HelpLong}}.PP
{{.HelpLong|Roff}}
{{end}}{{template "Flags" . -}}
{{end}}{{end -}}
`

// roff is a text of the help in the language of manual pages: a line that begins
// with a tab stays a line of its own, an empty one separates paragraphs.
func roff(text string) string {
	escape := strings.NewReplacer(`\`, `\e`, "-", `\-`)
	var out []string
	verbatim := false
	for line := range strings.Lines(strings.Trim(text, "\n") + "\n") {
		line, indented := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "\t")
		switch {
		case indented && !verbatim:
			out = append(out, ".RS 4", ".nf")
		case verbatim && !indented:
			out = append(out, ".fi", ".RE")
		}
		verbatim = indented
		switch line = escape.Replace(line); {
		case line == "" && !verbatim:
			line = ".PP"
		case strings.HasPrefix(line, "."), strings.HasPrefix(line, "'"):
			line = `\&` + line
		}
		out = append(out, line)
	}
	if verbatim {
		out = append(out, ".fi", ".RE")
	}
	return strings.Join(out, "\n")
}
