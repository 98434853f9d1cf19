package all

import (
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"syscall"
	"testing"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/config"
	"example.org/dormouse/sensors/sensortest"
)

func init() {
	gives := func(option string, err error) sensortest.Fault {
		return sensortest.Fault{Name: option + " gives " + err.Error(), Break: func(e *sensortest.Env) { e.Lines[option].Err = err }}
	}
	goes := func(option string, in int) sensortest.Fault {
		return sensortest.Fault{Name: option + " goes away meanwhile", Break: func(e *sensortest.Env) {
			e.OnWait = func(n int) {
				if n == in {
					e.Lines[option].Err = syscall.ENODEV
				}
			}
		}}
	}
	silent := func(e *sensortest.Env) {
		for _, l := range e.Lines {
			l.OnConfig, l.OnSet = nil, nil
		}
	}
	addCases(map[string][]sensortest.Case{
		"frequency": {{Options: map[string]string{"pin": "GPIO5"}, World: signalWorld, Faults: []sensortest.Fault{gives("pin", syscall.EIO), goes("pin", 0)}}},
		"duty":      {{Options: map[string]string{"pin": "GPIO5"}, World: signalWorld, Faults: []sensortest.Fault{gives("pin", syscall.EIO), goes("pin", 0)}}},
		"echo": {{Options: map[string]string{"trigger": "GPIO5", "echo": "GPIO6", "temperature": "air"}, World: echoWorld, Faults: []sensortest.Fault{
			gives("echo", syscall.EIO), gives("trigger", syscall.EIO), goes("echo", 1), goes("trigger", 1),
			{Name: "no answer", Break: silent},
			{Name: "stuck high", Break: func(e *sensortest.Env) { silent(e); e.Lines["echo"].Drive(0, true) }},
			{Name: "never ends", Break: func(e *sensortest.Env) {
				e.Lines["trigger"].OnSet = func(bool) { e.Lines["echo"].Drive(e.Now(), true) }
			}},
			{Name: "temperature is missing", Break: func(e *sensortest.Env) { clear(e.Values) }},
		}}},
		"dht": {
			{Options: map[string]string{"pin": "GPIO4"}, World: dhtWorld, Faults: []sensortest.Fault{
				gives("pin", syscall.EIO), goes("pin", 1), goes("pin", 2),
				{Name: "no answer", Break: silent},
				{Name: "half a frame", Break: func(e *sensortest.Env) { sendDHT(e, dhtFrame[:2]) }},
				{Name: "checksum", Break: func(e *sensortest.Env) { sendDHT(e, []byte{0x02, 0x8c, 0x01, 0x5f, 0xef}) }},
				{Name: "nonsense", Break: func(e *sensortest.Env) { sendDHT(e, []byte{0xff, 0xff, 0xff, 0xff, 0xfc}) }},
				{Name: "zeros", Break: func(e *sensortest.Env) { sendDHT(e, make([]byte, 5)) }},
			}},
			{Options: map[string]string{"pin": "GPIO4"}, World: dhtKernelWorld},
		},
		"hx711": {{Options: map[string]string{"data": "GPIO5", "clock": "GPIO6", "factor": "420", "tare": "1000"}, World: scaleWorld, Faults: []sensortest.Fault{
			gives("data", syscall.EIO), gives("clock", syscall.EIO), goes("data", 1), goes("clock", 1), goes("data", 2), goes("clock", 3),
			{Name: "noise", Break: func(e *sensortest.Env) {
				random := rand.New(rand.NewPCG(1, 2))
				e.Lines["data"].Level = func() bool { return random.Uint32()%2 == 0 }
			}},
			{Name: "shorted", Break: func(e *sensortest.Env) { e.Lines["data"].Level = func() bool { return false } }},
			{Name: "open", Break: func(e *sensortest.Env) { e.Lines["data"].Level = func() bool { return true } }},
			{Name: "preempted in every pulse", Break: func(e *sensortest.Env) {
				e.Lines["clock"].OnSet = func(bool) { e.NextWake(60 * time.Microsecond) }
			}},
		}}},
	})
}

