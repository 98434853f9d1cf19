//go:build system

package pi

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.org/dormouse/exporter"
	"example.org/dormouse/test/kit"
	"example.org/dormouse/test/rig"
)

// bind gives a chip on I2C bus 1 to the kernel's driver, until the returned
// function is called.
func (b *bench) bind(t *testing.T, driver, address string) (dir string, release func()) {
	t.Helper()
	const bus = "/sys/bus/i2c/devices/i2c-1"
	kit.Must(t, b.WriteFile(t.Context(), bus+"/new_device", []byte(driver+" "+address), 0))
	dir = fmt.Sprintf("%s/1-00%s", bus, strings.TrimPrefix(address, "0x"))
	if _, err := b.List(t.Context(), dir+"/driver"); err != nil {
		t.Fatalf("the kernel's driver %s didn't take %s: %v", driver, address, err)
	}
	return dir, func() {
		t.Helper()
		kit.Must(t, b.WriteFile(t.Context(), bus+"/delete_device", []byte(address), 0))
	}
}

// oracles compare dormouse with the kernel's own drivers for chips that QEMU
// models: neither the drivers nor the models are ours.
func oracles(t *testing.T, b *bench) {
	for _, module := range []string{"lm75", "tmp421", "emc1403"} {
		kit.Must(t, b.Modprobe(t.Context(), module, ""))
	}
	d := b.Daemon(t, thermometer, "--sensor=lm75=hwmon,device=1-0048", "--sensor=tmp421=hwmon,device=1-004c", "--sensor=emc1413=hwmon,device=1-004d")
	if before := d.Read(); !*before["air"].Up || *before["lm75"].Up || *before["tmp421"].Up {
		t.Errorf("before the kernel has any: %+v", before)
	}
	lm75, releaseLM75 := b.bind(t, "tmp105", addresses["tmp105"])
	tmp421, releaseTMP421 := b.bind(t, "tmp421", addresses["tmp421"])
	emc1413, releaseEMC1413 := b.bind(t, "emc1413", addresses["emc1413"])
	// QEMU's emc1413 has whole degrees from 0 on, and its own tmp421 rounds.
	for _, at := range []struct{ lm75, tmp421, remote421, emc1413, remote1413 float64 }{
		{-40, -8.25, 42.5, 0, 42},
		{-8.25, 0, 125, 42, 125},
		{0, 42.5, -40, 125, 0},
		{125, -40, -8.25, 1, 100},
	} {
		b.set(t, "tmp105", "temperature", int(at.lm75*1000))
		b.set(t, "tmp421", "temperature0", int(at.tmp421*1000))
		b.set(t, "tmp421", "temperature1", int(at.remote421*1000))
		b.set(t, "emc1413", "temperature0", int(at.emc1413*1000))
		b.set(t, "emc1413", "temperature1", int(at.remote1413*1000))
		b.waitFor(t, lm75, "temp1_input", at.lm75)
		b.waitFor(t, tmp421, "temp1_input", at.tmp421)
		b.waitFor(t, emc1413, "temp1_input", at.emc1413)
		sensors := d.Read()
		b.agrees(t, sensors["lm75"], lm75, map[string]float64{"temp1": at.lm75})
		b.agrees(t, sensors["tmp421"], tmp421, map[string]float64{"temp1": at.tmp421, "temp2": at.remote421})
		b.agrees(t, sensors["emc1413"], emc1413, map[string]float64{"temp1": at.emc1413, "temp2": at.remote1413})
		air := sensors["air"]
		if *air.Up || air.Reason != "busy" || len(air.Readings) != 0 || !strings.Contains(air.Error, "is driven by the kernel's lm75") {
			t.Errorf("while the kernel drives the chip: up %t, %s: %s", *air.Up, air.Reason, air.Error)
		}
	}
	releaseLM75()
	releaseTMP421()
	releaseEMC1413()
	after := d.Read()
	if air := after["air"]; !*air.Up || *air.Readings[0].Value != 125 {
		t.Errorf("after the kernel's driver was unbound: %+v", air)
	}
	if *after["lm75"].Up || *after["tmp421"].Up || *after["emc1413"].Up {
		t.Errorf("after the kernel's drivers were unbound: %+v", after)
	}
}

// rounding is what QEMU's chips round by at most: they have steps of a sixteenth.
const rounding = 1. / 16

