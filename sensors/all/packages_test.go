package all

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
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
	mostCommand    = 2000 // of cmd/dormouse, which decides nothing
	mostFile       = 500
	mostDriverFile = 300
	mostFunction   = 80
)

// driverPackages have one file for each driver, or for each model of a chip, and
// are as long as there are drivers; daemon explains each step.
var driverPackages = []string{"sensors/board/sim/chips", "sensors/chips", "sensors/lines", "sensors/kernel", "sensors/serial", "sensors/command"}

// Packages, files and functions are short enough to be read at once. What is too
// long has more than one subject and is split by them.
func TestSizes(t *testing.T) {
	for p := range packages(t) {
		most := mostFile
		if slices.Contains(driverPackages, p) {
			most = mostDriverFile
		}
		sum := 0
		for _, file := range sources(t, p) {
			sum += checkSize(t, file, most)
		}
		limit := mostPackage
		if p == "cmd/dormouse" {
			limit = mostCommand
		}
		if sum > limit && p != "daemon" && !slices.Contains(driverPackages, p) {
			t.Errorf("%s has %d lines without tests, and may have %d: split it by subject", p, sum, limit)
		}
	}
	// What tests are made with is no package of the product, but files and
	// functions are read there, too.
	helpers := 0
	for _, dir := range []string{"test", "examples"} {
		err := filepath.WalkDir("../../"+dir, func(path string, d os.DirEntry, err error) error {
			if err != nil || !d.IsDir() {
				return err
			}
			for _, file := range sources(t, strings.TrimPrefix(path, "../../")) {
				helpers++
				checkSize(t, file, mostFile)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if helpers < 20 {
		t.Errorf("found only %d files in test and examples", helpers)
	}
}

// sources are the files of a directory of the module that are no tests.
func sources(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob("../../" + dir + "/*.go")
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(files, func(file string) bool { return strings.HasSuffix(file, "_test.go") })
}

// checkSize returns the lines of a file, of which it may have at most most.
func checkSize(t *testing.T, file string, most int) int {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.Count(text, []byte("\n"))
	if lines > most {
		t.Errorf("%s has %d lines, and may have %d: split it by subject", file, lines, most)
	}
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, file, text, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range parsed.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		if n := set.Position(f.End()).Line - set.Position(f.Pos()).Line + 1; n > mostFunction {
			t.Errorf("%s: %s has %d lines, and may have %d", file, f.Name.Name, n, mostFunction)
		}
	}
	return lines
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
