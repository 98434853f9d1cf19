package service

import (
	"context"
	"fmt"
	"io"
	"slices"

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board"
	"example.org/dormouse/sensors/config"
	"example.org/dormouse/sensors/scan"
)

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
		if _, err := fmt.Fprintf(w, "%s %s\n", result.Name, text); err != nil {
			return failed, err
		}
		for _, f := range result.Failures {
			failed++
			if _, err := fmt.Fprintf(w, "%s %v: %v\n", result.Name, f.Labels, f.Err); err != nil {
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
