package all

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"example.org/dormouse/sensors/config"
)

// What the documentation of wires shows is accepted, by the drivers themselves.
func TestDocumentedWiring(t *testing.T) {
	for _, name := range []string{"power", "pulse-and-switch", "gpio", "kernel"} {
		text, err := os.ReadFile("../../docs/" + name + ".md")
		if err != nil {
			t.Fatal(err)
		}
		blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(text), -1)
		if len(blocks) == 0 {
			t.Fatalf("%s has no examples of files", name)
		}
		for _, b := range blocks {
			file := b[1]
			if strings.HasPrefix(file, "  - ") {
				file = "sensors:\n" + file
			}
			if _, err := config.Load(config.Source{File: name + ".md", Data: []byte(file)}); err != nil {
				t.Errorf("%v\nin\n%s", err, file)
			}
		}
	}
}
