package catalog

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	_ "example.org/dormouse/sensors/chips"

	"example.org/dormouse/sensors"
)

var update = flag.Bool("update", false, "write the golden files")

// A driver of each kind of declaration: channels, choices, required options.
func TestWriteText(t *testing.T) {
	example := &sensors.Driver{
		Name: "example", Summary: "an example", Datasheet: "its data sheet", Wiring: "VCC, GND", Timing: "at once",
		Unverifiable: "zero is a value", Identity: &sensors.Identification{By: "register 0xD0 reads 0x60"}, Channels: []string{"a0", "a1"},
		Notes: []string{"a0 is noisy", "a1 isn't"}, NoRail: "it is set up only once",
		Measures: []*sensors.Quantity{sensors.Temperature, sensors.Voltage},
		Options:  []sensors.Option{{Name: "pin", Help: "the line", Required: true}, {Name: "gain", Help: "the gain", Default: "1", Choices: []string{"1", "2"}, Channel: true}},
	}
	for name, d := range map[string]*sensors.Driver{"example": example, "bare": {Name: "bare", Summary: "has nothing"}} {
		var got bytes.Buffer
		doc := Describe(d)
		if err := doc.WriteText(&got); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join("testdata", name+".golden")
		if *update {
			if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got.String(), "\n")); diff != "" {
			t.Errorf("it differs from %s (-):\n%s", file, diff)
		}
	}
}

func TestAll(t *testing.T) {
	docs := All()
	if len(docs) != len(sensors.Drivers()) || len(docs) == 0 {
		t.Fatalf("%d of %d drivers are described", len(docs), len(sensors.Drivers()))
	}
	var list bytes.Buffer
	if err := WriteList(&list, docs); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(list.String(), "\n"); n != len(docs) || !strings.Contains(list.String(), "\nbme280  ") {
		t.Errorf("%d lines:\n%s", n, list.String())
	}
}
