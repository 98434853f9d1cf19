package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/config"
)

// Each module that go.mod requires directly has a line that says why.
func TestDependenciesAreExplained(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{if not (or .Main .Indirect)}}{{.Path}}{{end}}", "all").Output()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("../../docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	modules := strings.Fields(string(out))
	if len(modules) < 10 {
		t.Fatalf("go list names only %v", modules)
	}
	for _, m := range modules {
		if !strings.Contains(string(doc), m) {
			t.Errorf("docs/dependencies.md doesn't say what %s is for", m)
		}
	}
}

// Links between the documents lead somewhere.
func TestDocumentLinks(t *testing.T) {
	links := regexp.MustCompile(`\]\(([^)#: ]+)(#[^)]*)?\)`)
	found := 0
	for _, d := range documents(t) {
		text, err := os.ReadFile(d)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range links.FindAllStringSubmatch(string(text), -1) {
			found++
			if _, err := os.Stat(filepath.Join(filepath.Dir(d), m[1])); err != nil {
				t.Errorf("%s: %v", d, err)
			}
		}
	}
	if found == 0 {
		t.Error("no link was found")
	}
}

// Fragments of links are headings, as GitHub names them.
func TestDocumentAnchors(t *testing.T) {
	heading := regexp.MustCompile("(?m)^#+ (.*)$")
	fences := regexp.MustCompile("(?ms)^```.*?^```")
	anchors := map[string][]string{}
	contents := map[string]string{}
	for _, path := range documents(t) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		contents[path] = fences.ReplaceAllString(string(text), "")
		for _, m := range heading.FindAllStringSubmatch(contents[path], -1) {
			kept := strings.Map(func(r rune) rune {
				if r == '-' || r == '_' || r == ' ' || unicode.IsLetter(r) || unicode.IsDigit(r) {
					return unicode.ToLower(r)
				}
				return -1
			}, m[1])
			anchors[path] = append(anchors[path], strings.ReplaceAll(kept, " ", "-"))
		}
	}
	found := 0
	for path, text := range contents {
		for _, m := range regexp.MustCompile(`\]\(([^)#: ]*)#([^)]+)\)`).FindAllStringSubmatch(text, -1) {
			target := path
			if m[1] != "" {
				target = filepath.Join(filepath.Dir(path), m[1])
			}
			found++
			if known, ok := anchors[target]; ok && !slices.Contains(known, m[2]) {
				t.Errorf("%s: %s has no heading for %s", path, target, m[0])
			}
		}
	}
	if found < 20 {
		t.Errorf("only %d links with a fragment were found", found)
	}
}

// Files that a document names by their path in the project are there.
func TestDocumentPaths(t *testing.T) {
	paths := regexp.MustCompile("`((?:cmd|daemon|sensors|exporter|test|examples|docs|systemd|init\\.d|packaging)/[\\w./-]+)`")
	madeUp := regexp.MustCompile(`/xmp100(_test)?\.go$`) // drivers-howto.md adds it
	found := 0
	for _, d := range documents(t) {
		text, err := os.ReadFile(d)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range paths.FindAllStringSubmatch(string(text), -1) {
			found++
			if _, err := os.Stat("../../" + m[1]); err != nil && !madeUp.MatchString(m[1]) {
				t.Errorf("%s: %v", d, err)
			}
		}
	}
	if found < 50 {
		t.Errorf("only %d paths were found", found)
	}
}

// documents are README and what is in docs.
func documents(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	return append(found, "../../README.md")
}

