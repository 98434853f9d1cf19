package chips

import (
	"bytes"
	"testing"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/sensortest"
)

// The calibration of a real chip, which was published with what it measured:
// github.com/wrclark/bme680. That of its gas sensor is like a real one's.
var (
	bme680Calib1 = b( // from 0x8A
		0x97, 0x67, 0x03, 0x00, // T2 26519, T3 3
		0xc0, 0x88, 0xd4, 0xd7, 0x58, 0x00, 0xdc, 0x25, 0x36, 0xff, // P1 35008, P2 -10284, P3 88, P4 9692, P5 -202
		0x18, 0x1e, 0x00, 0x00, 0xfc, 0xfd, 0x73, 0xf2, 0x1e) // P7 24, P6 30, P8 -516, P9 -3469, P10 30
	bme680Calib2 = b( // from 0xE1
		0x3e, 0xfa, 0x31, // H2 1007, H1 794
		0x00, 0x2d, 0x14, 0x78, 0x9c, // H3 0, H4 45, H5 20, H6 120, H7 -100
		0x5b, 0x66, 0xaf, 0xe8, 0xe2, 0x12) // T1 26203, GH2 -5969, GH1 -30, GH3 18
	bme680Calib3 = b(0x2c, 0x00, 0x1f, 0x00, 0xd7) // heat value 44, heat range 1, range error -3
)

func bme680Calibrated() *bme680Calibration {
	var c bme680Calibration
	c.load(bytes.Join([][]byte{bme680Calib1, bme680Calib2, bme680Calib3}, nil))
	return &c
}

func bme680Probe(variant byte) []io {
	return seq(twice(io{b(0xd0), b(0x61)}), twice(io{b(0xf0), b(variant)}), []io{{b(0xe0, 0xb6), nil}},
		twice(io{b(0x8a), bme680Calib1}), twice(io{b(0xe1), bme680Calib2}), twice(io{b(0x00), bme680Calib3}))
}

// bme680Result is the field from 0x1D of a BME680 that has measured; gas are two
// bytes.
func bme680Result(adcT, adcP, adcH uint32, gas ...byte) []byte {
	p := b(0x80, 0x00,
		byte(adcP>>12), byte(adcP>>4), byte(adcP<<4), byte(adcT>>12), byte(adcT>>4), byte(adcT<<4), byte(adcH>>8), byte(adcH),
		0, 0, 0)
	return append(append(p, gas...), make([]byte, 17-len(p)-len(gas))...)
}

// bme680Settings are the registers from 0x5A.
func bme680Settings(heat, wait, run, osrs byte) []byte {
	p := make([]byte, 28)
	p[0], p[10], p[23], p[24], p[26] = heat, wait, run, osrs, osrs<<5|osrs<<2
	return p
}

// bme680Sense has measured in time, one sample each.
func bme680Sense(heat, wait, run byte, result []byte) []io {
	return seq([]io{
		{b(0x5a, heat, 0x64, wait, 0x70, 0x00, 0x71, run, 0x72, 0x01), nil},
		{b(0x74, 0x25), nil}, {b(0x74), b(0x25)},
	}, twice(io{b(0x1d), result}), []io{{b(0x5a), bme680Settings(heat, wait, run, 1)}})
}

