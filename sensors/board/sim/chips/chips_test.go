package chips

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/crc"
	"golang.org/x/sys/unix"
)

func newChip(t testing.TB, model string, w World) (*Device, *alarm.Fake) {
	t.Helper()
	clock := alarm.NewFake(alarm.Instant(10*time.Hour), time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))
	return NewDevice(model, clock.Now, w), clock
}

// exactly is a World that doesn't change.
func exactly(values map[string]float64) World {
	return func(_ sensors.Instant, what string) float64 { return values[what] }
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// tx writes w and reads n bytes.
func tx(t testing.TB, chip *Device, n int, w ...byte) []byte {
	t.Helper()
	r := make([]byte, n)
	check(t, chip.Tx(0, w, r))
	return r
}

func noAnswer(t testing.TB, chip *Device, n int, w ...byte) {
	t.Helper()
	if err := chip.Tx(0, w, make([]byte, n)); !errors.Is(err, unix.EREMOTEIO) {
		t.Fatalf("% x: got %v, want no answer", w, err)
	}
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
	fine := fineTemperature(519888)
	chip, clock := newChip(t, "bme280", exactly(map[string]float64{"temperature": fine / 5120, "pressure": pressure(415148, fine), "humidity": humidity(30000, fine) / 100}))
	if id := tx(t, chip, 1, 0xd0); id[0] != 0x60 {
		t.Errorf("ID is % x", id)
	}
	// Table 16, little-endian: T1 27504, T2 26435, T3 -1000 and P1 36477.
	if got := tx(t, chip, 8, 0x88); string(got) != "\x70\x6b\x43\x67\x18\xfc\x7d\x8e" {
		t.Errorf("calibration begins % x", got)
	}
	if got := tx(t, chip, 7, 0xe1); string(got) != "\x6a\x01\x00\x13\x29\x03\x1e" {
		t.Errorf("humidity calibration is % x", got)
	}
	unmeasured := "\x80\x00\x00\x80\x00\x00\x80\x00"
	if got := tx(t, chip, 8, 0xf7); string(got) != unmeasured {
		t.Errorf("before any measurement: % x", got)
	}
	// ×16 of everything, forced.
	check(t, chip.Tx(0, []byte{0xf2, 5, 0xf4, 5<<5 | 5<<2 | 1}, nil))
	took := micros(1250 + 2300*16 + 2300*16 + 575 + 2300*16 + 575)
	clock.Advance(took - 1)
	if got := tx(t, chip, 1, 0xf3); got[0] != 1<<3 {
		t.Errorf("status while it measures: % x", got)
	}
	if got := tx(t, chip, 8, 0xf7); string(got) != unmeasured {
		t.Errorf("too early: % x", got)
	}
	clock.Advance(1)
	if got := tx(t, chip, 2, 0xf3); got[0] != 0 || got[1] != 5<<5|5<<2 {
		t.Errorf("status and ctrl_meas afterwards: % x, want asleep", got)
	}
	if got := tx(t, chip, 8, 0xf7); string(got) != "\x65\x5a\xc0\x7e\xed\x00\x75\x30" {
		t.Errorf("raw values % x, want 415148, 519888, 30000", got)
	}
	// Pressure and humidity skipped, temperature ×1: 16 bits.
	check(t, chip.Tx(0, []byte{0xf2, 0}, nil))
	check(t, chip.Tx(0, []byte{0xf4, 1<<5 | 2}, nil))
	clock.Advance(micros(1250 + 2300))
	if got := tx(t, chip, 8, 0xf7); string(got) != "\x80\x00\x00\x7e\xed\x00\x80\x00" {
		t.Errorf("temperature only: % x", got)
	}
	check(t, chip.Tx(0, []byte{0xe0, 0xb6}, nil))
	if got := tx(t, chip, 1, 0xf3); got[0] != 1 {
		t.Errorf("status after reset: % x, want im_update", got)
	}
	clock.Advance(2 * time.Millisecond)
	if got := tx(t, chip, 1, 0xf3); got[0] != 0 {
		t.Errorf("status 2 ms after reset: % x", got)
	}
}

// ctrl_hum counts only from the next write to ctrl_meas on: section 5.4.3.
func TestBME280HumidityIsLatched(t *testing.T) {
	chip, clock := newChip(t, "bme280", func(at sensors.Instant, what string) float64 {
		return map[string]float64{"temperature": 20 + math.Sin(float64(at)/1e12), "pressure": 1e5, "humidity": 0.5}[what]
	})
	check(t, chip.Tx(0, []byte{0xf4, 1<<5 | 1<<2 | 1}, nil))
	check(t, chip.Tx(0, []byte{0xf2, 1}, nil))
	clock.Advance(time.Second)
	if got := tx(t, chip, 2, 0xfd); string(got) != "\x80\x00" {
		t.Errorf("humidity was measured: % x", got)
	}
	check(t, chip.Tx(0, []byte{0xf4, 1<<5 | 1<<2 | 3}, nil)) // normal mode
	clock.Advance(time.Second)
	first := tx(t, chip, 8, 0xf7)
	if string(first[6:]) == "\x80\x00" {
		t.Error("humidity was not measured")
	}
	clock.Advance(time.Hour)
	if got := tx(t, chip, 8, 0xf7); slices.Equal(got, first) {
		t.Error("normal mode has stopped measuring")
	}
}

func TestSHT4x(t *testing.T) {
	chip, clock := newChip(t, "sht4x", exactly(map[string]float64{"temperature": -45 + 175*float64(0xbeef)/65535, "humidity": 0.5}))
	noAnswer(t, chip, 6) // nothing to tell
	for command, takes := range map[byte]time.Duration{0xfd: micros(8300), 0xf6: micros(4500), 0xe0: micros(1600)} {
		check(t, chip.Tx(0, []byte{command}, nil))
		noAnswer(t, chip, 6)
		clock.Advance(takes - 1)
		noAnswer(t, chip, 6)
		clock.Advance(1)
		// The data sheet's checksum: BE EF gives 92. RH 50 % is 56/125 of 65535: 0x72b0.
		if got := tx(t, chip, 6); string(got[:5]) != "\xbe\xef\x92\x72\xb0" || got[5] != crc.Sum8(0x31, 0xff, 0x72, 0xb0) {
			t.Errorf("%#x: % x", command, got)
		}
		noAnswer(t, chip, 6) // once only
	}
	noAnswer(t, chip, 0, 0x42)
	check(t, chip.Tx(0, []byte{0x89}, nil))
	clock.Advance(10 * time.Millisecond)
	if got := tx(t, chip, 6); got[0] != 0x0d || got[1] != 0x05 || got[3] != 0xe1 || got[4] != 0xa7 {
		t.Errorf("serial number % x", got)
	}
	check(t, chip.Tx(0, []byte{0x94}, nil))
	noAnswer(t, chip, 0, 0xfd)
	clock.Advance(time.Millisecond)
	check(t, chip.Tx(0, []byte{0xfd}, nil))
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
		chip, clock := newChip(t, "tmp102", exactly(map[string]float64{"temperature": tt.celsius}))
		if got := tx(t, chip, 2, 1); string(got) != "\x60\xa0" {
			t.Errorf("configuration at power-up % x", got)
		}
		for _, mode := range []struct{ config, want uint16 }{{0x61a0, tt.raw}, {0x61b0, tt.extended}} {
			check(t, chip.Tx(0, []byte{1, byte(mode.config >> 8), byte(mode.config)}, nil))
			if got := tx(t, chip, 2, 1); binary.BigEndian.Uint16(got) != mode.config|0x8000 {
				t.Errorf("configuration in shutdown % x", got)
			}
			shot := mode.config | 0x8000
			check(t, chip.Tx(0, []byte{1, byte(shot >> 8), byte(shot)}, nil))
			clock.Advance(tmpConversion - 1)
			if got := tx(t, chip, 2, 1); binary.BigEndian.Uint16(got) != mode.config {
				t.Errorf("configuration while it converts % x", got)
			}
			clock.Advance(1)
			if got := tx(t, chip, 2, 0); binary.BigEndian.Uint16(got) != mode.want {
				t.Errorf("%v °C reads % x, want %04x", tt.celsius, got, mode.want)
			}
		}
		if got := tx(t, chip, 2, 2); string(got) != "\x4b\x00" {
			t.Errorf("T_LOW % x", got)
		}
		if got := tx(t, chip, 2, 3); string(got) != "\x50\x00" {
			t.Errorf("T_HIGH % x", got)
		}
	}
}

