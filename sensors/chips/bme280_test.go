package chips

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/sensortest"
)

// The example of the BMP280 data sheet, section 3.12, as the chip holds it.
var (
	bmp280Calib = b(
		0x70, 0x6b, 0x43, 0x67, 0x18, 0xfc, // T1 27504, T2 26435, T3 -1000
		0x7d, 0x8e, 0x43, 0xd6, 0xd0, 0x0b, 0x27, 0x0b, 0x8c, 0x00, // P1 36477 … P5 140
		0xf9, 0xff, 0x8c, 0x3c, 0xf8, 0xc6, 0x70, 0x17, // P6 -7 … P9 6000
		0x00, 0x4b) // unused, H1 75
	// H2 361, H3 0, H4 325 = 0x145, H5 50 = 0x032, H6 30.
	bme280HumCalib = b(0x69, 0x01, 0x00, 0x14, 0x25, 0x03, 0x1e)
	bmp280Data     = b(0x65, 0x5a, 0xc0, 0x7e, 0xed, 0x00) // 415148, 519888
)

func bme280Probe(id byte) []io {
	ops := []io{
		{b(0xd0), b(id)},
		{b(0xe0, 0xb6), nil},
		{b(0xf3), b(0x01)}, // the calibration is being copied
		{b(0xf3), b(0x00)},
		{b(0x88), bmp280Calib},
		{b(0x88), bmp280Calib}, // it must be the same twice
	}
	if id == 0x60 {
		ops = append(ops, io{b(0xe1), bme280HumCalib}, io{b(0xe1), bme280HumCalib})
	}
	return ops
}

// after is the answer to the burst from 0xF3.
func after(status, ctrl byte, data ...byte) []byte {
	return append(b(status, ctrl, 0x00, 0x00), data...)
}

func TestBMP280(t *testing.T) {
	d := sensortest.Driver(t, "bme280")
	for _, id := range []byte{0x58, 0x57, 0x56} {
		e := sensortest.New(t, d, nil)
		p := playback(0x76, bme280Probe(id), []io{
			{b(0xf4, 0x25), nil}, // one sample of each, forced
			{b(0xf4), b(0x25)},
			{b(0xf3), after(0x08, 0x25, bmp280Data...)},
			{b(0xf3), after(0x00, 0x24, bmp280Data...)}, // asleep
			{b(0xf3), after(0x00, 0x24, bmp280Data...)}, // and the same twice
		})
		e.Bus = p
		got, failures, err := sensortest.Read(t, d, e)
		if err != nil || len(failures) > 0 || len(got) != 2 {
			t.Fatalf("ID 0x%02x: %d readings, failures %v, error %v", id, len(got), failures, err)
		}
		near(t, "temperature", sensortest.Value(t, got, sensors.Temperature), 25.08, 0)
		near(t, "pressure", sensortest.Value(t, got, sensors.Pressure), 100653.25, 0.01)
		played(t, p)
		// 2 ms of start-up, after the reset again, and once more for the
		// calibration; then section 3.8.1's maximum for one sample, 6.4 ms,
		// and one step more.
		if want := []time.Duration{2 * time.Millisecond, 2 * time.Millisecond, 2 * time.Millisecond, 6425 * time.Microsecond, 2 * time.Millisecond}; !slices.Equal(e.Waits, want) {
			t.Errorf("it waits %v, want %v", e.Waits, want)
		}
	}
}

func TestBME280(t *testing.T) {
	d := sensortest.Driver(t, "bme280")
	for _, tc := range []struct {
		oversampling string
		hum, ctrl    byte
		wait         time.Duration // section 9.1, the maximum
	}{
		{"1", 1, 0x25, 9300 * time.Microsecond},
		{"2", 2, 0x49, 16200 * time.Microsecond},
		{"4", 3, 0x6d, 30 * time.Millisecond},
		{"8", 4, 0x91, 57600 * time.Microsecond},
		{"16", 5, 0xb5, 112800 * time.Microsecond},
	} {
		e := sensortest.New(t, d, map[string]string{"addr": "0x77", "oversampling": tc.oversampling})
		result := io{b(0xf3), after(0x00, tc.ctrl&^3, append(bytes.Clone(bmp280Data), 0x6e, 0x00)...)}
		sense := []io{
			{b(0xf2, tc.hum), nil}, // before ctrl_meas, each time
			{b(0xf4, tc.ctrl), nil},
			{b(0xf4), b(tc.ctrl)},
			result, result,
		}
		p := playback(0x77, bme280Probe(0x60), sense, sense)
		e.Bus = p
		s, err := d.New(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			e.Waits = nil
			got, failures, err := sensortest.Sense(t.Context(), t, d, s)
			if err != nil || len(failures) > 0 || len(got) != 3 {
				t.Fatalf("oversampling %s: %d readings, failures %v, error %v", tc.oversampling, len(got), failures, err)
			}
			near(t, "temperature", sensortest.Value(t, got, sensors.Temperature), 25.08, 0)
			near(t, "pressure", sensortest.Value(t, got, sensors.Pressure), 100653.25, 0.01)
			near(t, "humidity", sensortest.Value(t, got, sensors.Humidity), 0.4035, 0.0001)
			if want := tc.wait; total(e.Waits) != want {
				t.Errorf("oversampling %s: it waits %v, want %v", tc.oversampling, e.Waits, want)
			}
		}
		played(t, p)
	}
}

