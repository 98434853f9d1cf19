package poll

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/config"
	"example.org/dormouse/sensors/poll/persist"
	"example.org/dormouse/sensors/state"
)

var channelVoltage = sensors.Voltage.With("channel")

// reporting makes a fake report what the function says, at each read anew.
func reporting(report func(r *sensors.Report) error) func(*fake) {
	return func(f *fake) {
		f.sense = func(_ context.Context, _ sensors.Env, r *sensors.Report) error { return report(r) }
	}
}

// page is a sensor's readings as a page would show them.
func (w *world) page(name string) string {
	w.Helper()
	var lines []string
	for _, r := range w.result(name).Readings {
		name := r.Quantity.MetricName()
		for i, v := range r.Labels {
			name += fmt.Sprintf("{%s=%q}", r.Quantity.Labels[i], v)
		}
		lines = append(lines, fmt.Sprintf("%s %.6g", name, r.Value))
	}
	return strings.Join(lines, "; ")
}

func TestProcessing(t *testing.T) {
	in(t, func(w *world) {
		n := 0.
		f := w.sensor("a", reporting(func(r *sensors.Report) error {
			n++
			r.Set(sensors.Temperature, 20)
			r.Set(channelVoltage, n, "a0")
			r.Set(channelVoltage, n, "a1")
			r.Set(channelVoltage, n, "a2")
			return nil
		}))
		f.cfg.All = config.Processing{Calibrate: config.Calibration{Offset: 0.5}}
		f.cfg.Channels = map[string]config.Processing{
			"temperature": {Calibrate: config.Calibration{Scale: 2}},
			"a0":          {Name: "beds", Quantity: sensors.Moisture, Calibrate: config.Calibration{Points: [][2]float64{{0, 1}, {4, 0}}}},
			"a1":          {Filter: config.Filter{Average: 2}},
		}
		w.run(f.cfg)
		w.pass(time.Minute)
		want := `sensor_temperature_celsius 40; sensor_moisture_ratio{channel="beds"} 0.5; sensor_voltage_volts{channel="a1"} 2; sensor_voltage_volts{channel="a2"} 2.5`
		if got := w.page("a"); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}

// After a failure a filter begins anew: what comes then has nothing to do with
// what was before.
func TestAFilterForgetsAfterAFailure(t *testing.T) {
	in(t, func(w *world) {
		n := 0.
		f := w.sensor("a", reporting(func(r *sensors.Report) error {
			if n++; n == 3 {
				return errors.New("fails")
			}
			r.Set(sensors.Temperature, n)
			return nil
		}))
		f.cfg.All.Filter.Average = 10
		w.run(f.cfg)
		w.pass(time.Minute)
		w.want("a", 1.5)
		w.pass(time.Minute + 10*time.Second) // with a further try
		w.want("a", 4)
	})
}

func TestRangeIsCheckedBeforeCalibration(t *testing.T) {
	in(t, func(w *world) {
		value := 2000. // beyond the range of a temperature
		f := w.sensor("a", reporting(func(r *sensors.Report) error {
			r.Set(sensors.Temperature, value)
			return nil
		}))
		f.cfg.All.Calibrate.Scale = 0.01
		w.run(f.cfg)
		w.wantDown("a", sensors.OutOfRange, "2000.00 °C")
		for _, v := range []float64{math.NaN(), math.Inf(1)} {
			value = v
			w.pass(time.Minute)
			w.wantDown("a", sensors.OutOfRange)
		}
		value = 0
		w.pass(time.Minute)
		w.want("a", 0)
		f.cfg.All.Calibrate.Scale = 0
		huge := w.sensor("b", reporting(func(r *sensors.Report) error {
			r.Set(sensors.Number, 1e300)
			return nil
		}))
		huge.cfg.All.Calibrate.Scale = 1e300
		w.end()
		w.run(huge.cfg)
		w.wantDown("b", sensors.OutOfRange, "+Inf", "calibrate.scale")
	})
}

// TestAValueIsCheckedAfterItsLastChange: what a calibration or a quantity makes
// of a reading has to be possible, and the error names the keys.
func TestAValueIsCheckedAfterItsLastChange(t *testing.T) {
	for _, tt := range []struct {
		name     string
		reported *sensors.Quantity
		value    float64
		do       config.Processing
		words    []string // of the error; nil: the value stands
	}{
		{"a program's percentage", sensors.Number, 45, config.Processing{Quantity: sensors.Humidity}, []string{"sensor_humidity_ratio", "check quantity"}},
		{"the same, scaled", sensors.Number, 45, config.Processing{Quantity: sensors.Humidity, Calibrate: config.Calibration{Scale: 0.01}}, nil},
		{"below absolute zero", sensors.Temperature, 20, config.Processing{Calibrate: config.Calibration{Offset: -397}}, []string{"-377", "calibrate.offset"}},
		{"points that go on", sensors.Voltage, 3.1, config.Processing{Quantity: sensors.Moisture, Calibrate: config.Calibration{Points: [][2]float64{{1.2, 1}, {2.8, 0}}}},
			[]string{"sensor_moisture_ratio", "quantity and calibrate.points"}},
		{"beyond the chip's own range", sensors.Temperature.Within(-40, 85), 84, config.Processing{Calibrate: config.Calibration{Offset: 2}}, nil},
		{"negative light", sensors.Illuminance, 1, config.Processing{Calibrate: config.Calibration{Offset: -2}}, []string{"sensor_illuminance_lux", "calibrate.offset"}},
		{"negative pressure", sensors.Pressure, 1, config.Processing{Calibrate: config.Calibration{Scale: -1}}, []string{"sensor_pressure_pascals"}},
		{"a level below the mark", sensors.Distance, 1, config.Processing{Calibrate: config.Calibration{Offset: -2}}, nil},
		{"a distance turned round", sensors.Distance, 1, config.Processing{Calibrate: config.Calibration{Scale: -1}}, []string{"sensor_distance_meters", "calibrate.scale"}},
		{"less than the tare", sensors.Mass.Within(-1000, 1000), -5, config.Processing{}, nil},
		{"a mass from points", sensors.Mass, 1, config.Processing{Calibrate: config.Calibration{Points: [][2]float64{{2, 0}, {4, 1}}}}, nil},
		{"a counter below zero", sensors.Pulses, 1, config.Processing{Calibrate: config.Calibration{Offset: -5}}, []string{"sensor_pulses_total", "calibrate.offset"}},
	} {
		in(t, func(w *world) {
			f := w.sensor("a", reporting(func(r *sensors.Report) error {
				r.Set(tt.reported, tt.value)
				return nil
			}))
			f.cfg.All = tt.do
			w.run(f.cfg)
			if tt.words != nil {
				w.wantDown("a", sensors.OutOfRange, tt.words...)
			} else if r := w.result("a"); !r.Up {
				t.Errorf("%s: %v", tt.name, r.Err)
			}
		})
	}
}

// TestOrderOfProcessing: calibrate, drop, filters, clamp, and the quantity's own
// range; what is refused on the way is in no filter.
func TestOrderOfProcessing(t *testing.T) {
	moisture := config.Processing{Quantity: sensors.Moisture, Calibrate: config.Calibration{Points: [][2]float64{{1, 1}, {3, 0}}}}
	for _, tt := range []struct {
		name   string
		change func(p *config.Processing)
		values []float64 // read one after another
		want   []float64 // of the last; none: it is refused
		words  []string
	}{
		{"clamp mends what points make", func(p *config.Processing) { p.Clamp = &sensors.Range{Min: 0, Max: 1} }, []float64{3.4}, []float64{0}, nil},
		{"drop sees what is calibrated, before clamp", func(p *config.Processing) {
			p.Drop, p.Clamp = &sensors.Range{Min: -0.1, Max: 1.1}, &sensors.Range{Min: 0, Max: 1}
		}, []float64{3.4}, nil, []string{"sensor_moisture_ratio: -20.0 % is outside the range that drop leaves"}},
		{"drop leaves its ends", func(p *config.Processing) { p.Drop = &sensors.Range{Min: 0.25, Max: 0.5} }, []float64{2}, []float64{0.5}, nil},
		{"what was dropped isn't averaged", func(p *config.Processing) {
			p.Drop, p.Filter = &sensors.Range{Min: 0.2, Max: 1}, config.Filter{Average: 3}
		}, []float64{2, 2.9, 2}, []float64{0.5}, nil},
		{"what can't be isn't averaged", func(p *config.Processing) { p.Filter = config.Filter{Average: 3} }, []float64{2, 3.4, 2}, []float64{0.5}, nil},
		{"filters see what isn't cut yet", func(p *config.Processing) {
			p.Filter, p.Clamp = config.Filter{Average: 2}, &sensors.Range{Min: 0, Max: 1}
		}, []float64{3.4, 2.2}, []float64{0.1}, nil},
		{"a clamp beyond the quantity's range", func(p *config.Processing) { p.Clamp = &sensors.Range{Min: -2, Max: 1} }, []float64{3.4}, nil, []string{"check quantity and calibrate.points and clamp"}},
		{"no number is cut", func(p *config.Processing) {
			p.Calibrate, p.Clamp = config.Calibration{Scale: math.MaxFloat64, Offset: math.MaxFloat64}, &sensors.Range{Min: 0, Max: 1}
		}, []float64{2}, nil, []string{"+Inf"}},
		{"beyond the points", func(p *config.Processing) { p.Calibrate.Beyond = config.Refuse }, []float64{3.4}, nil, []string{"sensor_moisture_ratio: 3.4 was read", "calibrate.beyond"}},
	} {
		in(t, func(w *world) {
			read := 0
			f := w.sensor("a", reporting(func(r *sensors.Report) error {
				r.Set(sensors.Voltage, tt.values[min(read, len(tt.values)-1)])
				read++
				return nil
			}))
			f.cfg.All = moisture
			tt.change(&f.cfg.All)
			w.run(f.cfg)
			for range len(tt.values) - 1 {
				w.pass(time.Minute)
			}
			if tt.want == nil {
				w.wantDown("a", sensors.OutOfRange, tt.words...)
				return
			}
			if r := w.result("a"); !r.Up || math.Abs(r.Readings[0].Value-tt.want[0]) > 1e-9 {
				t.Errorf("%s: %v, %v, want %v", tt.name, r.Readings, r.Err, tt.want)
			}
		})
	}
}

func TestOneChannelFails(t *testing.T) {
	in(t, func(w *world) {
		fails := true
		f := w.sensor("a", retries(2), reporting(func(r *sensors.Report) error {
			r.Set(channelVoltage, 1, "a0")
			if fails {
				r.Fail(sensors.Errorf(sensors.NotReady, "no conversion"), "a1")
				r.Set(channelVoltage, 1e9, "a2")
			}
			return nil
		}))
		w.run(f.cfg)
		w.pass(time.Minute)
		w.want("a", 1)
		r := w.result("a")
		if len(r.Failures) != 2 || r.Failures[0].Labels[0] != "a2" || r.Failures[1].Labels[0] != "a1" || r.Errors[sensors.NotReady] != 2 || r.Errors[sensors.OutOfRange] != 2 || r.Reads != 2 {
			t.Errorf("%+v", r)
		}
		fails = false
		w.pass(time.Minute)
		if r := w.result("a"); len(r.Failures) != 0 || len(w.lines("some channels failed", "a2")) != 1 || len(w.lines("all channels are back")) != 1 || len(w.lines()) != 2 {
			t.Errorf("%+v, logged %q", r, w.lines())
		}
	})
	in(t, func(w *world) {
		f := w.sensor("a", reporting(func(r *sensors.Report) error {
			r.Fail(sensors.Errorf(sensors.NotReady, "no conversion"), "a1")
			return nil
		}))
		w.run(f.cfg, w.sensor("b", reporting(func(*sensors.Report) error { return nil })).cfg)
		w.wantDown("a", sensors.NotReady, "no conversion")
		w.wantDown("b", sensors.NotReady, "reported nothing")
	})
}

// A program that failed still has an exit status.
func TestWhatTellsOfTheFailureStands(t *testing.T) {
	in(t, func(w *world) {
		status := 0.
		f := w.sensor("a", reporting(func(r *sensors.Report) error {
			r.Set(sensors.ExitStatus, status)
			if status != 0 {
				r.Set(sensors.Number, 99)
				return sensors.Errorf(sensors.Command, "exit status %v", status)
			}
			r.Set(sensors.Number, 5)
			return nil
		}))
		f.cfg.KeepFailed = 1
		w.run(f.cfg)
		status = 3
		w.pass(time.Minute)
		if got := w.page("a"); got != "sensor_value 5; dormouse_command_exit_status 3" {
			t.Error(got)
		}
		w.pass(time.Minute)
		if got := w.page("a"); got != "dormouse_command_exit_status 3" || w.result("a").Up || w.result("a").Reason != sensors.Command {
			t.Error(got)
		}
	})
}

func TestConflicts(t *testing.T) {
	program := func(name, help string, kind sensors.Kind, labels ...string) *sensors.Quantity {
		return &sensors.Quantity{Name: name, Metric: name, Help: help, Kind: kind, Labels: labels}
	}
	set := func(qs ...*sensors.Quantity) func(*fake) {
		return reporting(func(r *sensors.Report) error {
			for i, q := range qs {
				r.Set(q, float64(i+1), q.Labels...)
			}
			return nil
		})
	}
	in(t, func(w *world) {
		jobs := program("jobs", "Jobs.", sensors.Gauge)
		first := w.sensor("a", set(jobs))
		kind := w.sensor("b", set(program("jobs", "Jobs.", sensors.Counter), program("other", "", sensors.Untyped)))
		help := w.sensor("c", set(program("jobs", "Something else.", sensors.Gauge)))
		ours := w.sensor("d", set(program("sensor_temperature_celsius", "Temperature.", sensors.Counter)))
		twice := w.sensor("e", set(program("x", "", sensors.Gauge), program("x", "", sensors.Gauge)))
		labels := w.sensor("f", set(program("y", "", sensors.Gauge, "room"), program("z", "", sensors.Gauge, "sensor")), func(f *fake) {
			f.cfg.Labels = []sensors.Label{{Name: "room", Value: "attic"}}
		})
		same := w.sensor("g", set(jobs))
		again := w.sensor("h", reporting(func(r *sensors.Report) error {
			r.Set(channelVoltage, 1, "a0")
			r.Set(channelVoltage, 2, "a0")
			return nil
		}))
		reserved := w.sensor("i", set(program("dormouse_up", "", sensors.Gauge)))
		w.run(first.cfg, kind.cfg, help.cfg, ours.cfg, twice.cfg, labels.cfg, same.cfg, again.cfg, reserved.cfg)
		for range 2 { // when they are new, and ever after
			w.want("a", 1)
			w.want("b", 2)
			if f := w.result("b").Failures; len(f) != 1 || !strings.Contains(f[0].Err.Error(), "jobs has the type counter here, but sensor a exports it with the type gauge") {
				t.Errorf("%+v", f)
			}
			w.want("c", 1) // another HELP loses no reading
			w.wantDown("d", sensors.IO, "dormouse exports it with the type gauge")
			w.want("e", 1)
			w.wantDown("f", sensors.IO, "label room of its own")
			w.want("g", 1)
			w.want("h", 1)
			w.wantDown("i", sensors.IO, "reserved")
			for name, want := range map[string]int{"a": 0, "b": 1, "c": 0, "d": 1, "e": 1, "f": 2, "g": 0, "h": 1, "i": 1} {
				if r := w.result(name); r.Refused != want {
					t.Errorf("%s: %d series refused, want %d", name, r.Refused, want)
				}
			}
			w.pass(time.Minute)
		}
		if n := len(w.lines("sensor is down")); n != 3 {
			t.Errorf("logged %q", w.lines())
		}
		if r := w.result("d"); r.Errors[sensors.IO] != r.Reads {
			t.Errorf("%d errors in %d reads", r.Errors[sensors.IO], r.Reads)
		}
		if r := w.result("d"); !r.LastSuccess.IsZero() {
			t.Errorf("last success %v", r.LastSuccess)
		}
	})
}

// A program's quantities are new ones each time.
func TestEqualQuantitiesAreOneSeries(t *testing.T) {
	in(t, func(w *world) {
		n := 0.
		f := w.sensor("a", reporting(func(r *sensors.Report) error {
			n++
			r.Set(&sensors.Quantity{Name: "jobs", Metric: "jobs", Help: "Jobs."}, n)
			return nil
		}))
		f.cfg.All.Filter.Average = 2
		w.run(f.cfg)
		w.pass(3 * time.Minute)
		w.want("a", 3.5)
	})
}

func TestSeriesThatChangeAreForgotten(t *testing.T) {
	in(t, func(w *world) {
		n := 0
		f := w.sensor("a", reporting(func(r *sensors.Report) error {
			n++
			r.Set(channelVoltage, float64(n), fmt.Sprint(n))
			r.Set(channelVoltage, 0.5, "same")
			return nil
		}))
		w.run(f.cfg)
		w.pass(100 * time.Minute)
		w.want("a", 101, 0.5)
		if have := w.poll.set.Load().byName["a"].series.Len(); have > 30 {
			t.Errorf("%d series are remembered", have)
		}
	})
}

func TestPublishedSnapshotsStay(t *testing.T) {
	in(t, func(w *world) {
		n := 0.
		f := w.sensor("a", reporting(func(r *sensors.Report) error {
			n++
			if n > 2 {
				r.Fail(errors.New("fails"), "a1")
			}
			r.Set(channelVoltage, n, "a0")
			return nil
		}))
		w.run(f.cfg)
		w.pass(4 * time.Minute)
		for i, s := range w.shots {
			r := s.Results[0]
			if r.Reads != uint64(i+1) || r.Readings[0].Value != float64(i+1) || s.Stats.Wakes[sensors.WakeTimer] != uint64(i) || r.Errors[sensors.IO] != uint64(max(0, i-1)) {
				t.Errorf("snapshot %d: %+v %v", i, r, s.Stats.Wakes)
			}
		}
	})
}

// TestStateOutlivesTheProcess: the counts are in the file between two processes
// only. While one runs there is none, so that whatever kills it leaves nothing
// that is less than what it showed.
func TestStateOutlivesTheProcess(t *testing.T) {
	in(t, func(w *world) {
		file := filepath.Join(w.dir, persist.CountsFile)
		a, b := w.sensor("a", holding("GPIO22")), w.sensor("b", holding("GPIO23"))
		w.run(a.cfg, b.cfg)
		w.pass(62 * time.Minute)
		if _, err := os.Stat(file); !os.IsNotExist(err) {
			t.Errorf("there is a file while the process runs: %v", err)
		}
		w.end()
		if all, _ := filepath.Glob(filepath.Join(w.dir, "*")); len(all) != 1 {
			t.Errorf("left behind: %v", all)
		}
		w.run(b.cfg) // a isn't configured for a while
		w.want("b", 64)
		if _, err := os.Stat(file); !os.IsNotExist(err) {
			t.Errorf("the file is still there when its counts are shown: %v", err)
		}
		w.end()
		w.run(a.cfg)
		w.want("a", 64)
		w.end()

		// As after a kill.
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		w.run(a.cfg)
		w.want("a", 1)
	})
}

func TestStateThatCannotBe(t *testing.T) {
	in(t, func(w *world) {
		for state, words := range map[string]string{
			`{"a":{"driver":"fake","state":"AAAA"}}`:  "one byte is meant",
			`{"a":{"driver":"other","state":"BQ=="}}`: "",
			`["a"]`: "are none",
		} {
			w.log.Reset()
			store := counters(t, w.dir)
			if err := store.Write([]byte(state)); err != nil {
				t.Fatal(err)
			}
			w.run(w.sensor("a", holding("GPIO22")).cfg)
			w.want("a", 1)
			w.end()
			if lines := w.lines(); words == "" && len(lines) != 0 || words != "" && (len(lines) != 1 || !strings.Contains(lines[0], words)) {
				t.Errorf("%s: logged %q", state, lines)
			}
		}
	})
	in(t, func(w *world) {
		file := filepath.Join(w.dir, persist.CountsFile)
		if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		w.run(w.sensor("a", holding("GPIO22")).cfg)
		w.want("a", 1)
		w.end()
		if text, err := os.ReadFile(file); err != nil || string(text) != "{" {
			t.Errorf("what couldn't be read was changed: %q, %v", text, err)
		}
		if lines := w.lines(); len(lines) != 1 || !strings.Contains(lines[0], "reset to zero") || !strings.Contains(lines[0], file+".1 is used instead") {
			t.Errorf("logged %q", lines)
		}
	})
	in(t, func(w *world) {
		w.dir = filepath.Join(w.dir, "file", "directory")
		if err := os.WriteFile(filepath.Dir(w.dir), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		w.run(w.sensor("a", holding("GPIO22")).cfg)
		w.pass(5 * time.Hour)
		w.want("a", 301-256)
		w.end()
		if n := len(w.lines("can't save the counts")); n != 1 || len(w.lines()) != 2 {
			t.Errorf("logged %q", w.lines())
		}
	})
}

// counters is the file of a directory, ready to be written.
func counters(t *testing.T, dir string) *state.Store {
	t.Helper()
	store := state.In(dir, persist.CountsFile)
	if _, err := store.Take(); err != nil {
		t.Fatal(err)
	}
	return store
}

// A moment goes through as it is: no calibration, filter or range is for it.
func TestAMomentIsPublishedAsItIs(t *testing.T) {
	in(t, func(w *world) {
		at := boot.Add(-time.Minute)
		f := w.sensor("a", reporting(func(r *sensors.Report) error {
			r.SetTime(sensors.LastChange, at)
			r.SetTime(sensors.CountedSince, 0) // there is none
			return nil
		}))
		f.cfg.All = config.Processing{Calibrate: config.Calibration{Offset: 5, Scale: 2}, Filter: config.Filter{Median: 3}}
		w.run(f.cfg)
		if r := w.result("a"); !r.Up || len(r.Readings) != 1 || r.Readings[0].At != at || r.Readings[0].Value != 0 {
			t.Errorf("%+v", r)
		}
	})
}
