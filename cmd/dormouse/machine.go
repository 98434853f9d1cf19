package main

import (
	"os"

	"example.org/dormouse/sensors/config"
)

// A machine is what tells this one from the others of its fleet. It is asked
// for once, by the command that was typed: the daemon may be on another root,
// and a reload mustn't move a sensor's times because a file was out of reach.
type machine struct {
	ID   string `json:"id"` // what machineIDFile holds
	Name string `json:"name"`
}

const machineIDFile = "/etc/machine-id"

// findMachine leaves out what it can't find out: that matters only to a
// configuration with jitter, which then says what is missing.
func findMachine(idFile string) *machine {
	m := &machine{}
	if id, err := os.ReadFile(idFile); err == nil {
		m.ID = string(id)
	}
	if name, err := os.Hostname(); err == nil {
		m.Name = name
	}
	return m
}

// thisMachine is the one that was handed over, or is found out now.
func (s *settings) thisMachine() *machine {
	if s.machine == nil {
		s.machine = findMachine(machineIDFile)
	}
	return s.machine
}

// source is all that a configuration is made from, with the file's content.
func (s *settings) source(data []byte) config.Source {
	m := s.thisMachine()
	return config.Source{
		File: s.configFile, Data: data, SensorFlags: s.sensors, RailFlags: s.rails, Every: s.every,
		MachineID: m.ID, HostName: m.Name,
	}
}
