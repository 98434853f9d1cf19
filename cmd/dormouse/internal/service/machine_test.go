package service

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	_ "example.org/dormouse/sensors/all"
)

func TestFindMachine(t *testing.T) {
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "machine-id")
	if m := findMachine(file); *m != (Machine{Name: name}) {
		t.Errorf("without the file: %+v", m)
	}
	const id = "0123456789abcdef0123456789abcdef\n"
	if err := os.WriteFile(file, []byte(id), 0o444); err != nil {
		t.Fatal(err)
	}
	if m := findMachine(file); *m != (Machine{ID: id, Name: name}) {
		t.Errorf("%+v", m)
	}
}

// The daemon goes by what the starting command handed over, wherever it is
// itself, and so does each reload.
func TestMachineIsHandedOver(t *testing.T) {
	const flag = "a=thermal,jitter=1h,every=1d"
	moved := func(s *Source) time.Duration {
		t.Helper()
		cfg, err := s.parseConfig(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		return cfg.Sensors[0].Schedule.Moved
	}
	starter := &Source{Sensors: []string{flag}, Machine: &Machine{ID: "fedcba9876543210fedcba9876543210"}}
	data, err := (&Inputs{Machine: starter.Machine}).Handover()
	if err != nil {
		t.Fatal(err)
	}
	in, err := ParseInputs(data)
	if err != nil {
		t.Fatal(err)
	}
	daemon := &Source{Sensors: []string{flag}, Machine: in.Machine}
	here := &Source{Sensors: []string{flag}}
	if a, b, c := moved(starter), moved(daemon), moved(here); a != b || a == c || moved(daemon) != a {
		t.Errorf("moved by %v and, in the daemon, %v; here it is %v", a, b, c)
	}
}