// waitFor waits until the kernel's driver has the temperature that was set: a
// chip that it drives converts by itself, and some drivers keep what they have
// read for two seconds.
func (b *bench) waitFor(t *testing.T, dir, attribute string, want float64) {
	t.Helper()
	kit.Eventually(t, func() error {
		text, err := b.Attribute(t.Context(), dir, attribute)
		if err != nil {
			return err
		}
		if got, err := strconv.Atoi(text); err != nil || math.Abs(float64(got)/1000-want) > rounding {
			return fmt.Errorf("the kernel's %s says %s, want %v °C (%v)", attribute, text, want, err)
		}
		return nil
	})
}

// agrees compares a hwmon sensor's channels with what the kernel's driver says
// and with what was set.
func (b *bench) agrees(t *testing.T, s exporter.SensorJSON, dir string, channels map[string]float64) {
	t.Helper()
	values := map[string]float64{}
	for _, r := range s.Readings {
		values[r.Labels["channel"]] = *r.Value
	}
	for channel, set := range channels {
		text, err := b.Attribute(t.Context(), dir, channel+"_input")
		kit.Must(t, err)
		millidegrees, err := strconv.Atoi(text)
		kit.Must(t, err)
		got, ok := values[channel]
		if !ok || math.Abs(got*1000-float64(millidegrees)) > 1e-6 || math.Abs(got-set) > rounding {
			t.Errorf("%s %s reads %v (there: %t); the kernel says %d, and %v was set", s.Name, channel, got, ok, millidegrees, set)
		}
	}
}

// switches are driven from outside, on lines of the board's own GPIO controller.
func switches(t *testing.T, b *bench) {
	d := b.Daemon(t, door, "--sensor=gate=switch,pin=BOARD13,active=low,transitions=no")
	for _, high := range []bool{true, false, true} {
		kit.Must(t, b.pi.Drive(t.Context(), 17, high))
		kit.Must(t, b.pi.Drive(t.Context(), 27, high))
		sensors := d.Read()
		want := map[bool]float64{true: 1}
		if door, gate := sensors["door"], sensors["gate"]; !*door.Up || !*gate.Up ||
			*door.Readings[0].Value != want[high] || *gate.Readings[0].Value != want[!high] {
			t.Errorf("with both lines high: %t they read %+v and %+v", high, door, gate)
		}
	}
	kit.Must(t, b.pi.Drive(t.Context(), 17, false))
	kit.Must(t, b.pi.Drive(t.Context(), 27, false))
}

// rails look at a supply's line while a sensor is read and afterwards. Where this
// test stood still for as long as the sensor warmed up, another read is looked at.
func rails(t *testing.T, b *bench) {
	const line = 22
	kit.Eventually(t, func() error {
		p, err := b.Start(t.Context(), rig.Command{Argv: append([]string{"/" + program}, patient([]string{"read", thermometer + ",power=GPIO22,warmup=3s"})...)}, nil)
		kit.Must(t, err)
		ended := make(chan rig.Exit, 1)
		go func() {
			exit, err := p.Wait(t.Context())
			if err != nil {
				t.Error(err)
			}
			ended <- exit
		}()
		seen := false
		for {
			functions, err := b.pi.Functions(t.Context())
			kit.Must(t, err)
			high, err := b.pi.Level(t.Context(), line)
			kit.Must(t, err)
			seen = seen || functions[line] == rig.Output && high
			select {
			case exit := <-ended:
				if high, err := b.pi.Level(t.Context(), line); exit.Status != 0 || high || err != nil {
					t.Errorf("after the read the rail is high: %t (%v); read ended with %d: %s%s", high, err, exit.Status, exit.Stdout, exit.Stderr)
				}
				if !seen {
					return fmt.Errorf("GPIO%d wasn't seen as an output that is high during the read", line)
				}
				return nil
			case <-time.After(kit.Pace):
			}
		}
	})
}

