package poll

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/config"
)

// withChannels makes a fake one with inputs, of which some are chosen.
func withChannels(chosen ...string) func(*fake) {
	return func(f *fake) {
		f.cfg.Driver.Channels = []string{"a0", "a1", "a2"}
		f.cfg.Driver.Measures = []*sensors.Quantity{channelVoltage}
		o, err := sensors.NewOptions(f.cfg.Driver, nil, chosen...)
		if err != nil {
			f.w.Fatal(err)
		}
		f.cfg.Options = o
		f.cfg.Channels = map[string]config.Processing{"a1": {Name: "battery"}}
	}
}

func (w *world) wantChannels(name string, want ...sensors.Channel) {
	w.Helper()
	if got := w.result(name).Channels; !slices.Equal(got, want) {
		w.Errorf("%s: channels %v, want %v", name, got, want)
	}
}

// Each channel is up or down by itself, under the name that it is published by.
func TestChannelsUp(t *testing.T) {
	in(t, func(w *world) {
		var fail error
		report := func(r *sensors.Report) error {
			r.Set(channelVoltage, 1, "a0")
			switch w.clock.Now().Sub(boot) {
			case 0:
				r.Fail(sensors.Errorf(sensors.OutOfRange, "beyond the reference"), "a1")
			case time.Minute:
				r.Set(channelVoltage, 1e9, "a1")
			default:
				r.Set(channelVoltage, 2, "a1")
			}
			return fail
		}
		chosen := w.sensor("chosen", withChannels("a0", "a1"), reporting(report))
		open := w.sensor("open", withChannels(), reporting(report))
		plain := w.sensor("plain")
		w.run(chosen.cfg, open.cfg, plain.cfg)
		a0, battery := sensors.Channel{Name: "a0", Up: true}, sensors.Channel{Name: "battery", Up: true}
		for range 2 {
			for _, name := range []string{"chosen", "open"} {
				w.wantChannels(name, a0, sensors.Channel{Name: "battery"})
				if !w.result(name).Up {
					t.Errorf("%s is down by one channel", name)
				}
			}
			w.pass(time.Minute)
		}
		w.wantChannels("chosen", a0, battery)
		w.wantChannels("open", a0, battery)
		w.wantChannels("plain")
		fail = sensors.Errorf(sensors.NoAnswer, "unplugged")
		w.pass(time.Minute)
		w.wantChannels("chosen", sensors.Channel{Name: "a0"}, sensors.Channel{Name: "battery"})
		w.wantChannels("open", sensors.Channel{Name: "a0"}, sensors.Channel{Name: "battery"})
	})
	// What is chosen is there at the first read, even where that fails.
	in(t, func(w *world) {
		f := w.sensor("a", withChannels("a0", "a2"), reporting(func(*sensors.Report) error { return errors.New("fails") }))
		w.run(f.cfg)
		w.wantChannels("a", sensors.Channel{Name: "a0"}, sensors.Channel{Name: "a2"})
	})
}

// An exit status of 0 alone doesn't make a program that measures up: what it
// printed has to be possible.
func TestAProgramWithoutAValueIsDown(t *testing.T) {
	for _, v := range []float64{math.NaN(), math.Inf(-1), -300} {
		in(t, func(w *world) {
			f := w.sensor("a", reporting(func(r *sensors.Report) error {
				r.Set(sensors.ExitStatus, 0)
				r.Set(sensors.Temperature, v)
				return nil
			}))
			task := w.sensor("b", reporting(func(r *sensors.Report) error {
				r.Set(sensors.ExitStatus, 0)
				return nil
			}))
			w.run(f.cfg, task.cfg)
			if r := w.result("a"); r.Up || r.Reason != sensors.OutOfRange || len(r.Readings) != 1 || r.Readings[0].Quantity != sensors.ExitStatus {
				t.Errorf("%v: up %v, %s, %v", v, r.Up, r.Reason, r.Readings)
			}
			if r := w.result("b"); !r.Up {
				t.Errorf("a task is down: %v", r.Err)
			}
		})
	}
}

// keep-failed holds for values that a calibration makes impossible as well.
func TestKeepFailedOfAnImpossibleValue(t *testing.T) {
	in(t, func(w *world) {
		v := 20.
		f := w.sensor("a", every(5*time.Second))
		f.sense = func(_ context.Context, _ sensors.Env, r *sensors.Report) error {
			r.Set(sensors.Temperature, v)
			return nil
		}
		f.cfg.All.Calibrate.Offset = 1
		f.cfg.KeepFailed = 2
		w.run(f.cfg)
		v = 1799.5 // and 1 more is beyond the range
		for i := range 4 {
			w.pass(5 * time.Second)
			kept := i < 2
			if r := w.result("a"); r.Up || (len(r.Readings) == 1) != kept || kept && r.Readings[0].Value != 21 {
				t.Errorf("after %d failures: up %v with %v", i+1, r.Up, r.Readings)
			}
		}
		if n := len(w.lines("sensor is down")); n != 1 {
			t.Errorf("logged %d times that it is down", n)
		}
	})
}
