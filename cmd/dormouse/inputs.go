package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"

	"example.org/dormouse/cmd/dormouse/internal/service"
	"example.org/dormouse/daemon"
	"example.org/dormouse/exporter/control"
	"example.org/dormouse/exporter/web"
)

// inputs are all the files that a start or a reload reads. The command that
// was typed reads them and hands them over to the daemon, which may find
// itself on another root, as another user, and without the stick they were on.
type inputs struct {
	Directory string            `json:"directory"` // where the command was typed
	Config    []byte            `json:"config"`
	Web       []byte            `json:"web"`
	WebFiles  map[string][]byte `json:"web_files"` // certificates and keys, by path
	Machine   *machine          `json:"machine"`
	// What is root's by default is still meant when the daemon is somebody else.
	StateDirectory string `json:"state_directory"`
	PIDFile        string `json:"pid_file"`
	// Warnings are for the terminal and for the log.
	Warnings []string `json:"warnings"`
}

// gather takes what was handed over, or reads the files. From then on all
// paths are absolute.
func (s *settings) gather() (*inputs, error) {
	data, ok := daemon.Handover()
	if !ok {
		if err := s.fromHere(); err != nil {
			return nil, err
		}
		in, err := s.readFiles()
		if err != nil {
			return nil, err
		}
		in.Machine, in.StateDirectory, in.PIDFile = s.thisMachine(), s.stateDirectory, s.pidFile
		return in, nil
	}
	in := &inputs{}
	if err := json.Unmarshal(data, in); err != nil {
		return nil, fmt.Errorf("read what the starting command handed over: %w", err)
	}
	s.machine, s.stateDirectory, s.pidFile = in.Machine, in.StateDirectory, in.PIDFile
	s.absolutePaths(in.Directory)
	return in, nil
}

func (s *settings) readFiles() (*inputs, error) {
	config, err := s.readConfigFile()
	if err != nil {
		return nil, err
	}
	in := &inputs{Config: config, WebFiles: map[string][]byte{}}
	path := s.webConfigFile
	if path == "" {
		return in, nil
	}
	if in.Web, err = os.ReadFile(path); err != nil {
		return nil, &control.ConfigError{Err: fmt.Errorf("--web.config.file: %w: name a file that exists and that this user may read", err)}
	}
	// Parsing asks for the files that it needs: this is how they are known.
	_, err = web.Parse(path, in.Web, func(name string) ([]byte, error) {
		data, err := os.ReadFile(name)
		if err == nil {
			in.WebFiles[name] = data
		}
		return data, err
	})
	if err != nil {
		return nil, &control.ConfigError{Err: err}
	}
	return in, nil
}

// handover is what gather understands.
func (in *inputs) handover() ([]byte, error) {
	here, err := os.Getwd()
	if err != nil {
		return nil, fmt.Errorf("find out where this is: %w", err)
	}
	in.Directory = here
	return json.Marshal(in)
}

// parse makes the configurations of the sensors and of the server.
func (in *inputs) parse(s *settings) (files service.Files, err error) {
	if files.Config, err = s.parse(in.Config); err != nil || in.Web == nil {
		return files, err
	}
	files.Web, err = web.Parse(s.webConfigFile, in.Web, func(name string) ([]byte, error) {
		data, ok := in.WebFiles[name]
		if !ok {
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		}
		return data, nil
	})
	if err != nil {
		return files, &control.ConfigError{Err: err}
	}
	return files, nil
}

// reloadFiles reads all files again.
func (s *settings) reloadFiles() (service.Files, error) {
	in, err := s.readFiles()
	if err != nil {
		return service.Files{}, err
	}
	return in.parse(s)
}
