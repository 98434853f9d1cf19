package command

import (
	"context"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
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

// senseUntil builds the sensor and reads it once, and its time is up when upTo
// has returned: the program has come that far, however slow the machine is.
func (w world) senseUntil(t testing.TB, upTo func()) (*sensors.Report, error) {
	t.Helper()
	s, err := w.driver.New(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	limit := alarm.NewFake(1, time.Time{})
	ctx := limit.WithDeadline(t.Context(), limit.Now().Add(time.Second))
	defer ctx.Cancel()
	reached := make(chan struct{})
	go func() {
		upTo()
		limit.Advance(time.Second)
		close(reached)
	}()
	var r sensors.Report
	err = s.Sense(ctx, &r)
	<-reached
	return &r, err
}

// eventually waits until something of the processes is so. What comes after it
// fails where it never is.
func eventually(is func() bool) {
	for end := time.Now().Add(long); !is() && time.Now().Before(end); time.Sleep(time.Millisecond) {
	}
}

// in is the process whose number a program wrote to a file; false where it
// hasn't, or where the process is gone.
func in(file string) (process, bool) {
	text, err := os.ReadFile(file)
	number, whole := strings.CutSuffix(string(text), "\n")
	pid, badErr := strconv.Atoi(number)
	if err != nil || badErr != nil || !whole {
		return process{}, false
	}
	all := processes()
	i := slices.IndexFunc(all, func(p process) bool { return p.pid == pid })
	if i < 0 {
		return process{}, false
	}
	return all[i], true
}

// isOver tells whether the program whose number is in the file has ended. It
// stays a zombie until it is reaped.
func isOver(file string) bool {
	p, ok := in(file)
	return ok && p.zombie
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