// TestBME680 holds the compensation in floating point against the one in
// integers that Bosch publishes (BME68x_SensorAPI 4.4.5): the wanted values are
// computed by that, whose pressure is rounded on its way to 5 Pa. The first row
// is what the real chip gave by both: 22.7519 °C, 99711.8 Pa, 62.3145 % and
// 22.75 °C, 99708 Pa, 62.289 %.
func TestBME680(t *testing.T) {
	d := sensortest.Driver(t, "bme680")
	for _, tc := range []struct {
		adcT, adcP, adcH          uint32
		gas                       []byte
		celsius, pascals, percent float64
		ohms                      float64
		heat                      byte // at that temperature
	}{
		{491209, 332556, 24347, b(0x80, 0x34), 22.7519, 99711.8, 62.3145, 499500, 118},
		{491209, 332556, 24347, b(0x80, 0x34), 22.75, 99708, 62.289, 499500, 118},
		{484000, 350000, 20000, b(0x80, 0x37), 20.47, 96233, 35.468, 63004, 118},
		{350000, 300000, 15000, b(0x4b, 0x38), -21.89, 97841, 8.954, 37240, 117},
		{484000, 350000, 12700, b(0x00, 0x30), 20.47, 96233, 0, 13038131, 118},  // -0.017 %, cut
		{484000, 350000, 30100, b(0xff, 0xff), 20.47, 96233, 100, 176, 118},     // 103.2 %, cut
		{687000, 257000, 13000, b(0xe1, 0x3b), 84.68, 118126, 0.926, 3018, 121}, // too high a pressure: below
	} {
		e := sensortest.New(t, d, nil)
		result := bme680Result(tc.adcT, tc.adcP, tc.adcH, tc.gas...)
		p := playback(0x76, bme680Probe(0), bme680Sense(119, 0x65, 0x10, result), bme680Sense(tc.heat, 0x65, 0x10, result))
		e.Bus = p
		s, err := d.New(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		for _, when := range []string{"cold", "warm"} {
			e.Waits = nil
			got, failures, err := sensortest.Sense(t.Context(), t, d, s)
			if tc.pascals > 110_000 {
				isError(t, err, sensors.OutOfRange, "pressure of")
				break
			}
			if err != nil || len(failures) > 0 || len(got) != 4 {
				t.Fatalf("%s: %d readings, failures %v, error %v", when, len(got), failures, err)
			}
			near(t, when+": temperature", sensortest.Value(t, got, sensors.Temperature), tc.celsius, 0.005)
			near(t, when+": pressure", sensortest.Value(t, got, sensors.Pressure), tc.pascals, 5)
			near(t, when+": humidity", sensortest.Value(t, got, sensors.Humidity), tc.percent/100, 0.0003)
			near(t, when+": resistance", sensortest.Value(t, got, sensors.Resistance), tc.ohms, 0.003*tc.ohms)
			// 148 ms of heating, and 11.182 ms.
			if want := 159182 * time.Microsecond; total(e.Waits) != want {
				t.Errorf("%s: it waits %v, want %v", when, e.Waits, want)
			}
		}
		if tc.pascals < 110_000 {
			played(t, p)
		}
	}
}

func TestBME680Real(t *testing.T) {
	c := bme680Calibrated()
	celsius, fine := c.temperature(491209)
	near(t, "temperature", celsius, 22.7519, 0.0001)
	near(t, "pressure", c.pressure(332556, fine), 99711.8, 0.1)
	near(t, "humidity", c.humidity(24347, celsius), 0.623145, 1e-6)
}

func TestBME688(t *testing.T) {
	for _, tc := range []struct {
		gas  []byte
		ohms float64
	}{
		{b(0x00, 0x30), 102.4e6}, {b(0xff, 0xf0), 46.570e6}, {b(0x80, 0x34), 4e6}, {b(0xaf, 0x35), 1757.94e3},
		{b(0x4b, 0x38), 295.954e3}, {b(0x00, 0x3f), 3125}, {b(0xff, 0xff), 1421.21},
	} {
		result := bme680Result(484000, 350000, 20000, append(b(0xff, 0xff), tc.gas...)...)
		sense := func(heat byte) []io {
			return seq([]io{
				{b(0x5a, heat, 0x64, 0x59, 0x70, 0x00, 0x71, 0x20, 0x72, 0x05), nil},
				{b(0x74, 0xb5), nil}, {b(0x74), b(0xb5)},
				{b(0x1d), append(b(0x60), result[1:]...)}, // gas is measured
			}, twice(io{b(0x1d), result}), []io{{b(0x5a), bme680Settings(heat, 0x59, 0x20, 5)}})
		}
		d := sensortest.Driver(t, "bme688")
		e := sensortest.New(t, d, map[string]string{"addr": "0x77", "oversampling": "16", "heater-temperature": "200", "heater-duration": "103ms"})
		p := playback(0x77, bme680Probe(1), sense(87), sense(86))
		e.Bus = p
		s, err := d.New(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			e.Waits = nil
			got, failures, err := sensortest.Sense(t.Context(), t, d, s)
			if err != nil || len(failures) > 0 || len(got) != 4 {
				t.Fatalf("%d readings, failures %v, error %v", len(got), failures, err)
			}
			near(t, "resistance", sensortest.Value(t, got, sensors.Resistance), tc.ohms, 1e-5*tc.ohms)
			// 100 ms of heating, 99.517 ms, and one step more.
			if want := 204517 * time.Microsecond; total(e.Waits) != want {
				t.Errorf("it waits %v, want %v", e.Waits, want)
			}
		}
		played(t, p)
	}
}

// The integer formula for each range of a BME680's converter at its ends.
func TestBME680GasRanges(t *testing.T) {
	c := bme680Calibrated()
	for _, tc := range []struct {
		adc, scale int
		ohms       float64
	}{
		{0, 0, 13038131}, {1023, 0, 5773420}, {512, 4, 499500}, {700, 5, 217141}, {512, 7, 63004}, {300, 8, 37240},
		{100, 10, 11348}, {900, 11, 3018}, {512, 13, 977}, {0, 15, 398}, {1023, 15, 176},
	} {
		near(t, "resistance", c.gasLow(tc.adc, tc.scale), tc.ohms, max(0.5, 1e-5*tc.ohms))
	}
}

// What the heater is set to, computed apart by the data sheet's formula.
func TestBME680Heater(t *testing.T) {
	c := bme680Calibrated()
	for _, tc := range []struct {
		target, ambient float64
		code            byte
	}{
		{320, 25, 119}, {200, 25, 87}, {400, 25, 140}, {320, -40, 116}, {320, 85, 121}, {200, -40, 84}, {400, 85, 142}, {300, 21, 113},
	} {
		if got := c.heater(tc.target, tc.ambient); got != tc.code {
			t.Errorf("%v °C at %v °C: %d, want %d", tc.target, tc.ambient, got, tc.code)
		}
	}
	for _, tc := range []struct {
		ms, waits int
		code      byte
	}{
		{1, 1, 0x01}, {63, 63, 0x3f}, {64, 64, 0x50}, {100, 100, 0x59}, {150, 148, 0x65}, {255, 252, 0x7f}, {256, 256, 0x90}, {1023, 1008, 0xbf}, {1024, 1024, 0xd0}, {4032, 4032, 0xff},
	} {
		code, waits := bme680Wait(time.Duration(tc.ms) * time.Millisecond)
		if code != tc.code || waits != time.Duration(tc.waits)*time.Millisecond {
			t.Errorf("%d ms: 0x%02x and %v, want 0x%02x and %d ms", tc.ms, code, waits, tc.code, tc.waits)
		}
	}
}

// Where the gas wasn't measured the others stand.
func TestBME680WithoutGas(t *testing.T) {
	d := sensortest.Driver(t, "bme680")
	for _, tc := range []struct {
		gas  []byte
		says string
	}{
		{b(0x80, 0x14), "the gas wasn't measured"},
		{b(0x80, 0x24), "the heater didn't get to 320 °C"},
		{b(0x80, 0x04), "the gas wasn't measured"},
	} {
		e := sensortest.New(t, d, nil)
		p := playback(0x76, bme680Probe(0), bme680Sense(119, 0x65, 0x10, bme680Result(484000, 350000, 20000, tc.gas...)))
		e.Bus = p
		got, failures, err := sensortest.Read(t, d, e)
		if err != nil || len(got) != 3 || len(failures) != 1 {
			t.Fatalf("%d readings, failures %v, error %v", len(got), failures, err)
		}
		isError(t, failures[0].Err, sensors.NotReady, tc.says)
		near(t, "temperature", sensortest.Value(t, got, sensors.Temperature), 20.47, 0.005)
		played(t, p)
	}
}

func TestBME680Errors(t *testing.T) {
	result := bme680Result(484000, 350000, 20000, 0x80, 0x34)
	probe, good := bme680Probe(0), bme680Sense(119, 0x65, 0x10, result)
	measured := func(result []byte) []io { return seq(probe, bme680Sense(119, 0x65, 0x10, result)) }
	set := func(at int, v byte) []io {
		p := bme680Settings(119, 0x65, 0x10, 1)
		p[at] = v
		return seq(probe, good[:5], []io{{b(0x5a), p}})
	}
	noT1, noP1, other := bytes.Clone(bme680Calib2), bytes.Clone(bme680Calib1), bytes.Clone(bme680Calib3)
	copy(noT1[8:], b(0, 0))
	copy(noP1[4:], b(0, 0))
	other[4] ^= 0x10
	for _, tc := range []playedError{
		{ops: twice(io{b(0xd0), b(0x60)}), reason: sensors.Identity, says: "which the driver bme280 reads"},
		{ops: twice(io{b(0xd0), b(0x55)}), reason: sensors.Identity, says: "which the driver bmp180 reads"},
		{ops: twice(io{b(0xd0), b(0x00)}), reason: sensors.Identity, says: "the bus is stuck"},
		{ops: twice(io{b(0xd0), b(0x42)}), reason: sensors.Identity, says: "0x42, which neither"},
		{ops: seq(probe[:2], twice(io{b(0xf0), b(2)})), reason: sensors.Identity, says: "the chip's variant is 0x02"},
		{ops: seq(probe[:2], []io{{b(0xf0), b(1)}, {b(0xf0), b(0)}}), reason: sensors.Checksum, says: "register 0xf0 reads"},
		{ops: seq(probe[:5], twice(io{b(0x8a), make([]byte, 23)})), reason: sensors.Identity, says: "the calibration reads 0x00"},
		{ops: seq(probe[:10], []io{{b(0x00), other}}), reason: sensors.Checksum, says: "register 0x00 reads"},
		{ops: seq(probe[:7], twice(io{b(0xe1), noT1}), probe[9:]), reason: sensors.Identity, says: "the calibration has T1 0"},
		{ops: seq(probe[:5], twice(io{b(0x8a), noP1}), probe[7:]), reason: sensors.Identity, says: "P1 0, which no chip has"},
		{ops: seq(probe, good[:2], []io{{b(0x74), b(0x24)}}), reason: sensors.Identity, says: "no measurement was begun"},
		{ops: seq(probe, good[:4], []io{{b(0x1d), bme680Result(484000, 350000, 20001, 0x80, 0x34)}}), reason: sensors.Checksum, says: "register 0x1d reads"},
		{ops: measured(bme680Result(0x80000, 350000, 20000, 0x80, 0x34)), reason: sensors.NotReady, says: "measured nothing"},
		{ops: measured(bme680Result(484000, 0x80000, 20000, 0x80, 0x34)), reason: sensors.NotReady, says: "measured nothing"},
		{ops: measured(bme680Result(484000, 350000, 0x8000, 0x80, 0x34)), reason: sensors.NotReady, says: "measured nothing"},
		{ops: measured(bme680Result(690000, 350000, 20000, 0x80, 0x34)), reason: sensors.OutOfRange, says: "temperature of"},
		{ops: measured(bme680Result(484000, 0xfffff, 20000, 0x80, 0x34)), reason: sensors.OutOfRange, says: "pressure of"},
		{ops: measured(bme680Result(484000, 350000, 40000, 0x80, 0x34)), reason: sensors.OutOfRange, says: "humidity of"},
		{ops: set(0, 118), reason: sensors.Identity, says: "register 0x5a reads 0x76 and not the 0x77"},
		{ops: set(10, 0), reason: sensors.Identity, says: "register 0x64"},
		{ops: set(22, 0x08), reason: sensors.Identity, says: "register 0x70"},
		{ops: set(23, 0), reason: sensors.Identity, says: "register 0x71"},
		{ops: set(24, 2), reason: sensors.Identity, says: "register 0x72"},
		{ops: set(26, 0x25), reason: sensors.Identity, says: "register 0x74"},
		{ops: set(27, 0x08), reason: sensors.Identity, says: "register 0x75"},
	} {
		tc.driver, tc.addr = "bme680", 0x76
		tc.run(t)
	}
}

// A calibration that divides by zero gives no value.
func TestBME680PressureWithoutGain(t *testing.T) {
	c := bme680Calibrated()
	c.p1 = 0
	if p := c.pressure(350000, 100000); bme680Pressure.Check(p) == nil {
		t.Errorf("the pressure is %v", p)
	}
	if c.heater(1e9, 25) != 255 || c.heater(-1e9, 25) != 0 {
		t.Error("the heater's code is not limited")
	}
}

// Where the machine was too busy to see the measurement it is begun again, and
// one that never ends is given up.
func TestBME680Begins(t *testing.T) {
	d := sensortest.Driver(t, "bme680")
	result := bme680Result(484000, 350000, 20000, 0x80, 0x34)
	good := bme680Sense(119, 0x65, 0x10, result)
	begin := []io{{b(0x74, 0x25), nil}, {b(0x74), b(0x24)}}
	e := sensortest.New(t, d, nil)
	p := playback(0x76, bme680Probe(0), good[:1], begin, begin, good[1:])
	e.Bus = sensortest.Chip(func(w, r []byte) error {
		err := p.Tx(0x76, w, r)
		if len(w) == 2 && w[0] == 0x74 && p.Count < 18 {
			e.NextWake(time.Second)
		}
		return err
	})
	if got, _, err := sensortest.Read(t, d, e); err != nil || len(got) != 4 {
		t.Errorf("%d readings, error %v", len(got), err)
	}
	played(t, p)

	// Never seen in time.
	e = sensortest.New(t, d, nil)
	p = playback(0x76, bme680Probe(0), good[:1])
	e.Bus = sensortest.Chip(func(w, r []byte) error {
		if p.Count < len(p.Ops) {
			return p.Tx(0x76, w, r)
		}
		e.NextWake(time.Second)
		copy(r, b(0x24))
		return nil
	})
	_, _, err := sensortest.Read(t, d, e)
	isError(t, err, sensors.Identity, "ctrl_meas shows no measurement: each of 50 had ended")

	e = sensortest.New(t, d, nil)
	p = playback(0x76, bme680Probe(0), good[:3])
	e.Bus = sensortest.Chip(func(w, r []byte) error {
		if p.Count < len(p.Ops) {
			return p.Tx(0x76, w, r)
		}
		copy(r, append(b(0x60), result[1:]...))
		return nil
	})
	_, _, err = sensortest.Read(t, d, e)
	isError(t, err, sensors.NotReady, "not ready after")
	if e.Waited() > 400*time.Millisecond {
		t.Errorf("it waits %v", e.Waited())
	}
}

func TestBME680Cancelled(t *testing.T) {
	probe := bme680Probe(0)
	good := bme680Sense(119, 0x65, 0x10, nil)
	cancelled(t, "bme680", nil, 0, 0x76)
	cancelled(t, "bme680", nil, 1, 0x76, probe[:5])
	cancelled(t, "bme680", nil, 2, 0x76, probe, good[:3])
}

func BenchmarkBME680(bm *testing.B) {
	d := sensortest.Driver(bm, "bme680")
	e := sensortest.New(bm, d, nil)
	probe, result := bme680Probe(0), bme680Result(350000, 350000, 20000, 0x80, 0x34)
	first := bme680Sense(119, 0x65, 0x10, result)
	warm := bme680Sense(117, 0x65, 0x10, result)
	p := playback(0x76, probe, first, warm)
	e.Bus = p
	reads := 0
	sensortest.Bench(bm, d, e, func() {
		if reads++; reads > 1 { // the first takes another ambient temperature
			p.Count = len(p.Ops) - len(warm)
		}
	})
}
