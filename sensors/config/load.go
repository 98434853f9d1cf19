package config

import (
	"errors"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/config/internal/syntax"
)

// Source is what a configuration is made from. Load reads no file by itself: the
// caller has read it, perhaps in an earlier process, and serves it from memory.
type Source struct {
	File        string // its name, for messages; empty: there is none
	Data        []byte
	SensorFlags []string // NAME=DRIVER[,KEY=VALUE]…
	RailFlags   []string // NAME=LINE[,KEY=VALUE]…
	TaskFlags   []string // NAME=PROGRAM[,KEY=VALUE]…
	Every       string   // of --every; empty: not given
	// What distinguishes the machine from others, for jitter.
	MachineID string // the content of /etc/machine-id; empty: it can't be read
	HostName  string // instead, where that holds no id
	// Read gives the content of a file that a sensor's option description names.
	// nil: there are none.
	Read func(path string) ([]byte, error)
	// Identify is what the board at hand calls a wire, so that two names of one
	// are one; ok is false where it can't tell. nil: there is no board.
	Identify Identifier
}

// Load makes the configuration. Its error is of type Problems and holds
// everything that is wrong at once.
func Load(src Source) (*Config, error) {
	cfg, err := Draft(src)
	if err != nil {
		return nil, err
	}
	return cfg, nil
}

// Draft is Load for showing a configuration together with its errors: beside
// them it returns what could be understood. It is not fit for reading sensors.
func Draft(src Source) (*Config, error) {
	r := &report{}
	stanzas, file := readStanzas(r, src)
	d := readDefaults(r, file.Defaults)
	d.readEvery(r, src.Every)
	rails := readRails(r, stanzas, src.Identify)
	l := &loader{report: r, defaults: d, rails: rails, machine: &machine{id: src.MachineID, hostName: src.HostName},
		descriptions: descriptions{read: src.Read, made: map[string]*sensors.Driver{}},
		names:        map[string]Origin{}, origins: map[*Sensor]map[string]Origin{}}
	var list []*Sensor
	for _, s := range stanzas {
		if s.Kind != "rail" && r.named(s, l.names) {
			if c := l.sensor(s); c != nil {
				list = append(list, c)
			}
		}
	}
	if len(list) == 0 && len(r.problems) == 0 {
		noSensors(r, src, file.Listed)
	}
	(&conflicts{report: r, sensors: list, rails: rails, names: l.names, origins: l.origins, identify: src.Identify}).find()
	rails.warnOfUnused()
	r.problems.Sort(src.File)
	r.warnings.Sort(src.File)
	cfg := &Config{Sensors: list, Rails: rails.list, WaitForTasks: file.WaitForTasks, Warnings: r.warnings}
	if len(r.problems) > 0 {
		return cfg, r.problems
	}
	return cfg, nil
}

// readStanzas takes the file and the flags apart.
func readStanzas(r *report, src Source) (stanzas []*stanza, file *syntax.Document) {
	file = &syntax.Document{}
	if src.File != "" {
		file = syntax.ReadYAML(src.File, src.Data)
		r.problems = file.Problems
		stanzas = file.Stanzas
	}
	for _, group := range []struct {
		kind  string
		flags []string
	}{{"sensor", src.SensorFlags}, {"task", src.TaskFlags}, {"rail", src.RailFlags}} {
		for i, flag := range group.flags {
			s, problems := syntax.ReadFlag(group.kind, flag, i+1)
			r.problems = append(r.problems, problems...)
			if s.Kind == "task" {
				s.Settings = append(s.Settings, setting{Key: "argv", Text: s.Value, Origin: s.Origin})
				s.Value = syntax.TaskDriver
			}
			stanzas = append(stanzas, s)
		}
	}
	return stanzas, file
}

// noSensors reports a configuration without any. A file whose list is there and
// empty is that of a new installation: then the daemon runs, and its status
// page says what to do first.
func noSensors(r *report, src Source, listed bool) {
	o := Origin{Flag: "--sensor"}
	if src.File != "" {
		o = Origin{File: src.File, Line: 1}
	}
	err := errors.New("no sensor is configured: give --sensor=NAME=DRIVER,… or, in the file, sensors: [{name: NAME, driver: DRIVER, …}]; " +
		"`dormouse scan --format=yaml` prints what is connected, `dormouse drivers` lists the drivers")
	if listed {
		r.warn(o, "", "", err)
		return
	}
	r.add(o, "", "", err)
}
