package chips

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/sensortest"
)

var ads1115Probe = []io{
	{b(2), b(0x80, 0x00)},
	{b(1, 0x05, 0x83), nil}, // what is converted for somebody else ends
	{b(1), b(0x85, 0x83)},
}

// ads1115Shot is one conversion that ends in time; its result is read twice,
// and the settings are looked at after it.
func ads1115Shot(config, raw uint16) []io {
	c, result := b(byte(config>>8), byte(config)), io{b(0), b(byte(raw>>8), byte(raw))}
	begun := b(byte(config>>8)&0x7f, byte(config))
	return []io{{b(1), b(0x85, 0x83)}, {append(b(1), c...), nil}, {b(1), begun}, {b(1), c}, result, result, {b(1), c}}
}

// The config register, section 8.1.3: OS, MUX, PGA, single shot, DR, the
// comparator off.
func TestADS1115Channels(t *testing.T) {
	for _, tc := range []struct {
		channel, gain string
		rate          string
		config, raw   uint16
		volts         float64
	}{
		{"a0", "4.096V", "128", 0xc387, 0x4000, 2.048},
		{"a1", "4.096V", "128", 0xd387, 0x0001, 0.000125},
		{"a2", "2.048V", "8", 0xe507, 0x7ffe, 2.047875},
		{"a3", "6.144V", "860", 0xf1e7, 0x6000, 4.608},
		{"a0-a1", "1.024V", "475", 0x87c7, 0x8001, -1.02396875},
		{"a0-a3", "0.512V", "250", 0x99a7, 0xffff, -0.000015625},
		{"a1-a3", "0.256V", "64", 0xab67, 0x0000, 0},
		{"a2-a3", "0.256V", "16", 0xbb27, 0xc000, -0.128},
		{"a2-a3", "0.256V", "32", 0xbb47, 0xc000, -0.128},
	} {
		d := sensortest.Driver(t, "ads1115")
		e := sensortest.New(t, d, map[string]string{"gain": "4.096V", "rate": tc.rate, tc.channel + ".gain": tc.gain})
		p := playback(0x48, ads1115Probe, ads1115Shot(tc.config, tc.raw))
		e.Bus = p
		got, failures, err := sensortest.Read(t, d, e)
		if err != nil || len(failures) > 0 || len(got) != 1 {
			t.Fatalf("%s: %d readings, failures %v, error %v", tc.channel, len(got), failures, err)
		}
		near(t, tc.channel, sensortest.Value(t, got, sensors.Voltage.With("channel"), tc.channel), tc.volts, 1e-12)
		played(t, p)
		// One sample, 10 % more, and 25 µs to wake.
		rate, err := strconv.Atoi(tc.rate)
		if err != nil {
			t.Fatal(err)
		}
		if want := time.Second*11/10/time.Duration(rate) + 25*time.Microsecond; !slices.Equal(e.Waits, []time.Duration{want}) {
			t.Errorf("%s: it waits %v, want %v", tc.channel, e.Waits, want)
		}
	}
}

func TestADS1115AllInputs(t *testing.T) {
	d := sensortest.Driver(t, "ads1115")
	e := sensortest.New(t, d, map[string]string{"addr": "0x4a"})
	p := playback(0x4a, ads1115Probe,
		ads1115Shot(0xc387, 0x1000), ads1115Shot(0xd387, 0x2000), ads1115Shot(0xe387, 0x3000), ads1115Shot(0xf387, 0x4000))
	e.Bus = p
	got, failures, err := sensortest.Read(t, d, e)
	if err != nil || len(failures) > 0 || len(got) != 4 {
		t.Fatalf("%d readings, failures %v, error %v", len(got), failures, err)
	}
	for i, channel := range []string{"a0", "a1", "a2", "a3"} {
		near(t, channel, sensortest.Value(t, got, sensors.Voltage.With("channel"), channel), 0.512*float64(i+1), 1e-12)
	}
	played(t, p)
}

func TestADS1015(t *testing.T) {
	d := sensortest.Driver(t, "ads1115")
	for _, tc := range []struct {
		rate   string
		config uint16
	}{
		{"128", 0xc307}, {"250", 0xc327}, {"490", 0xc347}, {"920", 0xc367}, {"1600", 0xc387}, {"2400", 0xc3a7}, {"3300", 0xc3c7},
	} {
		e := sensortest.New(t, d, map[string]string{"model": "ads1015", "rate": tc.rate}, "a0")
		shot := ads1115Shot(tc.config, 0x7fe0)
		if len(tc.rate) == 4 { // it ends sooner than a transaction
			shot = slices.Replace(shot, 2, 3, shot[1]) // and is begun again
		}
		p := playback(0x48, ads1115Probe, shot)
		e.Bus = p
		got, failures, err := sensortest.Read(t, d, e)
		if err != nil || len(failures) > 0 || len(got) != 1 {
			t.Fatalf("%s: %d readings, failures %v, error %v", tc.rate, len(got), failures, err)
		}
		near(t, tc.rate, sensortest.Value(t, got, sensors.Voltage.With("channel"), "a0"), 4.092, 1e-12)
		played(t, p)
	}
}