// TestBME280HumidityWords holds the calibration's packing against values with
// the sign bits of H2, H4, H5 and H6 set.
func TestBME280HumidityWords(t *testing.T) {
	for _, tc := range []struct {
		p              []byte
		h2, h4, h5, h6 int
		h3             byte
	}{
		{bme280HumCalib, 361, 325, 50, 30, 0},
		{b(0xff, 0xff, 0x12, 0x80, 0x10, 0x80, 0x80), -1, -2048, -2047, -128, 0x12},
		{b(0x00, 0x80, 0xff, 0x7f, 0xff, 0x7f, 0x7f), -32768, 2047, 2047, 127, 0xff},
		{b(0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff), 0, -1, -1, -1, 0},
	} {
		var c bme280Calibration
		c.loadHumidity(tc.p)
		if int(c.h2) != tc.h2 || int(c.h4) != tc.h4 || int(c.h5) != tc.h5 || int(c.h6) != tc.h6 || c.h3 != tc.h3 {
			t.Errorf("% x is read as %+v", tc.p, c)
		}
	}
}

// TestBME280HumidityFloat holds the integer formula against the data sheet's
// other one, in floating point (section 8.1), over the whole range.
func TestBME280HumidityFloat(t *testing.T) {
	var c bme280Calibration
	c.load(bmp280Calib)
	c.loadHumidity(bme280HumCalib)
	for adcT := int32(400000); adcT <= 650000; adcT += 10000 {
		celsius, fine := c.temperature(adcT)
		for adcH := int32(15000); adcH < 50000; adcH += 500 {
			h := float64(fine) - 76800
			h = (float64(adcH) - (float64(c.h4)*64 + float64(c.h5)/16384*h)) *
				(float64(c.h2) / 65536 * (1 + float64(c.h6)/67108864*h*(1+float64(c.h3)/67108864*h)))
			h *= 1 - float64(c.h1)*h/524288
			near(t, "humidity", c.humidity(adcH, fine), h/100, 0.0002*max(1, math.Abs(h)/100))
		}
		if celsius < -40 || celsius > 85 {
			t.Errorf("adc_T %d is %v °C: choose a range that the chip has", adcT, celsius)
		}
	}
}

