package service

import (
	"context"
	"fmt"
	"io"
	"slices"

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/exporter"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board"
	"example.org/dormouse/sensors/config"
	"example.org/dormouse/sensors/scan"
)

// ReportPrograms writes of each program what would keep it from being started,
// and that it isn't run: it may be a backup, or worse. It returns the sensors
// that aren't programs, and how many problems there are.
func ReportPrograms(w io.Writer, cfg *config.Config, problems map[string][]string) (others []string, failed int, err error) {
	for _, s := range cfg.Sensors {
		if s.Driver.Programs == nil {
			others = append(others, s.Name)
			continue
		}
		failed += len(problems[s.Name])
		lines := append(slices.Clone(problems[s.Name]), fmt.Sprintf("%s is a program: not run; `dormouse read %s` does", s.Name, s.Name))
		for _, line := range lines {
			if _, err := fmt.Fprintln(w, line); err != nil {
				return nil, 0, err
			}
		}
	}
	return others, failed, nil
}

// ReportHardware writes of each sensor of a Snapshot whether it answers, and what
// its chip says of itself. It returns how many sensors and channels failed.
func ReportHardware(ctx context.Context, w io.Writer, cfg *config.Config, snapshot *sensors.Snapshot, b board.Board, clock *alarm.Clock) (failed int, err error) {
	for i := range snapshot.Results {
		result := &snapshot.Results[i]
		text := "answers"
		if !result.Up {
			failed++
			text = fmt.Sprintf("is down: %v", result.Err)
		} else if chip := recognised(ctx, cfg, result.Name, b, clock); chip != "" {
			text += ": " + chip
		}
		if _, err := fmt.Fprintf(w, "%s %s\n", result.Name, exporter.Printable(text)); err != nil {
			return failed, err
		}
		for _, f := range result.Failures {
			failed++
			if _, err := fmt.Fprintf(w, "%s %s\n", result.Name, exporter.Printable(fmt.Sprintf("%v: %v", f.Labels, f.Err))); err != nil {
				return failed, err
			}
		}
	}
	return failed, nil
}

// recognised is what the chip of a sensor that answers says of itself; empty:
// nothing.
func recognised(ctx context.Context, cfg *config.Config, name string, b board.Board, clock *alarm.Clock) string {
	i := slices.IndexFunc(cfg.Sensors, func(s *config.Sensor) bool { return s.Name == name })
	found, err := scan.Identify(ctx, cfg.Sensors[i], cfg.Rails, b, clock)
	if err != nil || found == (sensors.Found{}) {
		return ""
	}
	return found.String()
}