// pulses are counted by the kernel's character device on ARM: edges of
// gpio-sim, since QEMU's GPIO controller has none.
func pulses(t *testing.T, b *bench) {
	chip, err := b.AddGPIOChip(t.Context(), "gauges", []string{"RAIN", "GAS"})
	kit.Must(t, err)
	defer func() { kit.Must(t, chip.Remove(t.Context())) }()
	d := b.Daemon(t, "--sensor=rain=pulse,pin=RAIN,quantity=precipitation,per-pulse=0.2794mm", "--sensor=gas=pulse,pin=GAS")
	d.Read() // the first may still be to come
	before := d.Value(`sensor_pulses_total{sensor="rain"}`)
	const each = 50
	n, wakeUps := 0., int64(1)
	for range 3 { // the runtime may return memory seconds after a read
		if wakeUps == 0 {
			break
		}
		d.Asleep()
		wakeUps = d.WakeUps(func() {
			_, err := chip.Pulses(t.Context(), 0, each, 40*time.Millisecond) // edges 20 ms apart
			kit.Must(t, err)
		})
		n += each
	}
	sensors := d.Read()
	if rain, gas := sensors["rain"], sensors["gas"]; !*rain.Up || !*gas.Up {
		t.Errorf("rain %+v, gas %+v", rain, gas)
	}
	if got := d.Value(`sensor_pulses_total{sensor="rain"}`) - before; got != n {
		t.Errorf("%v pulses of %v were counted", got, n)
	}
	if got := d.Value(`sensor_pulses_total{sensor="gas"}`); got != 0 {
		t.Errorf("%v pulses were counted where there were none", got)
	}
	if wakeUps != 0 {
		t.Errorf("%d wake-ups with the last %d of %v pulses", wakeUps, each, n)
	}
}

// oneWire reads a modelled DS18B20 by the kernel's own 1-Wire core, which gives
// thousandths of a degree.
func oneWire(t *testing.T, b *bench) {
	pond := rig.DS18B20{Serial: 0x0316a2793aff, Sixteenths: -162}
	bus, err := b.AddOneWireBus(t.Context(), pond)
	kit.Must(t, err)
	defer func() { kit.Must(t, bus.Remove(t.Context())) }()
	d := b.Daemon(t, "--sensor=pond=w1,id=28-0316a2793aff")
	for sixteenths, want := range map[int16]float64{-162: -10.125, 0: 0, 401: 25.062, 2000: 125} {
		pond.Sixteenths = sixteenths
		kit.Must(t, bus.Set(t.Context(), pond))
		if s := d.Read()["pond"]; !*s.Up || *s.Readings[0].Value != want {
			t.Errorf("at %v °C it reads %+v", want, s)
		}
	}
	pond.BadCRC = true
	kit.Must(t, bus.Set(t.Context(), pond))
	if s := d.Read()["pond"]; *s.Up || len(s.Readings) != 0 {
		t.Errorf("with a bad checksum: %+v", s)
	}
}

// flash is QEMU's model of an SST25VF016B on SPI bus 0, and its JEDEC ID by its
// data sheet, which QEMU fills up to six bytes.
const (
	flash   = "sst25vf016b"
	flashID = "bf2541000000"
)

// spi talks to the flash by spi-bcm2835, with package board's messages. QEMU
// wires no chip select: what a message begins the next one goes on with.
func spi(t *testing.T, b *bench) {
	send := func(packets ...string) (lines []string, said string, status int) {
		t.Helper()
		exit := kit.Exec(t, b.pi.Machine, append([]string{"/" + wireProgram, "0", "0", "1000000"}, packets...)...)
		return strings.Fields(string(exit.Stdout)), string(exit.Stderr), exit.Status
	}
	for _, c := range []struct{ packets, want []string }{
		{[]string{"9f", "r6"}, []string{flashID}},
		{[]string{"9f", "r1", "r5"}, []string{flashID[:2], flashID[2:]}}, // segments of one message
		{[]string{"9f"}, nil},
		{[]string{"r6"}, []string{flashID}},
		// An empty flash, as long as a message may be.
		{[]string{"03000000", "r4096"}, []string{strings.Repeat("ff", 4096)}},
	} {
		if lines, said, status := send(c.packets...); status != 0 || !slices.Equal(lines, c.want) {
			t.Errorf("%q: exit status %d, %.40q, want %.40q: %.200s", c.packets, status, lines, c.want, said)
		}
	}
	if lines, said, status := send("r4097"); status != 1 || len(lines) > 0 || !strings.Contains(said, "a message of 4097 bytes is longer than the kernel takes") {
		t.Errorf("4097 bytes: exit status %d, %d lines: %.200s", status, len(lines), said)
	}
}