func TestADS1115Saturated(t *testing.T) {
	for _, tc := range []struct {
		model, gain string
		config, raw uint16
		says        string
	}{
		{"ads1115", "4.096V", 0xc387, 0x7fff, "give it a wider gain"},
		{"ads1115", "4.096V", 0xc387, 0x8000, "give it a wider gain"},
		{"ads1115", "6.144V", 0xc187, 0x7fff, "divide it down"},
		{"ads1015", "4.096V", 0xc307, 0x7ff0, "give it a wider gain"},
		{"ads1015", "4.096V", 0xc307, 0x8000, "give it a wider gain"},
	} {
		d := sensortest.Driver(t, "ads1115")
		a1 := tc.config | 0x1000
		// Alone it is the sensor's error; beside a good one, its channel's.
		e := sensortest.New(t, d, map[string]string{"model": tc.model, "gain": tc.gain}, "a0")
		e.Bus = playback(0x48, ads1115Probe, ads1115Shot(tc.config, tc.raw))
		_, _, err := sensortest.Read(t, d, e)
		isError(t, err, sensors.OutOfRange, tc.says)

		e = sensortest.New(t, d, map[string]string{"model": tc.model, "gain": tc.gain}, "a0", "a1")
		e.Bus = playback(0x48, ads1115Probe, ads1115Shot(tc.config, tc.raw), ads1115Shot(a1, 0x1000))
		got, failures, err := sensortest.Read(t, d, e)
		if err != nil || len(got) != 1 || len(failures) != 1 || !slices.Equal(got[0].Labels, []string{"a1"}) || !slices.Equal(failures[0].Labels, []string{"a0"}) {
			t.Fatalf("readings %v, failures %v, error %v: want a1 and the failure of a0", got, failures, err)
		}
		isError(t, failures[0].Err, sensors.OutOfRange, "channel a0: the voltage is beyond ±"+tc.gain)
	}
}

func TestADS1115Errors(t *testing.T) {
	for _, tc := range []struct {
		name  string
		texts map[string]string
		ops   []io
		says  string
	}{
		{"TMP102", nil, []io{{b(2), b(0x4b, 0)}}, "looks like a TMP102"},
		{"lost its supply", nil, slices.Concat(ads1115Probe, ads1115Shot(0xc387, 0)[:6], []io{{b(1), b(0x85, 0x83)}}), "channel a0: register 0x01 reads 0x8583 and not the 0xc387 that was set"},
		{"converting for others", nil, slices.Concat(ads1115Probe, []io{{b(1), b(0x04, 0x83)}}), "converting for another program"},
		{"no conversion", nil, slices.Concat(ads1115Probe, ads1115Shot(0xc387, 0)[:2], []io{{b(1), b(0xc3, 0x87)}}), "no conversion was begun"},
		{"stuck low later", nil, slices.Concat(ads1115Probe, ads1115Shot(0xc387, 0)[:6], []io{{b(1), b(0, 0)}}), "reads 0x0000"},
		{"stuck high later", nil, slices.Concat(ads1115Probe, ads1115Shot(0xc387, 0)[:6], []io{{b(1), b(0xff, 0xff)}}), "reads 0xffff"},
		{"ADS1115 as ADS1015", map[string]string{"model": "ads1015"}, slices.Concat(ads1115Probe, ads1115Shot(0xc307, 0x1234)[:5]), "give model=ads1115"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := sensortest.Driver(t, "ads1115")
			e := sensortest.New(t, d, tc.texts, "a0")
			p := playback(0x48, tc.ops)
			e.Bus = p
			_, _, err := sensortest.Read(t, d, e)
			reason := sensors.Identity
			if tc.name == "converting for others" {
				reason = sensors.Busy
			}
			isError(t, err, reason, tc.says)
			played(t, p)
		})
	}
}

func TestADS1115NeverReady(t *testing.T) {
	d := sensortest.Driver(t, "ads1115")
	e := sensortest.New(t, d, nil)
	regs := map[byte]uint16{1: 0x8583, 2: 0x8000, 3: 0x7fff}
	e.Bus = sensortest.WordRegisters(regs, func(reg byte, v uint16) {
		if v&0x8000 == 0 { // it powers down, and converts for ever when it is asked to
			regs[reg] = v | 0x8000
		} else {
			regs[reg] = v &^ 0x8000
		}
	})
	_, _, err := sensortest.Read(t, d, e)
	isError(t, err, sensors.NotReady, "channel a0: register 0x01: not ready after")
	if e.Waited() > 40*time.Millisecond {
		t.Errorf("it waits %v", e.Waited())
	}
}

func TestADS1115Rates(t *testing.T) {
	d := sensortest.Driver(t, "ads1115")
	for _, tc := range []struct {
		model, rate string
		ok          bool
	}{
		{"ads1115", "860", true}, {"ads1115", "1600", false}, {"ads1115", "0", false},
		{"ads1015", "1600", true}, {"ads1015", "860", false}, {"ads1015", "8", false},
	} {
		_, err := sensors.NewOptions(d, map[string]string{"model": tc.model, "rate": tc.rate})
		if (err == nil) != tc.ok {
			t.Errorf("rate %s of %s: error %v", tc.rate, tc.model, err)
		}
	}
}

func TestADS1115Cancelled(t *testing.T) {
	start := ads1115Shot(0xc387, 0x1000)[:3]
	cancelled(t, "ads1115", nil, 0, 0x48, ads1115Probe, start)
	cancelled(t, "ads1115", nil, 1, 0x48, ads1115Probe, start, []io{{b(1), b(0x43, 0x87)}})
	cancelled(t, "ads1115", nil, 1, 0x48, ads1115Probe, ads1115Shot(0xc387, 0x1000), ads1115Shot(0xd387, 0x1000)[:3])
}

func BenchmarkADS1115(bm *testing.B) {
	d := sensortest.Driver(bm, "ads1115")
	e := sensortest.New(bm, d, nil)
	p := playback(0x48, ads1115Probe,
		ads1115Shot(0xc387, 0x1000), ads1115Shot(0xd387, 0x2000), ads1115Shot(0xe387, 0x3000), ads1115Shot(0xf387, 0x4000))
	e.Bus = p
	sensortest.Bench(bm, d, e, func() { p.Count = len(ads1115Probe) })
}
