package service

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A chip's description is read once by the command that starts the daemon, and
// again at each reload.
func TestDescriptionsAreHandedOver(t *testing.T) {
	text, err := os.ReadFile("../../../../examples/chips/mcp9808.yml")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "chip.yml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	source := func() *Source { return &Source{Sensors: []string{"a=i2c,description=" + file}} }
	write(string(text))
	in, err := source().Read()
	if err != nil {
		t.Fatal(err)
	}
	// Reading makes the configuration, to know which descriptions it names. It
	// isn't made again where that was here.
	if here, err := source().Parse(in); err != nil || here.Config != in.parsed {
		t.Errorf("the configuration is made a second time: %v", err)
	}
	handover, err := in.Handover()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if in, err = ParseInputs(handover); err != nil {
		t.Fatal(err)
	}
	daemon := source()
	started, err := daemon.Parse(in)
	if err != nil {
		t.Fatal(err)
	}
	write(strings.Replace(string(text), "wait: 300ms", "wait: 3ms", 1))
	if _, err := daemon.Reload(); err == nil || !strings.Contains(err.Error(), file+":26: example 1: bus: number 5 is 300ms, and the steps have 3ms") {
		t.Errorf("a reload with another description: %v", err)
	}
	write(strings.ReplaceAll(string(text), "300ms", "310ms"))
	reloaded, err := daemon.Reload()
	if err != nil {
		t.Fatal(err)
	}
	if started.Config.Sensors[0].SameDevice(reloaded.Config.Sensors[0]) {
		t.Error("a sensor whose description is another is taken for the same")
	}
	write(strings.Repeat("#", mostDescription+1))
	if _, err := daemon.Reload(); err == nil || !strings.Contains(err.Error(), "has more than 65536 bytes") {
		t.Errorf("a reload with a description that is too long: %v", err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if _, err := daemon.Load(); err == nil || !strings.Contains(err.Error(), "description: ") {
		t.Errorf("without the file: %v", err)
	}
}