func TestBME280Errors(t *testing.T) {
	ok := after(0x00, 0x24, append(bytes.Clone(bmp280Data), 0x6e, 0x00)...)
	with := func(at int, v ...byte) []byte {
		p := bytes.Clone(ok)
		copy(p[at:], v)
		return p
	}
	probe := bme280Probe(0x60)
	sense := func(answers ...[]byte) []io {
		ops := slices.Concat(probe, []io{{b(0xf2, 0x01), nil}, {b(0xf4, 0x25), nil}, {b(0xf4), b(0x25)}})
		for _, a := range answers {
			ops = append(ops, io{b(0xf3), a})
		}
		return ops
	}
	twice := func(answer []byte) []io { return sense(answer, answer) }
	calib := func(at int, v ...byte) []byte {
		p := bytes.Clone(bmp280Calib)
		copy(p[at:], v)
		return p
	}
	for _, tc := range []struct {
		name   string
		ops    []io
		reason sensors.Reason
		says   string
	}{
		{"BMP180", []io{{b(0xd0), b(0x55)}}, sensors.Identity, "looks like a BMP180"},
		{"BME680", []io{{b(0xd0), b(0x61)}}, sensors.Identity, "looks like a BME680"},
		{"stuck low", []io{{b(0xd0), b(0x00)}}, sensors.Identity, "the bus is stuck"},
		{"stuck high", []io{{b(0xd0), b(0xff)}}, sensors.Identity, "the bus is stuck"},
		{"a stranger", []io{{b(0xd0), b(0x42)}}, sensors.Identity, "0x42"},
		{"empty calibration", twoOf(probe[:4], io{b(0x88), make([]byte, 26)}), sensors.Identity, "the calibration reads 0x00"},
		{"blank calibration", twoOf(probe[:4], io{b(0x88), append(bytes.Repeat(b(0xff), 25), 0)}), sensors.Identity, "the calibration reads 0xff"},
		{"no T1", twoOf(probe[:4], io{b(0x88), calib(0, 0, 0)}), sensors.Identity, "T1 0"},
		{"no P1", twoOf(probe[:4], io{b(0x88), calib(6, 0, 0)}), sensors.Identity, "P1 0"},
		{"blank humidity", twoOf(probe[:6], io{b(0xe1), bytes.Repeat(b(0xff), 7)}), sensors.Identity, "humidity"},
		{"calibration with a flipped bit", append(probe[:5:5], io{b(0x88), calib(2, 0x42)}), sensors.Checksum, "register 0x88 reads"},
		{"humidity's with a flipped bit", append(probe[:7:7], io{b(0xe1), append(b(0x68), bme280HumCalib[1:]...)}), sensors.Checksum, "register 0xe1 reads"},
		{"a result with a flipped bit", sense(with(5, 0x5b), ok), sensors.Checksum, "register 0xf3 reads"},
		{"another program's filter", sense(with(2, 0x10)), sensors.Identity, "another program"},
		{"no measurement", slices.Concat(probe, []io{{b(0xf2, 0x01), nil}, {b(0xf4, 0x25), nil}, {b(0xf4), b(0x24)}}), sensors.Identity, "no measurement was begun"},
		{"settings lost", sense(with(1, 0x00)), sensors.Identity, "lost its supply"},
		{"pressure not measured", twice(with(4, 0x80, 0, 0)), sensors.NotReady, "check its supply"},
		{"temperature not measured", twice(with(7, 0x80, 0, 0)), sensors.NotReady, "check its supply"},
		{"humidity not measured", twice(with(10, 0x80, 0)), sensors.NotReady, "check its supply"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := sensortest.Driver(t, "bme280")
			e := sensortest.New(t, d, nil)
			p := playback(0x76, tc.ops)
			e.Bus = p
			_, _, err := sensortest.Read(t, d, e)
			isError(t, err, tc.reason, tc.says)
			played(t, p)
		})
	}
}

// twoOf is ops and twice the same read.
func twoOf(ops []io, o io) []io { return slices.Concat(ops, []io{o, o}) }

// A pressure that can't be divided out is an error and no panic.
func TestBME280PressureWithoutScale(t *testing.T) {
	c := bme280Calibration{p1: 1, p2: -32768}
	_, err := c.pressure(415148, 128000+1<<20) // 2^47 - 2^20 * 2^15 * 2^12
	isError(t, err, sensors.OutOfRange, "can't be computed")
}

// Quantities of one measurement stand or fall together.
func TestBME280OutOfRange(t *testing.T) {
	d := sensortest.Driver(t, "bme280")
	for _, tc := range []struct {
		data []byte
		says string
	}{
		{b(0xff, 0xff, 0xf0, 0xff, 0xff, 0xf0, 0x6e, 0x00), "temperature of"},
		{b(0x65, 0x5a, 0xc0, 0xff, 0xff, 0xf0, 0x6e, 0x00), "temperature of"},
		{b(0xff, 0xff, 0xf0, 0x7e, 0xed, 0x00, 0x6e, 0x00), "pressure of"},
		{b(0x65, 0x5a, 0xc0, 0x7e, 0xed, 0x00, 0xff, 0xff), "humidity of"},
		{b(0x65, 0x5a, 0xc0, 0x7e, 0xed, 0x00, 0x00, 0x00), "humidity of"},
	} {
		e := sensortest.New(t, d, nil)
		result := io{b(0xf3), after(0x00, 0x24, tc.data...)}
		e.Bus = playback(0x76, bme280Probe(0x60), []io{{b(0xf2, 0x01), nil}, {b(0xf4, 0x25), nil}, {b(0xf4), b(0x25)}, result, result})
		_, _, err := sensortest.Read(t, d, e)
		isError(t, err, sensors.OutOfRange, tc.says)
	}
}

