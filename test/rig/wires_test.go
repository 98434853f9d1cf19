//go:build system

package rig

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.org/dormouse/test/guest/i2c"
)

func TestGPIO(t *testing.T) {
	ctx := t.Context()
	m := Start(t, Options{})
	header, err := m.AddHeader(ctx)
	must(t, err)
	if header.Device != "gpiochip0" {
		t.Errorf("the header is %s", header.Device)
	}
	info, err := m.ReadFile(ctx, "/sys/kernel/debug/gpio")
	must(t, err)
	for _, want := range []string{"pinctrl-bcm2835", fmt.Sprintf("GPIOs %d-%d", header.Base, header.Base+53)} {
		if !strings.Contains(string(info), want) {
			t.Errorf("the kernel lists no %s: %s", want, info)
		}
	}
	level := func(line int, want bool) {
		t.Helper()
		if high, err := header.Value(ctx, line); err != nil || high != want {
			t.Errorf("line %d is high: %t, %v", line, high, err)
		}
	}
	level(17, false)
	must(t, header.SetPull(ctx, 17, true))
	level(17, true)
	level(18, false)
	if _, err := header.Value(ctx, 54); err == nil {
		t.Error("line 54 has a value")
	}

	start := time.Now()
	before, err := m.Clocks(ctx)
	must(t, err)
	after, err := header.Pulses(ctx, 22, 500, 0)
	must(t, err)
	t.Logf("1000 edges in %s of the guest, %s of the host", after.Monotonic-before.Monotonic, time.Since(start))
	before, err = m.Clocks(ctx)
	must(t, err)
	after, err = header.Pulses(ctx, 22, 10, 20*time.Millisecond)
	if d := after.Monotonic - before.Monotonic; err != nil || d < 200*time.Millisecond {
		t.Errorf("10 pulses of 20 ms took %s, %v", d, err)
	}
	level(22, false)

	trace, err := m.TraceGPIO(ctx)
	must(t, err)
	must(t, header.Hold(ctx, 5, "somebody"))
	info, err = m.ReadFile(ctx, "/sys/kernel/debug/gpio")
	if err != nil || !strings.Contains(string(info), "somebody") {
		t.Errorf("no line is held: %v %s", err, info)
	}
	if err := header.Hold(ctx, 5, "another"); !errors.Is(err, syscall.EBUSY) {
		t.Errorf("a held line: %v", err)
	}
	must(t, header.Drop(ctx, 5))
	if err := header.Drop(ctx, 5); err == nil {
		t.Error("a line was dropped twice")
	}
	events, err := trace.Stop(ctx)
	must(t, err)
	own := header.Line(events, 5)
	if len(own) == 0 || !own[0].Direction || own[0].Out || own[0].Err != 0 || own[0].At < after.Monotonic {
		t.Errorf("the trace of line 5 is %+v", own)
	}

	must(t, header.Remove(ctx))
	if _, err := m.List(ctx, "/sys/bus/gpio/devices/gpiochip0"); err == nil {
		t.Error("a removed chip is still there")
	}
	must(t, header.Return(ctx))
	level(17, false)
	second, err := m.AddGPIOChip(ctx, "expander", []string{"A", "", "C"})
	must(t, err)
	if second.Device == header.Device || second.Base == header.Base {
		t.Errorf("two chips are one: %+v %+v", second, header)
	}
}

// attribute reads a number that one of the kernel's drivers gives. Until the
// first conversion has ended tmp102 answers EAGAIN and bmp280 EIO.
func attribute(t *testing.T, m *Machine, dir, name string) string {
	t.Helper()
	var got string
	eventually(t, func() (err error) {
		got, err = m.Attribute(t.Context(), dir, name)
		if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EIO) {
			return err
		}
		must(t, err)
		return nil
	})
	return got
}