func TestTMP102Continuous(t *testing.T) {
	chip, clock := newChip(t, "tmp102", func(at sensors.Instant, _ string) float64 {
		return float64(time.Duration(at) / (250 * time.Millisecond) % 100)
	})
	chip.Reset()
	begun := time.Duration(clock.Now()) / (250 * time.Millisecond) % 100
	clock.Advance(34 * time.Millisecond)
	if got := tx(t, chip, 2, 0); string(got) != "\x00\x00" {
		t.Errorf("before the first conversion: % x", got)
	}
	for i := range 3 {
		clock.Advance(time.Millisecond)
		if got := tx(t, chip, 2, 0); int(got[0]) != int(begun)+i {
			t.Errorf("conversion %d: % x, want %d", i, got, int(begun)+i)
		}
		clock.Advance(249 * time.Millisecond)
		if got := tx(t, chip, 2, 0); int(got[0]) != int(begun)+i {
			t.Errorf("conversion %d, late: % x, want %d", i, got, int(begun)+i)
		}
	}
	check(t, chip.Tx(0, []byte{3, 0x12, 0x37}, nil))
	if got := tx(t, chip, 2, 3); string(got) != "\x12\x30" {
		t.Errorf("T_HIGH % x", got)
	}
}

func TestADS1115(t *testing.T) {
	chip, clock := newChip(t, "ads1115", exactly(map[string]float64{"voltage a0": 1.024, "voltage a1": 2.048, "voltage a2": -0.001, "voltage a3": 0.5}))
	if got := tx(t, chip, 2, 1); string(got) != "\x85\x83" {
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
		check(t, chip.Tx(0, []byte{1, 0x80 | byte(tt.config>>8), byte(tt.config)}, nil))
		clock.Advance(micros(1.1e6/128) - 1)
		if got := tx(t, chip, 2, 1); binary.BigEndian.Uint16(got) != tt.config {
			t.Errorf("config while it converts % x, want %04x", got, tt.config)
		}
		before := tx(t, chip, 2, 0)
		clock.Advance(1)
		if got := tx(t, chip, 2, 1); binary.BigEndian.Uint16(got) != tt.config|0x8000 {
			t.Errorf("config afterwards % x", got)
		}
		got := int16(binary.BigEndian.Uint16(tx(t, chip, 2, 0)))
		if got != tt.want {
			t.Errorf("%04x: %d, want %d (before: % x)", tt.config, got, tt.want, before)
		}
	}
	// Slower, and continuous.
	check(t, chip.Tx(0, []byte{1, 0x42, 0x03}, nil))
	clock.Advance(micros(1.1e6 / 8))
	if got := tx(t, chip, 2, 0); string(got) != "\x20\x00" {
		t.Errorf("continuous: % x", got)
	}
	if got := tx(t, chip, 2, 2); string(got) != "\x80\x00" {
		t.Errorf("Lo_thresh % x", got)
	}
	if got := tx(t, chip, 2, 3); string(got) != "\x7f\xff" {
		t.Errorf("Hi_thresh % x", got)
	}
}
