package sensors_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/exporter"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board/sim"
	"example.org/dormouse/sensors/config"
	"example.org/dormouse/sensors/pinout"
	"example.org/dormouse/sensors/scan"
)

// foreign writes each letter, digit and sign by another, of Unicode's private
// use area, and native writes it back.
func foreign(text string) string {
	return strings.Map(func(r rune) rune { return r + 0xe000 }, text)
}

func native(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= 0xe000 && r < 0xe080 {
			return r - 0xe000
		}
		return r
	}, text)
}

// The words that describe wires are for people: what they are changes nothing
// but themselves. Whatever is decided by wires is the same to the last byte.
func TestWordsDecideNothing(t *testing.T) {
	before := observe(t)
	restore := sensors.Reword(foreign)
	after := observe(t)
	restore()
	if diff := cmp.Diff(strings.Split(before, "\n"), strings.Split(native(after), "\n")); diff != "" {
		t.Errorf("with other words something else changes (-):\n%s", diff)
	}
	for _, words := range []string{"I2C bus 1, address 0x76", "SPI bus 0, chip select 0", "serial port /dev/serial0", "GPIO17 (pin 11)", "a line"} {
		if !strings.Contains(before, words) || !strings.Contains(after, foreign(words)) {
			t.Errorf("%q isn't told, or is told in the same words", words)
		}
	}
	if diff := cmp.Diff(strings.Split(before, "\n"), strings.Split(observe(t), "\n")); diff != "" {
		t.Errorf("the words weren't put back (-):\n%s", diff)
	}
}

// observe is what is decided by wires: conflicts, the order of rails, the
// wiring as check prints it, the pinout, a scan beside a daemon, the JSON of the
// readings, and whether a daemon's sensor is the one that is asked for.
func observe(t *testing.T) string {
	t.Helper()
	var out bytes.Buffer
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	clock := alarm.NewFake(alarm.Instant(time.Hour), time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))
	defer clock.Close()
	b := sim.New(clock, 1)

	_, err := config.Load(config.Source{Identify: b.Identify, RailFlags: []string{"supply=GPIO27"}, SensorFlags: []string{
		"a=bme280", "twice=ads1115,addr=0x48", "other=bme280,addr=0x77,power=GPIO17", "door=switch,pin=gpiochip0:17", "bell=switch,pin=17",
		"sda=switch,pin=GPIO2", "adc=converter", "ce=switch,pin=GPIO8", "adc2=converter,power=supply", "air=dust", "txd=pulse,pin=14", "air2=dust",
		"power=pulse,pin=BOARD13",
	}})
	fmt.Fprintf(&out, "conflicts:\n%v\n", err)

	cfg, err := config.Load(config.Source{RailFlags: []string{"late=GPIO5,after=early", "early=GPIO6,max-on=1m"}, SensorFlags: []string{
		"a=bme280,power=late", "volts=ads1115,channels=a0", "more=ads1115,channels=a1", "door=switch,pin=GPIO17", "adc=converter", "air=dust", "sda=pulse,pin=GPIO23",
	}})
	must(err)
	must(cfg.WriteWiring(&out))
	for _, r := range cfg.Supplies() {
		fmt.Fprintln(&out, "rail", r.Name, r.After)
	}
	must(pinout.New(cfg, b).WriteText(&out, false))

	snapshot := &sensors.Snapshot{At: clock.Now()}
	for _, s := range cfg.Sensors {
		snapshot.Results = append(snapshot.Results, sensors.Result{Name: s.Name, Driver: s.Driver.Name, Wiring: s.Wiring(), Claims: s.Claims()})
	}
	var page bytes.Buffer
	must(exporter.WriteJSON(&page, snapshot, clock))
	out.Write(page.Bytes())
	var told exporter.Readings
	must(json.Unmarshal(page.Bytes(), &told))
	var daemon []scan.DaemonSensor
	for i, s := range told.Sensors {
		for _, ours := range cfg.Sensors {
			fmt.Fprintf(&out, "%s is %s: %t\n", s.Name, ours.Name, sensors.SameClaims(s.Claims, ours.Claims()))
		}
		daemon = append(daemon, scan.DaemonSensor{Name: s.Name, Claims: told.Sensors[i].Claims})
	}

	real, err := alarm.New() // scan waits for chips
	must(err)
	defer real.Close()
	doc := scan.Run(t.Context(), scan.Options{Board: sim.New(real, 1), Clock: real, Identify: true, DaemonSensors: daemon})
	must(doc.WriteText(&out))
	must(json.NewEncoder(&out).Encode(doc))
	return out.String()
}
