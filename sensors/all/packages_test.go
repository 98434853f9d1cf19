package all

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "example.org/dormouse/"

// packages are the packages of the module by path within it, with what they
// import of it.
func packages(t *testing.T) map[string][]string {
	t.Helper()
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, module+"cmd/...", module+"daemon/...", module+"sensors/...", module+"exporter/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		imports := []string{}
		for _, i := range words[1:] {
			if own, ok := strings.CutPrefix(i, module); ok {
				imports = append(imports, own)
			}
		}
		all[strings.TrimPrefix(words[0], module)] = imports
	}
	return all
}

// The packages and their dependencies are as docs/design.md lists them.
func TestPackagesAreAsDesigned(t *testing.T) {
	text, err := os.ReadFile("../../docs/design.md")
	if err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile("`([^`]+)`")
	designed := map[string][]string{}
	anything := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 {
			continue
		}
		imports := []string{}
		for _, m := range name.FindAllStringSubmatch(cells[3], -1) {
			imports = append(imports, m[1])
		}
		for _, m := range name.FindAllStringSubmatch(cells[1], -1) {
			designed[m[1]] = imports
			anything[m[1]] = strings.TrimSpace(cells[3]) == "everything"
		}
	}
	is := packages(t)
	if len(is) < 20 {
		t.Fatalf("go list names %d packages", len(is))
	}
	for p, imports := range is {
		want, ok := designed[p]
		if !ok {
			t.Errorf("docs/design.md lacks the package %s, which imports %q", p, imports)
			continue
		}
		slices.Sort(imports)
		slices.Sort(want)
		if !anything[p] && !slices.Equal(imports, want) {
			t.Errorf("%s imports %q, and docs/design.md says %q", p, imports, want)
		}
		delete(designed, p)
	}
	for p := range designed {
		t.Errorf("docs/design.md lists %s, which does not exist", p)
	}
}

const (
	mostPackage    = 2500 // lines without tests
	mostFile       = 500
	mostDriverFile = 300
	mostFunction   = 80
)

// driverPackages have one file for each driver, or for each model of a chip, and
// are as long as there are drivers; daemon explains each step.
var driverPackages = []string{"sensors/board/sim/chips", "sensors/chips", "sensors/lines", "sensors/kernel", "sensors/serial", "sensors/command"}

// tooLong are the exceptions, each with the length that it may not exceed. They
// only shrink: a line that is no longer needed fails the test.
var tooLong = map[string]int{
	"sensors/command/prometheus.go": 440,
}

func TestSizes(t *testing.T) {
	found := map[string]int{}
	note := func(what string, lines, most int) {
		if lines > most {
			found[what] = lines
		}
	}
	for p := range packages(t) {
		files, err := filepath.Glob("../../" + p + "/*.go")
		if err != nil {
			t.Fatal(err)
		}
		sum := 0
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			lines := bytes.Count(text, []byte("\n"))
			sum += lines
			most := mostFile
			if slices.Contains(driverPackages, p) {
				most = mostDriverFile
			}
			short := p + "/" + filepath.Base(file)
			note(short, lines, most)
			set := token.NewFileSet()
			parsed, err := parser.ParseFile(set, file, text, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range parsed.Decls {
				if f, ok := d.(*ast.FuncDecl); ok {
					note(short+" "+f.Name.Name, set.Position(f.End()).Line-set.Position(f.Pos()).Line+1, mostFunction)
				}
			}
		}
		if p != "daemon" && !slices.Contains(driverPackages, p) {
			note(p, sum, mostPackage)
		}
	}
	for _, what := range slices.Sorted(maps.Keys(found)) {
		if most, ok := tooLong[what]; !ok || found[what] > most {
			t.Errorf("%s has %d lines, and may have %d (%v): split it by subject", what, found[what], most, ok)
		}
	}
	for what := range tooLong {
		if _, ok := found[what]; !ok {
			t.Errorf("%s is no longer too long: take it out of the list", what)
		}
	}
}

// A driver needs no configuration: whoever builds on one gets neither a YAML
// nor a cron parser with it.
func TestDriversAreFreeOfTheConfiguration(t *testing.T) {
	for _, drivers := range []string{"chips", "lines", "kernel", "command"} {
		out, err := exec.Command("go", "list", "-deps", "example.org/dormouse/sensors/"+drivers).Output()
		if err != nil {
			t.Fatal(err)
		}
		deps := strings.Fields(string(out))
		if len(deps) < 20 {
			t.Fatalf("go list names only %d dependencies of %s", len(deps), drivers)
		}
		for _, d := range deps {
			for _, unwanted := range []string{"yaml", "gronx", "cron", "dormouse/sensors/config", "dormouse/sensors/board", "dormouse/sensors/poll"} {
				if strings.Contains(d, unwanted) {
					t.Errorf("sensors/%s depends on %s", drivers, d)
				}
			}
		}
	}
}
