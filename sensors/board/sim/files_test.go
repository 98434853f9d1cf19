package sim

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/sensors"
	"golang.org/x/sys/unix"
)

const probe = "/sys/bus/w1/devices/" + Probe1Wire

// readConverting reads a file whose reading converts for 750 ms.
func readConverting(t *testing.T, b *Board, clock *alarm.Fake, name string) string {
	t.Helper()
	type result struct {
		data []byte
		err  error
	}
	done := make(chan result)
	go func() {
		data, err := b.Files().ReadFile(t.Context(), name)
		done <- result{data, err}
	}()
	clock.Await(clock.Now().Add(w1Conversion))
	clock.Advance(w1Conversion)
	r := <-done
	check(t, r.err)
	return string(r.data)
}

func read(t *testing.T, b *Board, name string) string {
	t.Helper()
	data, err := b.Files().ReadFile(t.Context(), name)
	check(t, err)
	return string(data)
}

// Table 1 of the DS18B20's data sheet.
func TestProbe(t *testing.T) {
	for _, tt := range []struct {
		celsius     float64
		temperature string
		slave       string // its first two bytes
	}{
		{125, "125000\n", "d0 07"},
		{85, "85000\n", "50 05"},
		{25.0625, "25062\n", "91 01"},
		{0.5, "500\n", "08 00"},
		{0, "0\n", "00 00"},
		{-0.5, "-500\n", "f8 ff"},
		{-10.125, "-10125\n", "5e ff"},
		{-55, "-55000\n", "90 fc"},
	} {
		b, clock := newBoard(t)
		b.SetValues(exactly(Values{PondTemperature: tt.celsius}))
		if got := readConverting(t, b, clock, probe+"/temperature"); got != tt.temperature {
			t.Errorf("%v: temperature %q, want %q", tt.celsius, got, tt.temperature)
		}
		got := readConverting(t, b, clock, probe+"/w1_slave")
		if !strings.HasPrefix(got, tt.slave) || !strings.Contains(got, " YES\n") || !strings.HasSuffix(got, " t="+tt.temperature) {
			t.Errorf("%v: w1_slave %q", tt.celsius, got)
		}
	}
	// The scratchpad at power-up, with its checksum.
	if got := scratchpad(85 * 16); string(got) != "\x50\x05\x4b\x46\x7f\xff\x10\x10"+string([]byte{crcDallas(got[:8])}) {
		t.Errorf("scratchpad % x", got)
	}
	if got := crcDallas([]byte{0x50, 0x05, 0x4b, 0x46, 0x7f, 0xff, 0x0c, 0x10}); got != 0x1c {
		t.Errorf("checksum %#x, want 0x1c", got)
	}
}