// The rules and the dashboard name metrics that there are.
func TestExamplesNameMetrics(t *testing.T) {
	page, err := os.ReadFile("../../exporter/testdata/metrics.txt")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, name := range sensors.QuantityNames() {
		q, _ := sensors.QuantityByName(name)
		known[q.MetricName()] = true
	}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (\S+)`).FindAllStringSubmatch(string(page), -1) {
		known[m[1]] = true
	}
	names := regexp.MustCompile(`[\w:]*(?:dormouse|sensor)_[a-z_]*[a-z][\w:]*`)
	for _, file := range []string{"prometheus/alerts.yml", "prometheus/recording.yml", "grafana/dormouse.json"} {
		text, err := os.ReadFile("../../examples/" + file)
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for _, name := range names.FindAllString(string(text), -1) {
			if strings.Contains(name, ":") { // a rule's own
				continue
			}
			found++
			if !known[name] {
				t.Errorf("%s: there is no metric %s", file, name)
			}
		}
		if found < 5 {
			t.Errorf("%s names %d metrics", file, found)
		}
	}
}

// The examples of README are right, as flags and as the file.
func TestREADMEExamples(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```(\\w*)\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	p := newPlace(t)
	var byFlags, byFile string
	for _, b := range blocks {
		switch {
		case strings.HasPrefix(b[2], "dormouse run "):
			line := strings.ReplaceAll(strings.TrimPrefix(b[2], "dormouse run "), "\\\n", " ")
			byFlags = p.must(append([]string{"check"}, strings.Fields(line)...)...)
		case strings.Contains(b[2], "sensors:"):
			p.write("readme.yml", b[2])
			byFile = p.must("check", "--config.file=readme.yml")
		}
	}
	if byFlags == "" || byFlags != byFile {
		t.Errorf("by flags:\n%s\nby the file:\n%s", byFlags, byFile)
	}
}

// docs/troubleshooting.md has each reason that a sensor can be down for, and
// each exit status of docs/install.md.
func TestTroubleshootingIsComplete(t *testing.T) {
	text, err := os.ReadFile("../../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range sensors.Reasons {
		if !strings.Contains(string(text), "\n| `"+string(r)+"` |") {
			t.Errorf("no row for the reason %s", r)
		}
	}
	install, err := os.ReadFile("../../docs/install.md")
	if err != nil {
		t.Fatal(err)
	}
	_, codes, _ := strings.Cut(string(install), "## Exit codes\n\n")
	codes, _, _ = strings.Cut(codes, "`status`")
	found := regexp.MustCompile(`\b([1-9])\b`).FindAllString(codes, -1)
	if len(found) < 5 {
		t.Fatalf("docs/install.md has the exit codes %q", found)
	}
	for _, code := range found {
		if !strings.Contains(string(text), "\n| "+code+" |") {
			t.Errorf("no row for the exit status %s", code)
		}
	}
}

// The example file is valid as it is, and with each of its lines in use.
func TestExampleFile(t *testing.T) {
	text, err := os.ReadFile("../../examples/dormouse.yml")
	if err != nil {
		t.Fatal(err)
	}
	used := regexp.MustCompile("(?m)^#(rails:|  - )").ReplaceAllString(string(text), "$1")
	for content, sensors := range map[string]int{string(text): 0, used: 6} {
		cfg, err := config.Load(config.Source{File: "dormouse.yml", Data: []byte(content)})
		if err != nil {
			t.Errorf("%v\nof\n%s", err, content)
		} else if len(cfg.Sensors) != sensors {
			t.Errorf("%d sensors, want %d, of\n%s", len(cfg.Sensors), sensors, content)
		}
	}
}

// What asks the installed service is typed as root, who alone besides its user is
// told of the readings.
func TestDocumentsAskTheServiceAsRoot(t *testing.T) {
	asks := regexp.MustCompile(`(?m)^(sudo )?dormouse (status|reload|stop)\b`)
	found := 0
	for _, d := range documents(t) {
		text, err := os.ReadFile(d)
		if err != nil {
			t.Fatal(err)
		}
		for i, block := range strings.Split(string(text), "```") {
			if i%2 == 0 || !strings.Contains(block, "sudo systemctl") {
				continue
			}
			for _, m := range asks.FindAllStringSubmatch(block, -1) {
				if found++; m[1] == "" {
					t.Errorf("%s: %q is refused to a plain user", d, m[0])
				}
			}
		}
	}
	if found == 0 {
		t.Error("no document asks the service")
	}
}
