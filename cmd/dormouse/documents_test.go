package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"example.org/dormouse/test/kit"
)

// taskDocuments are the documents by task. What they show is executed.
var taskDocuments = []string{"first-sensor.md", "porting.md", "fleets.md", "wiring.md"}

// A block is a fenced part of a document.
type block struct{ language, text string }

func blocks(t *testing.T, file string) (all []block) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../docs", file))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```").FindAllStringSubmatch(string(text), -1) {
		all = append(all, block{m[1], m[2]})
	}
	return all
}

// A session is one `console` block: the command after the prompt, and what it
// prints. An ellipsis alone in a line stands for any lines, within a line for
// any text.
func session(text string) (args []string, printed *regexp.Regexp) {
	command, output, _ := strings.Cut(text, "\n")
	pattern := regexp.QuoteMeta(output)
	pattern = regexp.MustCompile(`(?m)^…\n`).ReplaceAllString(pattern, `(?s:.*)`)
	pattern = strings.ReplaceAll(pattern, "…", `[^\n]*`)
	return strings.Fields(strings.TrimPrefix(command, "$ dormouse ")), regexp.MustCompile(`^` + pattern + `$`)
}

// The commands of the documents, on the simulated board, print what the
// documents show; their configurations are accepted.
func TestDocumentsByTask(t *testing.T) {
	for _, file := range taskDocuments {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			sessions, files := 0, 0
			for _, b := range blocks(t, file) {
				switch {
				case b.language == "yaml" && (strings.Contains(b.text, "sensors:") || strings.Contains(b.text, "tasks:")):
					files++
					p.write("dormouse.yml", b.text)
					p.must("check", "--config.file=dormouse.yml")
				case b.language == "console":
					sessions++
					args, printed := session(b.text)
					if slices.Contains([]string{"scan", "read", "pinout"}, args[0]) {
						args = append(args, "--board=sim")
					}
					if got := p.must(args...); !printed.MatchString(got) {
						t.Errorf("dormouse %q printed\n%swant\n%s", args, got, b.text)
					}
				}
			}
			if files == 0 {
				t.Error("no configuration was found")
			}
			if file != "fleets.md" && sessions == 0 {
				t.Error("no command was found")
			}
		})
	}
}

// What docs/porting.md gives in place of Python code is accepted as it is.
func TestPortedSensors(t *testing.T) {
	text, err := os.ReadFile("../../docs/porting.md")
	if err != nil {
		t.Fatal(err)
	}
	sensors := regexp.MustCompile("`\\{(driver: .*?)\\}`").FindAllStringSubmatch(string(text), -1)
	if len(sensors) < 10 {
		t.Fatalf("%d sensors were found", len(sensors))
	}
	p := newPlace(t)
	for _, m := range sensors {
		p.write("dormouse.yml", "sensors:\n  - {name: x, "+m[1]+"}\n")
		p.must("check", "--config.file=dormouse.yml")
	}
}

// The commands of docs/install.md, "By hand", are typed as they stand; the board
// is the simulated one.
func TestByHand(t *testing.T) {
	p := newPlace(t)
	p.write("dormouse.yml", "sensors:\n  - {name: cellar, driver: tmp102}\n")
	var typed []string
	for line := range strings.Lines(kit.BlockOf(t, "docs/install.md, By hand")) {
		command, _, _ := strings.Cut(line, " #")
		args := strings.Fields(command)[1:]
		if args[0] == "start" {
			args = append(args, "--board=sim", "--web.listen-address=127.0.0.1:0")
		}
		p.must(args...)
		typed = append(typed, args[0])
	}
	if !slices.Equal(typed, []string{"start", "status", "reload", "stop"}) {
		t.Errorf("typed were %q", typed)
	}
}
