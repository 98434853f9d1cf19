package service

import (
	"encoding/json"
	"errors"
	"fmt"

	"example.org/dormouse/daemon/regular"
	"example.org/dormouse/exporter/control"
	"example.org/dormouse/exporter/web"
	"example.org/dormouse/sensors/config"
)

// A Source is where the configuration comes from: flags and files.
type Source struct {
	ConfigFile    string   // empty: none
	Builtin       []byte   // stands for the content of ConfigFile, if it isn't nil
	WebConfigFile string   // empty: plain HTTP
	Sensors       []string // --sensor
	Rails         []string // --rail
	Tasks         []string // --task
	Every         string   // --every
	Machine       *Machine // nil: this one
	// Identify is what the board calls a wire; nil: there is no board to ask.
	Identify config.Identifier
}

// Files is what was read from files, at the start or for a reload.
type Files struct {
	Config *config.Config
	Web    *web.Config // nil: plain HTTP
}

// Inputs are the contents of all files that a start or a reload reads. The
// command that was typed reads them and hands them over to the daemon, which
// may have another root, another user, and no more access to the medium that
// they are on.
type Inputs struct {
	Directory string            `json:"directory"` // where the command was typed
	Config    []byte            `json:"config"`
	Described map[string][]byte `json:"described"` // the descriptions of chips by path
	WebFiles  web.Files         `json:"web_files"` // the web configuration with certificates and keys; nil: none
	Machine   *Machine          `json:"machine"`
	// Defaults that depend on the user: root's hold for the daemon, which may
	// have another.
	StateDirectory string `json:"state_directory"`
	PIDFile        string `json:"pid_file"`
	// LogOutput is where to log, as it was chosen for this machine.
	LogOutput string `json:"log_output"`
	// Warnings are for the terminal and for the log.
	Warnings []string `json:"warnings"`

	// What was made of it by Read, which has to know the descriptions that it
	// names.
	parsed    *config.Config
	configErr error
}

// Load reads the configuration file, if any, and makes the configuration.
func (s *Source) Load() (*config.Config, error) {
	data, err := s.readConfig()
	if err != nil {
		return nil, err
	}
	return s.parseConfig(data, nil)
}

// Draft makes the configuration as far as it is valid; configErr is what is
// wrong with it. Without flags and file it is empty.
func (s *Source) Draft() (cfg *config.Config, configErr, err error) {
	if s.ConfigFile == "" && len(s.Sensors) == 0 && len(s.Tasks) == 0 && len(s.Rails) == 0 {
		return &config.Config{}, nil, nil
	}
	data, err := s.readConfig()
	if err != nil {
		return nil, nil, err
	}
	cfg, err = config.Draft(s.source(data, nil))
	if err != nil {
		configErr = &control.ConfigError{Err: err}
	}
	return cfg, configErr, nil
}

// Check makes the configuration, and reports what is wrong with it and with the
// web configuration.
func (s *Source) Check() (*config.Config, error) {
	cfg, configErr := s.Load()
	var webErr error
	if path := s.WebConfigFile; path != "" {
		if _, webErr = web.Load(path); webErr != nil {
			webErr = &control.ConfigError{Err: webErr}
		}
	}
	return cfg, errors.Join(configErr, webErr)
}

// Reload reads all files again.
func (s *Source) Reload() (Files, error) {
	in, err := s.Read()
	if err != nil {
		return Files{}, err
	}
	return s.Parse(in)
}

// Read reads all files.
func (s *Source) Read() (*Inputs, error) {
	content, err := s.readConfig()
	if err != nil {
		return nil, err
	}
	in := &Inputs{Config: content, Described: map[string][]byte{}}
	in.parsed, in.configErr = s.parseConfig(content, in.Described)
	if s.WebConfigFile == "" {
		return in, nil
	}
	if in.WebFiles, err = web.ReadFiles(s.WebConfigFile); err != nil {
		return nil, &control.ConfigError{Err: err}
	}
	return in, nil
}

// Parse makes the configurations of the sensors and of the server. Where in is
// what Read has read, that of the sensors is made already.
func (s *Source) Parse(in *Inputs) (files Files, err error) {
	files.Config, err = in.parsed, in.configErr
	if files.Config == nil && err == nil {
		files.Config, err = s.parseConfig(in.Config, in.Described)
	}
	if err != nil || in.WebFiles == nil {
		return files, err
	}
	files.Web, err = web.Parse(s.WebConfigFile, in.WebFiles)
	if err != nil {
		return files, &control.ConfigError{Err: err}
	}
	return files, nil
}

// Handover is what ParseInputs understands.
func (in *Inputs) Handover() ([]byte, error) { return json.Marshal(in) }

// ParseInputs takes what Handover gave.
func ParseInputs(handover []byte) (*Inputs, error) {
	in := &Inputs{}
	if err := json.Unmarshal(handover, in); err != nil {
		return nil, fmt.Errorf("read what the starting command handed over: %w", err)
	}
	return in, nil
}

func (s *Source) parseConfig(data []byte, described map[string][]byte) (*config.Config, error) {
	cfg, err := config.Load(s.source(data, described))
	if err != nil {
		return nil, &control.ConfigError{Err: err}
	}
	return cfg, nil
}

// mostDescription is how many bytes the description of a chip may have.
const mostDescription = 64 << 10

func (s *Source) readConfig() ([]byte, error) {
	if s.ConfigFile == "" || s.Builtin != nil {
		return s.Builtin, nil
	}
	data, err := regular.ReadFile(s.ConfigFile, regular.Most)
	if err != nil {
		return nil, &control.ConfigError{Err: fmt.Errorf("--config.file: %w: name a file that exists and that this user may read", err)}
	}
	return data, nil
}

// source is all that a configuration is made from, with the file's content and
// those descriptions of chips that were read with it. To them, if it isn't nil,
// those are added that are read now.
func (s *Source) source(data []byte, described map[string][]byte) config.Source {
	if s.Machine == nil {
		s.Machine = FindMachine()
	}
	return config.Source{
		File: s.ConfigFile, Data: data, SensorFlags: s.Sensors, RailFlags: s.Rails, TaskFlags: s.Tasks, Every: s.Every,
		MachineID: s.Machine.ID, HostName: s.Machine.Name, Identify: s.Identify,
		Read: func(path string) ([]byte, error) {
			if data, ok := described[path]; ok {
				return data, nil
			}
			data, err := regular.ReadFile(path, mostDescription)
			if err == nil && described != nil {
				described[path] = data
			}
			return data, err
		},
	}
}
