package service

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.org/dormouse/daemon"
	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/exporter/control"
	"example.org/dormouse/sensors/scan"
)

// DaemonSensors asks the daemons of the pidfiles, as far as they run, which
// sensors they read.
func DaemonSensors(ctx context.Context, clock *alarm.Clock, pidFiles []string) (list []scan.DaemonSensor, err error) {
	for _, pidFile := range pidFiles {
		state := daemon.Status(pidFile)
		if !state.Running() && state.Code != daemon.StatusUnknown {
			continue
		}
		limited := clock.WithDeadline(ctx, clock.Now().Add(10*time.Second))
		readings, askErr := control.Readings(limited, pidFile)
		limited.Cancel()
		if askErr != nil {
			err = errors.Join(err, fmt.Errorf("the daemon of %s (%s) doesn't report which chips it reads, so nothing was identified: scan as root or as the daemon's user: %w", pidFile, state.Text, askErr))
			continue
		}
		for _, r := range readings.Sensors {
			list = append(list, scan.DaemonSensor{Name: r.Name, Claims: r.Claims})
		}
	}
	return list, err
}
