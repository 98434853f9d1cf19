package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// byName is the linker's mark of a function that may call a method whose name
// is known only at run time: with one of them reachable, it keeps all exported
// methods of all types, needed or not.
const byName = "<ReflectMethod>"

// TestNoMethodByName asserts that nothing in the executable looks methods up by
// name: that made it a quarter larger. The linker tells what it reaches, and
// from where.
func TestNoMethodByName(t *testing.T) {
	// The mark is what we think it is.
	control := filepath.Join(t.TempDir(), "control.go")
	if err := os.WriteFile(control, []byte("package main\n\nimport (\n\t\"os\"\n\t\"text/template\"\n)\n\n"+
		"func main() { template.Must(template.New(\"\").Parse(\"{{.X}}\")).Execute(os.Stdout, nil) }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	marked, chain := lookups(t, control)
	if len(marked) == 0 {
		t.Fatalf("the linker doesn't mark text/template with %s: has its -dumpdep changed?", byName)
	}
	if want := "main text/template"; chain != want {
		t.Errorf("text/template is reached through %s, want %s", chain, want)
	}

	marked, chain = lookups(t, "-tags=release", ".")
	if len(marked) > 0 {
		t.Errorf("methods are looked up by name in %s, reached through the packages %s: take that import out, see docs/dependencies.md",
			strings.Join(marked, ", "), chain)
	}
}

// lookups links a program and gives the functions that look methods up by name,
// and the packages on the way from main to the first of them.
func lookups(t *testing.T, args ...string) (marked []string, chain string) {
	t.Helper()
	args = append([]string{"build", "-ldflags=-checklinkname=0 -dumpdep", "-o", filepath.Join(t.TempDir(), "program")}, args...)
	build := exec.Command("go", args...)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	if err != nil {
		t.Fatalf("go %q: %v\n%s", args, err, out)
	}
	from := map[string]string{} // who reached a symbol first
	for line := range strings.Lines(string(out)) {
		by, symbol, ok := strings.Cut(strings.TrimSpace(line), " -> ")
		if !ok {
			continue // the package's name, above its output
		}
		by, _, _ = strings.Cut(by, " <")
		symbol, flags, _ := strings.Cut(symbol, " <")
		if _, known := from[symbol]; known || symbol == by {
			continue
		}
		from[symbol] = by
		if strings.Contains(" <"+flags, byName) {
			marked = append(marked, symbol)
		}
	}
	if _, ok := from["main.main"]; !ok {
		t.Fatalf("go %q: main.main isn't in what the linker tells: has its -dumpdep changed?\n%.1000s", args, out)
	}
	if len(marked) == 0 {
		return nil, ""
	}
	var packages []string
	for symbol := marked[0]; symbol != "" && !strings.HasPrefix(symbol, "runtime."); symbol = from[symbol] {
		if p := packageOf(symbol); len(packages) == 0 || packages[0] != p {
			packages = slices.Insert(packages, 0, p)
		}
		if symbol == "main.main" {
			break
		}
	}
	return marked, strings.Join(packages, " ")
}

// packageOf is the package of a linker's symbol, "net/http.(*Server).Serve".
func packageOf(symbol string) string {
	slash := strings.LastIndex(symbol, "/") + 1
	name, _, _ := strings.Cut(symbol[slash:], ".")
	return symbol[:slash] + name
}
