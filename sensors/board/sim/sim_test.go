package sim

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
	"periph.io/x/conn/v3/i2c"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var _ board.Inspector = (*Board)(nil)

func newBoard(t testing.TB) (*Board, *alarm.Fake) {
	t.Helper()
	clock := alarm.NewFake(alarm.Instant(10*time.Hour), time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))
	b := New(clock, 1)
	clock.Advance(time.Minute)
	return b, clock
}

func openBus(t testing.TB, b *Board) i2c.BusCloser {
	t.Helper()
	bus, err := b.OpenBus(1)
	check(t, err)
	return bus
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// tx writes w and reads n bytes.
func tx(t testing.TB, bus i2c.Bus, addr uint16, n int, w ...byte) []byte {
	t.Helper()
	r := make([]byte, n)
	check(t, bus.Tx(addr, w, r))
	return r
}

func noAnswer(t testing.TB, bus i2c.Bus, addr uint16, n int, w ...byte) {
	t.Helper()
	err := bus.Tx(addr, w, make([]byte, n))
	if sensors.ReasonOf(err) != sensors.NoAnswer || !errors.Is(err, unix.EREMOTEIO) {
		t.Fatalf("% x at %#x: got %v, want no answer", w, addr, err)
	}
}

func exactly(v Values) func(sensors.Instant) Values {
	return func(sensors.Instant) Values { return v }
}

// The worked example of the BMP280's data sheet, section 3.12.
func TestCompensation(t *testing.T) {
	fine := fineTemperature(519888)
	if got := fine / 5120; math.Abs(got-25.08) > 0.005 {
		t.Errorf("temperature is %v, want 25.08", got)
	}
	if got := pressure(415148, fine); math.Abs(got-100653.27) > 0.02 {
		t.Errorf("pressure is %v, want 100653.27", got)
	}
}

func TestBME280(t *testing.T) {
	b, clock := newBoard(t)
	fine := fineTemperature(519888)
	b.SetValues(exactly(Values{GreenhouseTemperature: fine / 5120, Pressure: pressure(415148, fine), GreenhouseHumidity: humidity(30000, fine)}))
	bus := openBus(t, b)
	if id := tx(t, bus, BME280, 1, 0xd0); id[0] != 0x60 {
		t.Errorf("ID is % x", id)
	}
	// Table 16, little-endian: T1 27504, T2 26435, T3 -1000 and P1 36477.
	if got := tx(t, bus, BME280, 8, 0x88); string(got) != "\x70\x6b\x43\x67\x18\xfc\x7d\x8e" {
		t.Errorf("calibration begins % x", got)
	}
	if got := tx(t, bus, BME280, 7, 0xe1); string(got) != "\x6a\x01\x00\x13\x29\x03\x1e" {
		t.Errorf("humidity calibration is % x", got)
	}
	unmeasured := "\x80\x00\x00\x80\x00\x00\x80\x00"
	if got := tx(t, bus, BME280, 8, 0xf7); string(got) != unmeasured {
		t.Errorf("before any measurement: % x", got)
	}
	// ×16 of everything, forced.
	check(t, bus.Tx(BME280, []byte{0xf2, 5, 0xf4, 5<<5 | 5<<2 | 1}, nil))
	took := micros(1250 + 2300*16 + 2300*16 + 575 + 2300*16 + 575)
	clock.Advance(took - 1)
	if got := tx(t, bus, BME280, 1, 0xf3); got[0] != 1<<3 {
		t.Errorf("status while it measures: % x", got)
	}
	if got := tx(t, bus, BME280, 8, 0xf7); string(got) != unmeasured {
		t.Errorf("too early: % x", got)
	}
	clock.Advance(1)
	if got := tx(t, bus, BME280, 2, 0xf3); got[0] != 0 || got[1] != 5<<5|5<<2 {
		t.Errorf("status and ctrl_meas afterwards: % x, want asleep", got)
	}
	if got := tx(t, bus, BME280, 8, 0xf7); string(got) != "\x65\x5a\xc0\x7e\xed\x00\x75\x30" {
		t.Errorf("raw values % x, want 415148, 519888, 30000", got)
	}
	// Pressure and humidity skipped, temperature ×1: 16 bits.
	check(t, bus.Tx(BME280, []byte{0xf2, 0}, nil))
	check(t, bus.Tx(BME280, []byte{0xf4, 1<<5 | 2}, nil))
	clock.Advance(micros(1250 + 2300))
	if got := tx(t, bus, BME280, 8, 0xf7); string(got) != "\x80\x00\x00\x7e\xed\x00\x80\x00" {
		t.Errorf("temperature only: % x", got)
	}
	check(t, bus.Tx(BME280, []byte{0xe0, 0xb6}, nil))
	if got := tx(t, bus, BME280, 1, 0xf3); got[0] != 1 {
		t.Errorf("status after reset: % x, want im_update", got)
	}
	clock.Advance(2 * time.Millisecond)
	if got := tx(t, bus, BME280, 1, 0xf3); got[0] != 0 {
		t.Errorf("status 2 ms after reset: % x", got)
	}
}

// ctrl_hum counts only from the next write to ctrl_meas on: section 5.4.3.
func TestBME280HumidityIsLatched(t *testing.T) {
	b, clock := newBoard(t)
	bus := openBus(t, b)
	check(t, bus.Tx(BME280, []byte{0xf4, 1<<5 | 1<<2 | 1}, nil))
	check(t, bus.Tx(BME280, []byte{0xf2, 1}, nil))
	clock.Advance(time.Second)
	if got := tx(t, bus, BME280, 2, 0xfd); string(got) != "\x80\x00" {
		t.Errorf("humidity was measured: % x", got)
	}
	check(t, bus.Tx(BME280, []byte{0xf4, 1<<5 | 1<<2 | 3}, nil)) // normal mode
	clock.Advance(time.Second)
	first := tx(t, bus, BME280, 8, 0xf7)
	if string(first[6:]) == "\x80\x00" {
		t.Error("humidity was not measured")
	}
	clock.Advance(time.Hour)
	if got := tx(t, bus, BME280, 8, 0xf7); slices.Equal(got, first) {
		t.Error("normal mode has stopped measuring")
	}
}

func TestSHT4x(t *testing.T) {
	b, clock := newBoard(t)
	b.SetValues(exactly(Values{OfficeTemperature: -45 + 175*float64(0xbeef)/65535, OfficeHumidity: 50}))
	bus := openBus(t, b)
	noAnswer(t, bus, SHT4x, 6) // nothing to tell
	for command, takes := range map[byte]time.Duration{0xfd: micros(8300), 0xf6: micros(4500), 0xe0: micros(1600)} {
		check(t, bus.Tx(SHT4x, []byte{command}, nil))
		noAnswer(t, bus, SHT4x, 6)
		clock.Advance(takes - 1)
		noAnswer(t, bus, SHT4x, 6)
		clock.Advance(1)
		// The data sheet's checksum: BE EF gives 92. RH 50 % is 56/125 of 65535: 0x72b0.
		if got := tx(t, bus, SHT4x, 6); string(got[:5]) != "\xbe\xef\x92\x72\xb0" || got[5] != sensors.CRC8(0x31, 0xff, 0x72, 0xb0) {
			t.Errorf("%#x: % x", command, got)
		}
		noAnswer(t, bus, SHT4x, 6) // once only
	}
	noAnswer(t, bus, SHT4x, 0, 0x42)
	check(t, bus.Tx(SHT4x, []byte{0x89}, nil))
	clock.Advance(10 * time.Millisecond)
	if got := tx(t, bus, SHT4x, 6); got[0] != 0x0d || got[1] != 0x05 || got[3] != 0xe1 || got[4] != 0xa7 {
		t.Errorf("serial number % x", got)
	}
	check(t, bus.Tx(SHT4x, []byte{0x94}, nil))
	noAnswer(t, bus, SHT4x, 0, 0xfd)
	clock.Advance(time.Millisecond)
	check(t, bus.Tx(SHT4x, []byte{0xfd}, nil))
}

// The rows of SBOS397's tables 5 and 7.
func TestTMP102(t *testing.T) {
	for _, tt := range []struct {
		celsius       float64
		raw, extended uint16
	}{
		{150, 0x7ff0, 0x960<<3 | 1},
		{128, 0x7ff0, 0x800<<3 | 1},
		{127.9375, 0x7ff0, 0x7ff<<3 | 1},
		{25, 0x1900, 0x190<<3 | 1},
		{0, 0, 1},
		{-0.25, 0xffc0, 0x1ffc<<3&0xffff | 1},
		{-25, 0xe700, 0x1e70<<3&0xffff | 1},
		{-55, 0xc900, 0x1c90<<3&0xffff | 1},
	} {
		b, clock := newBoard(t)
		b.SetValues(exactly(Values{CellarTemperature: tt.celsius}))
		bus := openBus(t, b)
		if got := tx(t, bus, TMP102, 2, 1); string(got) != "\x60\xa0" {
			t.Errorf("configuration at power-up % x", got)
		}
		for _, mode := range []struct{ config, want uint16 }{{0x61a0, tt.raw}, {0x61b0, tt.extended}} {
			check(t, bus.Tx(TMP102, []byte{1, byte(mode.config >> 8), byte(mode.config)}, nil))
			if got := tx(t, bus, TMP102, 2, 1); binary.BigEndian.Uint16(got) != mode.config|0x8000 {
				t.Errorf("configuration in shutdown % x", got)
			}
			shot := mode.config | 0x8000
			check(t, bus.Tx(TMP102, []byte{1, byte(shot >> 8), byte(shot)}, nil))
			clock.Advance(tmpConversion - 1)
			if got := tx(t, bus, TMP102, 2, 1); binary.BigEndian.Uint16(got) != mode.config {
				t.Errorf("configuration while it converts % x", got)
			}
			clock.Advance(1)
			if got := tx(t, bus, TMP102, 2, 0); binary.BigEndian.Uint16(got) != mode.want {
				t.Errorf("%v °C reads % x, want %04x", tt.celsius, got, mode.want)
			}
		}
		if got := tx(t, bus, TMP102, 2, 2); string(got) != "\x4b\x00" {
			t.Errorf("T_LOW % x", got)
		}
		if got := tx(t, bus, TMP102, 2, 3); string(got) != "\x50\x00" {
			t.Errorf("T_HIGH % x", got)
		}
	}
}

func TestTMP102Continuous(t *testing.T) {
	b, clock := newBoard(t)
	b.SetValues(func(at sensors.Instant) Values {
		return Values{CellarTemperature: float64(at.Sub(b.start) / (250 * time.Millisecond) % 100)}
	})
	b.Insert(TMP102)
	begun := clock.Now().Sub(b.start) / (250 * time.Millisecond) % 100
	bus := openBus(t, b)
	clock.Advance(34 * time.Millisecond)
	if got := tx(t, bus, TMP102, 2, 0); string(got) != "\x00\x00" {
		t.Errorf("before the first conversion: % x", got)
	}
	for i := range 3 {
		clock.Advance(time.Millisecond)
		if got := tx(t, bus, TMP102, 2, 0); int(got[0]) != int(begun)+i {
			t.Errorf("conversion %d: % x, want %d", i, got, int(begun)+i)
		}
		clock.Advance(249 * time.Millisecond)
		if got := tx(t, bus, TMP102, 2, 0); int(got[0]) != int(begun)+i {
			t.Errorf("conversion %d, late: % x, want %d", i, got, int(begun)+i)
		}
	}
	check(t, bus.Tx(TMP102, []byte{3, 0x12, 0x37}, nil))
	if got := tx(t, bus, TMP102, 2, 3); string(got) != "\x12\x30" {
		t.Errorf("T_HIGH % x", got)
	}
}

func TestADS1115(t *testing.T) {
	b, clock := newBoard(t)
	b.SetValues(exactly(Values{Inputs: [4]float64{1.024, 2.048, -0.001, 0.5}}))
	bus := openBus(t, b)
	if got := tx(t, bus, ADS1115, 2, 1); string(got) != "\x85\x83" {
		t.Errorf("config at power-up % x", got)
	}
	for _, tt := range []struct {
		config uint16 // without OS
		want   int16
	}{
		{0x4383, 8192}, // AIN0 to ground, 4.096 V
		{0x4583, 16384},
		{0x5583, 32767},  // AIN1, 2.048 V: full scale
		{0x5783, 32767},  // beyond it
		{0x6b83, -128},   // AIN2, 0.256 V
		{0x0583, -16384}, // AIN0 - AIN1
		{0x1183, 2795},   // AIN0 - AIN3 = 0.524 V of 6.144 V
		{0x2783, 32767},
		{0x3b83, -32768}, // AIN2 - AIN3 = -0.501 V of 0.256 V
	} {
		check(t, bus.Tx(ADS1115, []byte{1, 0x80 | byte(tt.config>>8), byte(tt.config)}, nil))
		clock.Advance(micros(1.1e6/128) - 1)
		if got := tx(t, bus, ADS1115, 2, 1); binary.BigEndian.Uint16(got) != tt.config {
			t.Errorf("config while it converts % x, want %04x", got, tt.config)
		}
		before := tx(t, bus, ADS1115, 2, 0)
		clock.Advance(1)
		if got := tx(t, bus, ADS1115, 2, 1); binary.BigEndian.Uint16(got) != tt.config|0x8000 {
			t.Errorf("config afterwards % x", got)
		}
		got := int16(binary.BigEndian.Uint16(tx(t, bus, ADS1115, 2, 0)))
		if got != tt.want {
			t.Errorf("%04x: %d, want %d (before: % x)", tt.config, got, tt.want, before)
		}
	}
	// Slower, and continuous.
	check(t, bus.Tx(ADS1115, []byte{1, 0x42, 0x03}, nil))
	clock.Advance(micros(1.1e6 / 8))
	if got := tx(t, bus, ADS1115, 2, 0); string(got) != "\x20\x00" {
		t.Errorf("continuous: % x", got)
	}
	if got := tx(t, bus, ADS1115, 2, 2); string(got) != "\x80\x00" {
		t.Errorf("Lo_thresh % x", got)
	}
	if got := tx(t, bus, ADS1115, 2, 3); string(got) != "\x7f\xff" {
		t.Errorf("Hi_thresh % x", got)
	}
}

func TestBus(t *testing.T) {
	b, _ := newBoard(t)
	if _, err := b.OpenBus(3); !errors.Is(err, unix.ENOENT) || !strings.Contains(err.Error(), "buses here: 1") {
		t.Errorf("another bus: %v", err)
	}
	if buses, err := b.Buses(); err != nil || !slices.Equal(buses, []sensors.Bus{1}) {
		t.Errorf("Buses() = %v, %v", buses, err)
	}
	bus := openBus(t, b)
	noAnswer(t, bus, 0x77, 1, 0)
	if err := bus.Tx(BME280, nil, nil); err == nil {
		t.Error("an empty transaction has passed")
	}
	if err := bus.SetSpeed(1); err == nil {
		t.Error("the speed was set")
	}
	check(t, bus.Close())
	if err := bus.Tx(BME280, []byte{0xd0}, make([]byte, 1)); !errors.Is(err, unix.EBADF) {
		t.Errorf("after Close: %v", err)
	}
	if err := bus.Close(); !errors.Is(err, unix.EBADF) {
		t.Errorf("second Close: %v", err)
	}
}

func TestFaults(t *testing.T) {
	b, clock := newBoard(t)
	bus := openBus(t, b)
	measure := []byte{1, 0xe1, 0xa0}
	check(t, bus.Tx(TMP102, measure, nil))
	clock.Advance(time.Second)
	good := tx(t, bus, TMP102, 2, 0)

	b.SetFault(TMP102, Fault{Errno: unix.ETIMEDOUT})
	if err := bus.Tx(TMP102, []byte{0}, make([]byte, 2)); !errors.Is(err, unix.ETIMEDOUT) {
		t.Errorf("got %v, want ETIMEDOUT", err)
	}
	b.SetFault(TMP102, Fault{Corrupt: true})
	if got := tx(t, bus, TMP102, 2, 0); got[0] != good[0] || got[1] != good[1]^1 {
		t.Errorf("corrupt: % x of % x", got, good)
	}
	b.SetFault(TMP102, Fault{Stuck: true, Level: 0xff})
	if got := tx(t, bus, TMP102, 2, 0); string(got) != "\xff\xff" {
		t.Errorf("stuck chip: % x", got)
	}
	b.SetFault(TMP102, Fault{})
	if got := tx(t, bus, TMP102, 2, 0); !slices.Equal(got, good) {
		t.Errorf("mended: % x", got)
	}

	for _, level := range []byte{0x00, 0xff} {
		b.Stick(level)
		err := bus.Tx(TMP102, []byte{0}, make([]byte, 2))
		if sensors.ReasonOf(err) != sensors.Identity || !strings.Contains(err.Error(), "I2C bus 1 is stuck") {
			t.Errorf("stuck bus: %v", err)
		}
	}
	b.Unstick()

	b.Remove(TMP102)
	noAnswer(t, bus, TMP102, 2, 0)
	b.Insert(TMP102)
	if got := tx(t, bus, TMP102, 2, 1); string(got) != "\x60\xa0" {
		t.Errorf("put back, it still knows % x", got)
	}
	defer func() {
		if recover() == nil {
			t.Error("no panic for a chip that isn't there")
		}
	}()
	b.Remove(0x77)
}

func TestSuppliedChip(t *testing.T) {
	for _, activeLow := range []bool{false, true} {
		b, _ := newBoard(t)
		b.Power(TMP102, 17, activeLow)
		bus := openBus(t, b)
		noAnswer(t, bus, TMP102, 2, 1)
		l := openLine(t, b, "GPIO17", sensors.LineConfig{Output: true, Active: true, ActiveLow: activeLow})
		if high, driven := b.Output(17); high == activeLow || !driven {
			t.Errorf("output %t, %t", high, driven)
		}
		check(t, bus.Tx(TMP102, []byte{1, 0x61, 0xa0}, nil))
		check(t, l.SetActive(false))
		noAnswer(t, bus, TMP102, 2, 1)
		check(t, l.SetActive(true))
		if got := tx(t, bus, TMP102, 2, 1); string(got) != "\x60\xa0" {
			t.Errorf("powered up again, it still knows % x", got)
		}
		check(t, l.Close())
		noAnswer(t, bus, TMP102, 2, 1)
		if _, driven := b.Output(17); driven {
			t.Error("driven by nobody")
		}
	}
}

// The same seed gives the same world, another seed another, and it moves
// slowly within what is plausible.
func TestWorld(t *testing.T) {
	a, b, other := world{1}, world{1}, world{2}
	differs := false
	for at := sensors.Instant(0); at < sensors.Instant(3*24*time.Hour); at = at.Add(time.Minute) {
		v := a.at(at)
		if v != b.at(at) {
			t.Fatalf("at %d the same seed differs", at)
		}
		differs = differs || v != other.at(at)
		in := func(name string, v, low, high float64) {
			if v < low || v > high {
				t.Errorf("%s is %v", name, v)
			}
		}
		in("greenhouse", v.GreenhouseTemperature, 12, 26)
		in("greenhouse's humidity", v.GreenhouseHumidity, 48, 83)
		in("pressure", v.Pressure, 100000, 102500)
		in("office", v.OfficeTemperature, 19, 24)
		in("office's humidity", v.OfficeHumidity, 36, 52)
		in("cellar", v.CellarTemperature, 8, 12)
		in("pond", v.PondTemperature, 9, 13)
		in("processor", v.ProcessorTemperature, 40, 60)
		for i, volts := range v.Inputs {
			in("input", volts, 0, 3.3)
			if next := a.at(at.Add(time.Second)).Inputs[i]; math.Abs(next-volts) > 0.02 {
				t.Errorf("input %d jumps from %v to %v in a second", i, volts, next)
			}
		}
		if next := a.at(at.Add(time.Second)).GreenhouseTemperature; math.Abs(next-v.GreenhouseTemperature) > 0.02 {
			t.Errorf("the greenhouse jumps to %v", next)
		}
	}
	if !differs {
		t.Error("the seed decides nothing")
	}
}

func openLine(t testing.TB, b *Board, name string, c sensors.LineConfig) sensors.Line {
	t.Helper()
	ref, err := sensors.ParseLine(name)
	check(t, err)
	l, err := b.OpenLine(ref, c, "test")
	check(t, err)
	return l
}

func TestLines(t *testing.T) {
	b, _ := newBoard(t)
	ref := func(s string) sensors.LineRef {
		r, err := sensors.ParseLine(s)
		check(t, err)
		return r
	}
	held := openLine(t, b, "GPIO17", sensors.LineConfig{})
	b.Hold(18, "fan")
	for _, tt := range []struct {
		line  string
		c     sensors.LineConfig
		errno unix.Errno
		want  string
	}{
		{"BOARD11", sensors.LineConfig{}, unix.EBUSY, `GPIO17 (pin 11) is held by "test"`},
		{"gpiochip0:17", sensors.LineConfig{}, unix.EBUSY, `is held by "test"`},
		{"pinctrl-bcm2835:18", sensors.LineConfig{}, unix.EBUSY, `is held by "fan"`},
		{"GPIO2", sensors.LineConfig{}, unix.EBUSY, `is held by "I2C bus 1"`},
		{"ID_SCL", sensors.LineConfig{}, unix.EPERM, "GPIO4 to GPIO27 can be wired"},
		{"GPIO28", sensors.LineConfig{}, unix.EPERM, "GPIO4 to GPIO27 can be wired"},
		{"GPIO54", sensors.LineConfig{}, 0, "54 lines, 0 to 53"},
		{"gpiochip1:3", sensors.LineConfig{}, 0, "no chip gpiochip1"},
		{"LED", sensors.LineConfig{}, 0, "no line has the name LED"},
		{"GPIO5", sensors.LineConfig{Output: true, Edges: sensors.BothEdges}, 0, "an output has no edges"},
	} {
		_, err := b.OpenLine(ref(tt.line), tt.c, "x")
		if err == nil || !strings.Contains(err.Error(), tt.want) || tt.errno != 0 && !errors.Is(err, tt.errno) {
			t.Errorf("%s: got %v, want %q", tt.line, err, tt.want)
		}
	}
	info, err := b.LineInfo(ref("GPIO17"))
	if want := (board.LineInfo{Chip: "gpiochip0 (pinctrl-bcm2835)", Offset: 17, Name: "GPIO17", Held: true, Consumer: "test"}); err != nil || info != want {
		t.Errorf("LineInfo = %+v, %v", info, err)
	}
	if _, err := b.LineInfo(ref("GPIO55")); err == nil {
		t.Error("LineInfo of no line")
	}
	if err := held.SetActive(true); err == nil || !strings.Contains(err.Error(), "is an input") {
		t.Errorf("an input was driven: %v", err)
	}
	check(t, held.Close())
	for name, err := range map[string]error{"Close": held.Close(), "SetActive": held.SetActive(true), "WaitEdge": held.WaitEdge(t.Context())} {
		if !errors.Is(err, unix.EBADF) {
			t.Errorf("%s of a closed line: %v", name, err)
		}
	}
	b.Release(18)
	out := openLine(t, b, "18", sensors.LineConfig{Output: true})
	b.LoseLines(true)
	if _, err := out.Active(); !errors.Is(err, unix.ENODEV) || !strings.Contains(err.Error(), "went away") {
		t.Errorf("a lost line: %v", err)
	}
	if _, err := out.Edges(nil); !errors.Is(err, unix.ENODEV) {
		t.Errorf("edges of a lost line: %v", err)
	}
	if _, err := b.OpenLine(ref("18"), sensors.LineConfig{}, "x"); !errors.Is(err, unix.ENOENT) {
		t.Errorf("open without a header: %v", err)
	}
	b.LoseLines(false)
	check(t, out.Close())
	check(t, openLine(t, b, "18", sensors.LineConfig{}).Close())
}

func TestInputFollowsItsPull(t *testing.T) {
	b, _ := newBoard(t)
	for _, tt := range []struct {
		bias      sensors.Bias
		activeLow bool
		want      bool
	}{
		{sensors.PullUp, false, true}, {sensors.PullUp, true, false},
		{sensors.PullDown, false, false}, {sensors.PullDown, true, true},
	} {
		l := openLine(t, b, "GPIO5", sensors.LineConfig{Bias: tt.bias, ActiveLow: tt.activeLow})
		if got, err := l.Active(); err != nil || got != tt.want {
			t.Errorf("%+v: %t, %v", tt, got, err)
		}
		check(t, l.Close())
	}
}

func TestEdgesBySetInput(t *testing.T) {
	b, clock := newBoard(t)
	l := openLine(t, b, "GPIO5", sensors.LineConfig{Bias: sensors.PullUp, ActiveLow: true, Edges: sensors.RisingEdge})
	for range 20 {
		b.SetInput(5, false)
		b.SetInput(5, false) // no change, no edge
		clock.Advance(time.Second)
		b.SetInput(5, true)
	}
	edges, err := l.Edges(nil)
	check(t, err)
	if len(edges) != 16 || edges[0].Seq != 5 || edges[15].Seq != 20 || !edges[15].Active || edges[15].At != clock.Now().Add(-time.Second) {
		t.Errorf("got %d edges: %+v", len(edges), edges)
	}
	if again, err := l.Edges(edges[:0]); err != nil || len(again) != 0 {
		t.Errorf("drained twice: %+v, %v", again, err)
	}
	check(t, l.Close())
}

// What the script did between two looks is the same however often one looks.
func TestScriptedEdges(t *testing.T) {
	for _, line := range []struct {
		bcm  string
		span time.Duration // not more edges than a buffer of 1024 keeps
	}{{"GPIO22", 40 * time.Minute}, {"GPIO23", time.Hour}, {"GPIO24", 20 * time.Minute}, {"GPIO25", 10 * time.Minute}, {"GPIO16", 10 * time.Hour}, {"GPIO26", time.Minute}, {"GPIO27", time.Hour}} {
		config := sensors.LineConfig{Bias: sensors.PullUp, ActiveLow: line.bcm != "GPIO23", Edges: sensors.BothEdges, Buffer: 1024}
		var often, once []sensors.Edge
		for _, steps := range []int{1, 60} {
			b, clock := newBoard(t)
			l := openLine(t, b, line.bcm, config)
			begin := clock.Now()
			active, err := l.Active()
			check(t, err)
			var edges []sensors.Edge
			for range steps {
				clock.Advance(line.span / time.Duration(steps))
				edges, err = l.Edges(edges)
				check(t, err)
				now, err := l.Active()
				check(t, err)
				if n := len(edges); n > 0 && edges[n-1].Active != now {
					t.Fatalf("%s: the level isn't that of the last edge", line.bcm)
				}
			}
			last := begin
			for i, e := range edges {
				if e.Seq != uint32(i+1) || !e.At.After(last) || e.At.After(clock.Now()) || e.Active == active {
					t.Fatalf("%s: edge %d is %+v", line.bcm, i, e)
				}
				last, active = e.At, e.Active
			}
			if steps == 1 {
				once = edges
			} else {
				often = edges
			}
			check(t, l.Close())
		}
		if len(once) < 4 || !slices.Equal(once, often) {
			t.Errorf("%s: %d edges in one look, %d in many", line.bcm, len(once), len(often))
		}
	}
}

func TestPulsesAreCountedBeyondTheBuffer(t *testing.T) {
	config := sensors.LineConfig{ActiveLow: true, Edges: sensors.RisingEdge}
	b, clock := newBoard(t)
	all := config
	all.Buffer = 1024
	l := openLine(t, b, "GPIO26", all)
	clock.Advance(time.Minute)
	every, err := l.Edges(nil)
	check(t, err)
	check(t, l.Close())

	b, clock = newBoard(t)
	l = openLine(t, b, "GPIO26", config)
	clock.Advance(time.Minute)
	latest, err := l.Edges(nil)
	check(t, err)
	if n := len(every); n < 100 || !slices.Equal(latest, every[n-16:]) {
		t.Errorf("%d edges, the latest %d aren't the last 16", n, len(latest))
	}
	check(t, l.Close())

	b, clock = newBoard(t)
	config.Debounce = 20 * time.Millisecond // longer than the pulses
	l = openLine(t, b, "GPIO26", config)
	clock.Advance(time.Minute)
	if edges, err := l.Edges(nil); err != nil || len(edges) != 0 {
		t.Errorf("debounced: %d edges, %v", len(edges), err)
	}
	check(t, l.Close())
}

func TestWaitEdge(t *testing.T) {
	b, clock := newBoard(t)
	l := openLine(t, b, "GPIO27", sensors.LineConfig{Bias: sensors.PullUp, ActiveLow: true, Edges: sensors.BothEdges})
	done := make(chan error)
	wait := func(ctx context.Context) { done <- l.WaitEdge(ctx) }

	go wait(t.Context())
	for clock.Now() < sensors.Instant(20*time.Hour) {
		next, ok := clock.Next()
		if !ok {
			select {
			case err := <-done:
				check(t, err)
			default:
				continue
			}
			break
		}
		clock.Advance(next.Sub(clock.Now()))
	}
	edges, err := l.Edges(nil)
	check(t, err)
	if len(edges) != 1 || edges[0].At != clock.Now() {
		t.Fatalf("woke at %d for %+v", clock.Now(), edges)
	}

	ctx, cancel := context.WithCancel(t.Context())
	go wait(ctx)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}

	active, err := l.Active()
	check(t, err)
	go wait(t.Context())
	awaitSleeper(clock)
	b.SetInput(27, active) // active-low: the other level
	check(t, <-done)
	if edges, err = l.Edges(edges[:0]); err != nil || len(edges) != 1 {
		t.Errorf("after SetInput: %+v, %v", edges, err)
	}

	go wait(t.Context())
	awaitSleeper(clock)
	check(t, l.Close())
	if err := <-done; !errors.Is(err, unix.EBADF) {
		t.Errorf("closed meanwhile: %v", err)
	}
}

func awaitSleeper(clock *alarm.Fake) {
	for {
		if _, ok := clock.Next(); ok {
			return
		}
	}
}