// signalWorld is a signal of 100 Hz that is active for a quarter.
func signalWorld(e *sensortest.Env) {
	line := &sensortest.Line{}
	e.Lines["pin"] = line
	line.OnConfig = func(sensors.LineConfig) {
		for at := e.Now().Add(time.Millisecond); at.Before(e.Now().Add(time.Second)); at = at.Add(10 * time.Millisecond) {
			line.Drive(at, true)
			line.Drive(at.Add(2500*time.Microsecond), false)
		}
	}
}

func echoWorld(e *sensortest.Env) {
	trigger, echo := &sensortest.Line{}, &sensortest.Line{}
	e.Lines["trigger"], e.Lines["echo"] = trigger, echo
	e.Values["air/temperature"] = 15
	trigger.OnSet = func(active bool) {
		if !active {
			echo.Drive(e.Now().Add(time.Millisecond), true)
			echo.Drive(e.Now().Add(7*time.Millisecond), false)
		}
	}
}

var dhtFrame = []byte{0x02, 0x8c, 0x01, 0x5f, 0xee} // 65.2 %, 35.1 °C

func dhtWorld(e *sensortest.Env) {
	e.Lines["pin"] = &sensortest.Line{}
	sendDHT(e, dhtFrame)
}

// sendDHT lets the chip answer with a frame when the line is released.
func sendDHT(e *sensortest.Env, frame []byte) {
	line := e.Lines["pin"]
	line.OnConfig = func(c sensors.LineConfig) {
		if c.Output {
			return
		}
		at := e.Now()
		edges := func(low, high int) {
			line.Drive(at, false)
			line.Drive(at.Add(time.Duration(low)*time.Microsecond), true)
			at = at.Add(time.Duration(low+high) * time.Microsecond)
		}
		line.Drive(at, true)
		at = at.Add(30 * time.Microsecond)
		edges(80, 80)
		for _, b := range frame {
			for mask := byte(0x80); mask > 0; mask >>= 1 {
				if b&mask != 0 {
					edges(50, 70)
				} else {
					edges(50, 26)
				}
			}
		}
		edges(50, 0)
	}
}

func dhtKernelWorld(e *sensortest.Env) {
	const device = "/sys/bus/iio/devices/iio:device0"
	e.Lines["pin"] = &sensortest.Line{OpenErr: syscall.EBUSY}
	e.FS.Put(device+"/name", "dht11@4\n")
	e.FS.Put(device+"/of_node/gpios", "\x00\x00\x00\x07\x00\x00\x00\x04\x00\x00\x00\x00")
	e.FS.Put(device+"/in_temp_input", "35100\n")
	e.FS.Put(device+"/in_humidityrelative_input", "65200\n")
}

// scaleWorld has an HX711 that is always ready but for the end of its frames.
func scaleWorld(e *sensortest.Env) {
	const raw = 43000
	data, clock := &sensortest.Line{}, &sensortest.Line{}
	e.Lines["data"], e.Lines["clock"] = data, clock
	pulse := 0
	var since sensors.Instant
	clock.OnSet = func(high bool) {
		switch {
		case high:
			since = e.Now()
			pulse++
		case e.Now().Sub(since) >= 60*time.Microsecond:
			pulse = 0
		}
	}
	data.Level = func() bool {
		if pulse >= 25 {
			pulse = 0
			return true
		}
		return pulse > 0 && raw>>(24-pulse)&1 == 1
	}
}

// What docs/gpio-timing.md shows is accepted.
func TestTimingExamples(t *testing.T) {
	text, err := os.ReadFile("../../docs/gpio-timing.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	for _, b := range blocks {
		cfg, err := config.Load(config.Source{File: "gpio-timing.yml", Data: []byte(b[1])})
		if err != nil {
			t.Fatal(err)
		}
		for _, driver := range []string{"frequency", "duty", "echo", "dht", "hx711"} {
			if !slices.ContainsFunc(cfg.Sensors, func(c *config.Sensor) bool { return c.Driver.Name == driver }) {
				t.Errorf("there is no example of %s", driver)
			}
		}
	}
	if len(blocks) == 0 {
		t.Error("there is no example")
	}
}
