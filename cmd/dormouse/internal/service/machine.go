package service

import "os"

// A Machine is what distinguishes this machine from the others of its fleet. It
// is found out once, by the command that was typed: the daemon may have another
// root, and a reload must not move a sensor's times because a file was out of
// reach.
type Machine struct {
	ID   string `json:"id"` // the content of /etc/machine-id
	Name string `json:"name"`
}

// FindMachine finds out this machine. What can't be found out is empty: that
// matters only to a configuration with jitter, which then reports it.
func FindMachine() *Machine { return findMachine("/etc/machine-id") }

func findMachine(idFile string) *Machine {
	m := &Machine{}
	if id, err := os.ReadFile(idFile); err == nil {
		m.ID = string(id)
	}
	if name, err := os.Hostname(); err == nil {
		m.Name = name
	}
	return m
}