func TestBulkConversion(t *testing.T) {
	b, clock := newBoard(t)
	files := b.Files()
	const bulk = "/sys/bus/w1/devices/w1_bus_master1/therm_bulk_read"
	state := func(want string) {
		t.Helper()
		if got := read(t, b, bulk); got != want {
			t.Errorf("therm_bulk_read is %q, want %q", got, want)
		}
	}
	state("0\n")
	if err := files.WriteFile(t.Context(), bulk, []byte("go")); !errors.Is(err, unix.EINVAL) {
		t.Errorf("nonsense: %v", err)
	}
	b.SetValues(func(at sensors.Instant) Values { return Values{PondTemperature: at.Sub(b.start).Seconds()} })
	written := make(chan error)
	go func() { written <- files.WriteFile(t.Context(), bulk, []byte("trigger\n")) }()
	clock.Await(clock.Now().Add(w1Conversion))
	clock.Advance(w1Conversion - 1)
	state("-1\n")
	if got := read(t, b, probe+"/temperature"); got != "" {
		t.Errorf("while it converts: %q, want nothing", got)
	}
	clock.Advance(1)
	check(t, <-written)
	clock.Advance(10 * time.Second)
	state("1\n")
	if got := read(t, b, probe+"/temperature"); got != "60000\n" {
		t.Errorf("got %q, want that of the trigger, 60 s after the start", got)
	}
	state("0\n")

	ctx, cancel := context.WithCancel(t.Context())
	go func() { written <- files.WriteFile(ctx, bulk, []byte("trigger\n")) }()
	clock.Await(clock.Now().Add(w1Conversion))
	cancel()
	if err := <-written; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestProbeCancelled(t *testing.T) {
	b, clock := newBoard(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := b.Files().ReadFile(ctx, probe+"/temperature")
		done <- err
	}()
	clock.Await(clock.Now().Add(w1Conversion))
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := b.Files().ReadFile(ctx, probe+"/name"); !errors.Is(err, context.Canceled) {
		t.Errorf("under an ended context: %v", err)
	}
	if err := b.Files().WriteFile(ctx, probe+"/name", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("write under an ended context: %v", err)
	}
}

func TestThermalZone(t *testing.T) {
	b, _ := newBoard(t)
	b.SetValues(exactly(Values{ProcessorTemperature: 48.312}))
	if got := read(t, b, "/sys/class/thermal/thermal_zone0/temp"); got != "48312\n" {
		t.Errorf("temp %q", got)
	}
	if got := read(t, b, "/sys/class/thermal/thermal_zone0/type"); got != "cpu-thermal\n" {
		t.Errorf("type %q", got)
	}
}

func TestGlob(t *testing.T) {
	b, _ := newBoard(t)
	for pattern, want := range map[string][]string{
		"/sys/bus/w1/devices/28-*":                        {probe},
		"/sys/bus/w1/devices/*/therm_bulk_read":           {"/sys/bus/w1/devices/w1_bus_master1/therm_bulk_read"},
		"/sys/bus/w1/devices/w1_bus_master*/28-*":         {"/sys/bus/w1/devices/w1_bus_master1/" + Probe1Wire},
		"/sys/class/thermal/thermal_zone*":                {"/sys/class/thermal/thermal_zone0"},
		"/sys/class/hwmon/*":                              {"/sys/class/hwmon/hwmon0", "/sys/class/hwmon/hwmon1"},
		"/sys/bus/i2c/devices/*/iio:device*":              {"/sys/bus/i2c/devices/3-0023/iio:device0"},
		"/sys/class/regulator/*":                          nil,
		"/sys/class/thermal/thermal_zone0/t[ey][mp][pe]*": {"/sys/class/thermal/thermal_zone0/temp", "/sys/class/thermal/thermal_zone0/type"},
	} {
		if got, err := b.Files().Glob(pattern); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v", pattern, got, err)
		}
	}
	if _, err := b.Files().Glob("/sys/["); err == nil {
		t.Error("a bad pattern has passed")
	}
}

func TestFileFaults(t *testing.T) {
	b, _ := newBoard(t)
	const temp = "/sys/class/thermal/thermal_zone0/temp"
	b.FailFile(temp, unix.EIO)
	if _, err := b.Files().ReadFile(t.Context(), temp); !errors.Is(err, unix.EIO) || !strings.Contains(err.Error(), "check its wiring") {
		t.Errorf("EIO: %v", err)
	}
	b.FailFile(temp, fs.ErrNotExist)
	if found, err := b.Files().Glob("/sys/class/thermal/*/temp"); err != nil || len(found) != 0 {
		t.Errorf("a missing file was found: %q, %v", found, err)
	}
	b.FailFile(temp, nil)
	b.SetFile(temp, []byte("garbage"))
	if got := read(t, b, temp); got != "garbage" {
		t.Errorf("got %q", got)
	}
	if err := b.Files().WriteFile(t.Context(), temp, []byte("1")); !errors.Is(err, unix.EACCES) {
		t.Errorf("written: %v", err)
	}
	b.RemoveFiles(probe)
	if _, err := b.Files().ReadFile(t.Context(), probe+"/temperature"); !errors.Is(err, fs.ErrNotExist) || sensors.ReasonOf(err) != sensors.NoAnswer {
		t.Errorf("removed: %v", err)
	}
	if found, err := b.Files().Glob("/sys/bus/w1/devices/28-*"); err != nil || len(found) != 0 {
		t.Errorf("the folder is still there: %q, %v", found, err)
	}
	b.SetFile("/sys/class/hwmon/hwmon2/name", []byte("lm75\n"))
	if got := read(t, b, "/sys/class/hwmon/hwmon2/name"); got != "lm75\n" {
		t.Errorf("a new file: %q", got)
	}
}
