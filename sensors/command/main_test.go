package command

import (
	"context"
	"fmt"
	"math"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/sensortest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// What whoever runs the tests left open isn't a leak of ours: the daemon
	// closes such descriptors when it starts.
	if err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		fmt.Fprintln(os.Stderr, "mark inherited descriptors:", err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// world is sensortest's environment in real time: programs don't live in
// virtual time.
type world struct {
	*sensortest.Env
	clock  *alarm.Clock
	driver *sensors.Driver
}

func (w world) Now() sensors.Instant { return alarm.Now() }

func (w world) Sleep(ctx context.Context, d time.Duration) error { return w.clock.Sleep(ctx, d) }

func newWorld(t testing.TB, options map[string]string) world {
	t.Helper()
	return worldOf(t, "command", options)
}

// worldOf is the environment of a sensor of that driver.
func worldOf(t testing.TB, driver string, options map[string]string) world {
	t.Helper()
	clock, err := alarm.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := clock.Close(); err != nil {
			t.Error(err)
		}
	})
	d := sensortest.Driver(t, driver)
	return world{sensortest.New(t, d, options), clock, d}
}

// shell are the options of a sensor that runs a shell script.
func shell(script string, more ...string) map[string]string {
	options := map[string]string{"argv": sensors.JoinList("/bin/sh", "-c", script)}
	for i := 0; i < len(more); i += 2 {
		options[more[i]] = more[i+1]
	}
	return options
}

// sense builds the sensor and reads it once, within limit.
func (w world) sense(t testing.TB, limit time.Duration) (*sensors.Report, error) {
	t.Helper()
	s, err := w.driver.New(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	ctx := w.clock.WithDeadline(t.Context(), alarm.Now().Add(limit))
	defer ctx.Cancel()
	var r sensors.Report
	err = s.Sense(ctx, &r)
	return &r, err
}

// value returns the one reading of that metric without labels.
func value(t testing.TB, r *sensors.Report, metric string) float64 {
	t.Helper()
	for _, reading := range r.Readings() {
		if reading.Quantity.MetricName() == metric {
			return reading.Value
		}
	}
	t.Fatalf("no %s among %d readings", metric, len(r.Readings()))
	return 0
}