func TestBME280NeverReady(t *testing.T) {
	d := sensortest.Driver(t, "bme280")
	for name, ops := range map[string][]io{
		"measuring": append(bme280Probe(0x58), io{b(0xf4, 0x25), nil}, io{b(0xf4), b(0x25)}, io{b(0xf3), after(0x08, 0x25, bmp280Data...)}),
		"awake":     append(bme280Probe(0x58), io{b(0xf4, 0x25), nil}, io{b(0xf4), b(0x25)}, io{b(0xf3), after(0x00, 0x25, bmp280Data...)}),
		"copying":   bme280Probe(0x58)[:3],
	} {
		e := sensortest.New(t, d, nil)
		p := playback(0x76, ops)
		last := ops[len(ops)-1]
		e.Bus = sensortest.Chip(func(w, r []byte) error {
			if p.Count < len(p.Ops) {
				return p.Tx(0x76, w, r)
			}
			copy(r, last.r)
			return nil
		})
		_, _, err := sensortest.Read(t, d, e)
		isError(t, err, sensors.NotReady, "not ready after")
		if e.Waited() > 100*time.Millisecond {
			t.Errorf("%s: it waits %v", name, e.Waited())
		}
	}
}

func TestBME280Cancelled(t *testing.T) {
	probe := bme280Probe(0x58)
	cancelled(t, "bme280", nil, 0, 0x76)
	cancelled(t, "bme280", nil, 1, 0x76, probe[:2])
	cancelled(t, "bme280", nil, 2, 0x76, probe[:3])
	cancelled(t, "bme280", nil, 3, 0x76, probe, []io{{b(0xf4, 0x25), nil}, {b(0xf4), b(0x25)}})
	cancelled(t, "bme280", nil, 4, 0x76, probe, []io{{b(0xf4, 0x25), nil}, {b(0xf4), b(0x25)}, {b(0xf3), after(0x08, 0x25, bmp280Data...)}})
}

func BenchmarkBME280(bm *testing.B) {
	d := sensortest.Driver(bm, "bme280")
	e := sensortest.New(bm, d, nil)
	result := io{b(0xf3), after(0x00, 0x24, append(bytes.Clone(bmp280Data), 0x6e, 0x00)...)}
	ops := append(bme280Probe(0x60), io{b(0xf2, 0x01), nil}, io{b(0xf4, 0x25), nil}, io{b(0xf4), b(0x25)}, result, result)
	p := playback(0x76, ops)
	e.Bus = p
	sensortest.Bench(bm, d, e, func() { p.Count = len(ops) - 5 })
}

// A bus on which a transaction takes longer than a measurement never shows the
// chip awake: then it is emptied first.
func TestBME280OnASlowBus(t *testing.T) {
	begin, asleep := []io{{b(0xf2, 0x01), nil}, {b(0xf4, 0x25), nil}}, io{b(0xf4), b(0x24)}
	late := seq(begin, []io{asleep})
	reset := []io{{b(0xe0, 0xb6), nil}, {b(0xf3), b(0x00)}}
	empty, full := io{b(0xf7), b(0x80, 0, 0, 0x80, 0, 0, 0x80, 0)}, append(bytes.Clone(bmp280Data), 0x6e, 0x00)
	result := func(data []byte) []io { return twice(io{b(0xf3), after(0x00, 0x24, data...)}) }
	for _, tc := range []struct {
		name string
		ops  []io
		says string
	}{
		{"seen the third time", seq(late, late, begin, []io{{b(0xf4), b(0x25)}}, result(full)), ""},
		{"never seen", seq(late, late, late, reset, []io{empty}, begin, result(full)), ""},
		{"and not reset", seq(late, late, late, reset, []io{{b(0xf7), full}}), "after a reset it holds the result 65 5a c0"},
		{"and not begun", seq(late, late, late, reset, []io{empty}, begin, result(empty.r)), "the chip has measured nothing"},
		{"another program's mode", seq(begin, []io{{b(0xf4), b(0x27)}}), "no measurement was begun"},
	} {
		d := sensortest.Driver(t, "bme280")
		e := sensortest.New(t, d, nil)
		p := playback(0x76, bme280Probe(0x60), tc.ops)
		e.Bus = sensortest.Chip(func(w, r []byte) error {
			e.NextWake(10 * time.Millisecond)
			return p.Tx(0x76, w, r)
		})
		got, _, err := sensortest.Read(t, d, e)
		played(t, p)
		switch {
		case tc.says != "":
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%s: %v", tc.name, err)
			}
		case err != nil:
			t.Errorf("%s: %v", tc.name, err)
		default:
			near(t, tc.name, sensortest.Value(t, got, sensors.Temperature), 25.08, 0)
		}
	}
}