func TestI2C(t *testing.T) {
	ctx := t.Context()
	m := Start(t, Options{})
	bus, err := m.AddI2CBus(ctx)
	must(t, err)
	second, err := m.AddI2CBus(ctx)
	must(t, err)
	if bus.Number != 0 || second.Number != 1 {
		t.Errorf("the adapters are %d and %d, want 0 and 1", bus.Number, second.Number)
	}
	for _, module := range []string{"bmp280-i2c", "lm75", "tmp102", "sht4x", "ti-ads1015"} {
		must(t, m.Modprobe(ctx, module, ""))
	}
	must(t, bus.AddChip(ctx, 0x76, i2c.BMP280()))
	must(t, bus.AddChip(ctx, 0x77, i2c.BME280()))
	must(t, bus.AddChip(ctx, 0x48, i2c.LM75(-50)))
	must(t, bus.AddChip(ctx, 0x49, i2c.TMP102(-162)))
	must(t, bus.AddChip(ctx, 0x44, i2c.SHT4x(0x6666, 0x8000)))
	must(t, bus.AddChip(ctx, 0x4a, i2c.ADS1115(1000000, 250000, 0, 2500000)))
	bind := func(driver string, address uint16) string {
		t.Helper()
		dir, err := bus.Bind(ctx, driver, address)
		must(t, err)
		return dir
	}

	t.Run("the kernel's drivers read the models", func(t *testing.T) {
		expect := func(dir, name, want string) {
			t.Helper()
			if got := attribute(t, m, dir, name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		dir := bind("bmp280", 0x76)
		expect(dir, "in_temp_input", "25080")
		expect(dir, "in_pressure_input", "100.653253906")
		must(t, bus.Unbind(ctx, 0x76))

		dir = bind("bme280", 0x77)
		expect(dir, "in_temp_input", "25080")
		expect(dir, "in_humidityrelative_input", "40016")
		must(t, bus.Unbind(ctx, 0x77))

		dir = bind("lm75", 0x48)
		expect(dir, "temp1_input", "-25000")
		expect(dir, "temp1_max", "80000")
		must(t, bus.Set(ctx, 0x48, map[string]int{"temperature": 51}))
		expect(dir, "temp1_input", "25500")
		must(t, bus.Unbind(ctx, 0x48))

		dir = bind("tmp102", 0x49)
		expect(dir, "temp1_input", "-10125")
		must(t, bus.Unbind(ctx, 0x49))

		// The driver divides by 65536, not 65535: T = −45 + 175·0x6666/65536,
		// RH = −6 + 125·0x8000/65536.
		dir = bind("sht4x", 0x44)
		expect(dir, "temp1_input", "24998")
		expect(dir, "humidity1_input", "56500")
		must(t, bus.Unbind(ctx, 0x44))

		// The driver's default range is ±2.048 V: 62.5 µV a step.
		dir = bind("ads1115", 0x4a)
		expect(dir, "in_voltage0_raw", "16000")
		expect(dir, "in_voltage1_raw", "4000")
		expect(dir, "in_voltage3_raw", "32767")
		expect(dir, "in_voltage0-voltage1_raw", "12000")
		must(t, bus.Unbind(ctx, 0x4a))
	})

	// busybox's i2cget and i2cdump use SMBus calls, i2ctransfer I2C_RDWR.
	transfer := func(want string, args ...string) {
		t.Helper()
		e, err := m.Exec(ctx, append([]string{"i2ctransfer", "-y", fmt.Sprint(bus.Number)}, args...)...)
		if got := strings.TrimSpace(string(e.Stdout)); err != nil || e.Status != 0 || got != want {
			t.Errorf("%v: %q, want %q; %s %v", args, got, want, e.Stderr, err)
		}
	}
	silent := func() {
		t.Helper()
		e, err := m.Exec(ctx, "i2ctransfer", "-y", fmt.Sprint(bus.Number), "w1@0x76", "0xd0", "r1")
		if err != nil || e.Status == 0 {
			t.Errorf("somebody answered: %+v, %v", e, err)
		}
	}
	t.Run("faults", func(t *testing.T) {
		_, err := bus.Transfers(ctx)
		must(t, err)
		transfer("0x58", "w1@0x76", "0xd0", "r1")
		log, err := bus.Transfers(ctx)
		if err != nil || len(log) != 2 || log[0].Address != 0x76 || !bytes.Equal(log[0].Data, []byte{0xd0}) ||
			!log[1].Read || !bytes.Equal(log[1].Data, []byte{0x58}) {
			t.Errorf("the bus carried %+v, %v", log, err)
		}
		must(t, bus.Poke(ctx, 0x76, 0xd0, []byte{0x60}))
		transfer("0x60", "w1@0x76", "0xd0", "r1")
		must(t, bus.PullOut(ctx, 0x76))
		silent()
		must(t, bus.PutBack(ctx, 0x76))
		transfer("0x58", "w1@0x76", "0xd0", "r1")
		must(t, bus.SetFault(ctx, 0x76, i2c.NACK))
		silent()
		must(t, bus.SetFault(ctx, 0x76, i2c.Healthy))
		must(t, bus.SetFault(ctx, 0, i2c.Ones))
		transfer("0xff", "w1@0x12", "0xd0", "r1")
		must(t, bus.SetFault(ctx, 0, i2c.Healthy))
		if got, err := bus.Peek(ctx, 0x76, 0xd0, 1); err != nil || !bytes.Equal(got, []byte{0x58}) {
			t.Errorf("peeked % x, %v", got, err)
		}
	})
	t.Run("a hung bus times out and recovers", func(t *testing.T) {
		must(t, bus.SetFault(ctx, 0, i2c.Hang))
		silent()
		must(t, bus.SetFault(ctx, 0, i2c.Healthy))
		transfer("0x58", "w1@0x76", "0xd0", "r1")
	})
	t.Run("a supply", func(t *testing.T) {
		header, err := m.AddHeader(ctx)
		must(t, err)
		must(t, bus.AddPoweredChip(ctx, 0x40, i2c.Registers(map[int][]byte{0: {0xaa}}), header, 17))
		read := []string{"w1@0x40", "0", "r1"}
		if e, err := m.Exec(ctx, append([]string{"i2ctransfer", "-y", "0"}, read...)...); err != nil || e.Status == 0 {
			t.Errorf("a chip without supply answered: %+v, %v", e, err)
		}
		must(t, header.SetPull(ctx, 17, true))
		transfer("0xaa", read...)
	})
	t.Run("an adapter pulled out", func(t *testing.T) {
		must(t, bus.Remove(ctx))
		if _, err := m.List(ctx, "/sys/bus/i2c/devices/i2c-0/"); err == nil {
			t.Error("the adapter is still there")
		}
		if err := bus.Remove(ctx); err == nil {
			t.Error("it was pulled out twice")
		}
		must(t, bus.Return(ctx))
		transfer("0x58", "w1@0x76", "0xd0", "r1")
	})
}

func TestOneWire(t *testing.T) {
	ctx := t.Context()
	m := Start(t, Options{})
	frost := DS18B20{Serial: 0x0123456789ab, Sixteenths: -162}
	room := DS18B20{Serial: 0x0000000000cd, Sixteenths: 401}
	bus, err := m.AddOneWireBus(ctx, frost, room)
	must(t, err)
	temperature := func(s DS18B20, want string) {
		t.Helper()
		got, err := m.ReadFile(ctx, s.Dir()+"/temperature")
		if err != nil || strings.TrimSpace(string(got)) != want {
			t.Errorf("%s is %q, %v, want %q", s.Dir(), got, err, want)
		}
	}
	temperature(frost, "-10125")
	temperature(room, "25062")

	t.Run("bulk conversion", func(t *testing.T) {
		must(t, m.WriteFile(ctx, bus.Master+"/therm_bulk_read", []byte("trigger\n"), 0))
		state, err := m.ReadFile(ctx, bus.Master+"/therm_bulk_read")
		if err != nil || strings.TrimSpace(string(state)) != "1" {
			t.Errorf("after the trigger: %q, %v", state, err)
		}
		// Both hold what they converted then: another conversion would show the
		// new temperatures.
		for _, s := range []DS18B20{frost, room} {
			s.Sixteenths += 160
			must(t, bus.Set(ctx, s))
		}
		temperature(frost, "-10125")
		temperature(room, "25062")
		temperature(frost, "-125")
	})
	t.Run("faults read empty", func(t *testing.T) {
		bad := frost
		bad.BadCRC = true
		must(t, bus.Set(ctx, bad))
		temperature(bad, "")
		bad.BadCRC, bad.Absent = false, true
		must(t, bus.Set(ctx, bad))
		temperature(bad, "")
		temperature(room, "35062")
		must(t, bus.Set(ctx, frost))
		temperature(frost, "-10125")
	})
	t.Run("hot plug", func(t *testing.T) {
		third := DS18B20{Serial: 7, Sixteenths: 2000}
		must(t, bus.Add(ctx, third))
		temperature(third, "125000")
		must(t, bus.Remove(ctx))
		if _, err := m.ReadFile(ctx, third.Dir()+"/temperature"); !errors.Is(err, syscall.ENOENT) {
			t.Errorf("without its adapter: %v", err)
		}
		must(t, bus.Return(ctx))
		entries, err := m.List(ctx, "/sys/bus/w1/devices")
		must(t, err)
		if !slices.ContainsFunc(entries, func(e Entry) bool { return strings.HasPrefix(e.Name, "w1_bus_master") }) {
			t.Errorf("no master among %+v", entries)
		}
	})
}

func TestThermalZone(t *testing.T) {
	m := Start(t, Options{})
	for name, want := range map[string]string{"temp": fmt.Sprint(ThermalMillidegrees), "type": "acpitz"} {
		got, err := m.ReadFile(t.Context(), ThermalZone+"/"+name)
		if err != nil || strings.TrimSpace(string(got)) != want {
			t.Errorf("%s is %q, %v, want %s", name, got, err, want)
		}
	}
}
