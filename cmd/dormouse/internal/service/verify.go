package service

import (
	"errors"

	"example.org/dormouse/daemon"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/config"
)

// VerifyPrograms finds, without running any, what would keep programs from being
// started by the daemon, by sensor.
func VerifyPrograms(d *daemon.Context, cfg *config.Config) (map[string][]string, error) {
	var by sensors.Account
	var err error
	if by.UID, by.GID, by.Groups, err = d.Account(); err != nil {
		return nil, err
	}
	found := map[string][]string{}
	for _, s := range cfg.Sensors {
		if s.Driver.Programs == nil {
			continue
		}
		for _, err := range split(s.Driver.Programs.Verify(s.Options, by)) {
			p := &config.Problem{Origin: s.Origin, Subject: "sensor " + s.Name, Err: err}
			if option, ok := errors.AsType[*sensors.OptionError](err); ok {
				p.Key, p.Err = option.Key, option.Err
			}
			found[s.Name] = append(found[s.Name], p.Error())
		}
	}
	return found, nil
}

// split gives the errors that were joined.
func split(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	if err == nil {
		return nil
	}
	return []error{err}
}
