package service

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"example.org/dormouse/exporter"
	"example.org/dormouse/exporter/control"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/config"
)

// AskDaemon asks a running daemon for fresh readings: of all its sensors where
// load is nil, since nothing is configured here, else of those that are, if it has them all with
// the same wiring.
func AskDaemon(ctx context.Context, pidFile string, load func() (*config.Config, error), names []string) (*exporter.Readings, error) {
	theirs, err := control.Readings(ctx, pidFile)
	if errors.Is(err, control.ErrNotYet) {
		theirs, err = control.Read(ctx, pidFile, nil) // waits for the first wake
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, notAsked(err, pidFile, load, names)
	}
	if err != nil {
		return nil, err
	}
	if load != nil {
		cfg, err := load()
		if err != nil {
			return nil, err
		}
		for _, ours := range cfg.Sensors {
			same := func(t exporter.SensorJSON) bool {
				return t.Name == ours.Name && t.Driver == ours.Driver.Name && sensors.SameClaims(t.Claims, ours.Claims())
			}
			if !slices.ContainsFunc(theirs.Sensors, same) {
				return nil, fmt.Errorf("%w that has sensor %s as it is configured here", control.ErrNoDaemon, ours.Name)
			}
		}
		if len(names) == 0 {
			for _, ours := range cfg.Sensors {
				if programs := ours.Driver.Programs; programs == nil || !programs.Task(ours.Options) {
					names = append(names, ours.Name)
				}
			}
		}
	}
	readings, err := control.Read(ctx, pidFile, names)
	if err == nil && len(names) > 0 { // the daemon answers with all of its sensors
		readings.Sensors = slices.DeleteFunc(readings.Sensors, func(t exporter.SensorJSON) bool { return !slices.Contains(names, t.Name) })
	}
	return readings, err
}

// notAsked is the error where the daemon can't be asked for want of rights. What is
// configured here can be read without it, but for a program that is named: the
// daemon might be running it.
func notAsked(err error, pidFile string, load func() (*config.Config, error), names []string) error {
	if load != nil {
		cfg, loadErr := load()
		if loadErr != nil {
			return loadErr
		}
		if !slices.ContainsFunc(cfg.Sensors, func(s *config.Sensor) bool { return s.Driver.Programs != nil && slices.Contains(names, s.Name) }) {
			return err
		}
	}
	return fmt.Errorf("%s: %w: only root and the daemon's user may ask the daemon, and have it run a program", control.Path(pidFile), fs.ErrPermission)
}

// ProgramsOf asks the daemon for the runs of the named programs.
func ProgramsOf(ctx context.Context, pidFile string, names []string) ([]control.Program, error) {
	programs, err := control.Programs(ctx, pidFile, names...)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if !slices.ContainsFunc(programs, func(p control.Program) bool { return p.Name == name }) {
			return nil, fmt.Errorf("the daemon has no program named %q, or hasn't run it yet", name)
		}
	}
	return programs, nil
}
