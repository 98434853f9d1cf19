package config

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// What the documentation shows is accepted.
func TestDocumentedExamples(t *testing.T) {
	text, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) < 5 {
		t.Fatalf("%d examples of files", len(blocks))
	}
	for _, b := range blocks {
		file(t, b[1])
	}
	commands := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(commands) < 4 {
		t.Fatalf("%d examples of commands", len(commands))
	}
	for _, c := range commands {
		words, err := setting{Text: c[1]}.Words()
		if err != nil {
			t.Fatalf("%v in\n%s", err, c[1])
		}
		src := Source{MachineID: machineID}
		for i, w := range words {
			switch {
			case w == "--sensor":
				src.SensorFlags = append(src.SensorFlags, words[i+1])
			case w == "--rail":
				src.RailFlags = append(src.RailFlags, words[i+1])
			case strings.HasPrefix(w, "--"):
				t.Errorf("%s is a flag that this test doesn't know", w)
			}
		}
		if _, err := Load(src); err != nil {
			t.Errorf("%v\nin %s", err, c[1])
		}
	}
}

// The keys that the errors about a key list are in the documentation.
func TestDocumentedKeys(t *testing.T) {
	text, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ file, list string }{
		{"foo: 1\n", `its keys are (.*)`},
		{"defaults: {foo: 1}\nsensors: []\n", `only (.*) can`},
		{"rails: [{name: r, line: 17, foo: 1}]\nsensors: []\n", `its keys are (.*)`},
	} {
		_, err := Load(Source{File: "f.yml", Data: []byte(tt.file), MachineID: machineID})
		if err == nil {
			t.Fatalf("%s is accepted", tt.file)
		}
		m := regexp.MustCompile(tt.list).FindStringSubmatch(err.Error())
		if m == nil {
			t.Fatalf("no list of keys in: %v", err)
		}
		for _, key := range regexp.MustCompile(`, | and `).Split(m[1], -1) {
			if !strings.Contains(string(text), "`"+key+"`") {
				t.Errorf("docs/configuration.md doesn't have the key %s of: %v", key, err)
			}
		}
	}
}
