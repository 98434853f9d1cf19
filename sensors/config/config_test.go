package config

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"example.org/dormouse/sensors"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The example of the design: flags and file say the same.
func TestFlagsAndFileAreTheSame(t *testing.T) {
	fromFlags := flags(t,
		"greenhouse=bme280,bus=1,addr=0x76,power=GPIO17,warmup=50ms,label.room=greenhouse",
		"door=switch,pin=GPIO27,pull=up,active=low",
		"rain=pulse,pin=GPIO22,quantity=precipitation,per-pulse=0.2794mm",
		`beds=ads1115,addr=0x48,a0.quantity=moisture,a0.points="2.8:0 1.2:1",a1.name=battery,a1.scale=2`,
		`backup=command,argv="/usr/local/bin/backup.py --to 'a, b'",output=none,at="30 3 * * *",timeout=10m,env.LANG=C,env.TZ=UTC`,
		"attic=bme280,addr=0x77,temperature.calibrate.offset=-0.8,filter.median=5,label.floor=3")
	fromFile := file(t, `
defaults: {every: 5m}
sensors:
  - {name: greenhouse, driver: bme280, bus: 1, addr: 0x76, power: GPIO17, warmup: 50ms, labels: {room: greenhouse}}
  - {name: door, driver: switch, pin: GPIO27, pull: up, active: low}
  - {name: rain, driver: pulse, pin: GPIO22, quantity: precipitation, per-pulse: 0.2794mm}
  - name: beds
    driver: ads1115
    addr: 0x48
    channels: {a0: {quantity: moisture, points: [[2.8, 0], [1.2, 1]]}, a1: {name: battery, scale: 2}}
  - name: backup
    driver: command
    argv: [/usr/local/bin/backup.py, --to, "a, b"]
    output: none
    at: "30 3 * * *"
    timeout: 10m
    env: {LANG: C, TZ: UTC}
  - name: attic
    driver: bme280
    addr: 0x77
    channels:
      temperature:
        calibrate: {offset: -0.8}
    filter: {median: 5}
    labels:
      floor: 3
`)
	if diff := cmp.Diff(fromFlags, fromFile, same); diff != "" {
		t.Errorf("flags (-) and file (+) differ:\n%s", diff)
	}

	beds := fromFile.Sensors[3]
	if got, want := beds.Channels["a0"], (Processing{Quantity: sensors.Moisture, Calibrate: Calibration{Points: [][2]float64{{1.2, 1}, {2.8, 0}}}}); !cmp.Equal(got, want, same) {
		t.Errorf("a0 is %+v", got)
	}
	if got, want := beds.Channels["a1"], (Processing{Name: "battery", Calibrate: Calibration{Scale: 2}}); !cmp.Equal(got, want, same) {
		t.Errorf("a1 is %+v", got)
	}
	if got := beds.Options.Channels(); !reflect.DeepEqual(got, []string{"a0", "a1"}) {
		t.Errorf("beds reads %q", got)
	}
	backup := fromFile.Sensors[4]
	if backup.Timeout != 10*minute || backup.Options.Duration("timeout") != 10*minute || backup.Retries != 0 || backup.Schedule.At.String() != "30 3 * * *" || backup.Schedule.Every != 0 {
		t.Errorf("backup is %+v", backup)
	}
	if got := backup.Options.List("argv"); !reflect.DeepEqual(got, []string{"/usr/local/bin/backup.py", "--to", "a, b"}) {
		t.Errorf("argv is %q", got)
	}
	if got := backup.Options.Map("env"); !reflect.DeepEqual(got, map[string]string{"LANG": "C", "TZ": "UTC"}) {
		t.Errorf("env is %q", got)
	}
	if got := fromFile.Sensors[2].Options.Text("per-pulse"); got != "0.2794mm" || fromFile.Sensors[2].All.Quantity != nil {
		t.Errorf("rain is %+v", fromFile.Sensors[2])
	}
	if g := fromFile.Sensors[0]; g.Rail == nil || g.Power != "GPIO17" || !g.Rail.Implicit || g.Warmup != 50*time.Millisecond ||
		!reflect.DeepEqual(g.Labels, []sensors.Label{{Name: "room", Value: "greenhouse"}}) || g.Timeout != 10*time.Second || g.Retries != 2 {
		t.Errorf("greenhouse is %+v", g)
	}
}

func TestWhatWins(t *testing.T) {
	load := func(text, every string, sensors ...string) Schedule {
		t.Helper()
		c, err := Load(Source{File: "f", Data: []byte(text), Every: every, SensorFlags: sensors})
		if err != nil {
			t.Fatal(err)
		}
		return c.Sensors[0].Schedule
	}
	at := `"0 4 * * *"`
	fourOClock, err := ParseCron("0 4 * * *")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, text, every, flag string
		want                    Schedule
	}{
		{"nothing", "", "", "a=thermal", Schedule{Every: 5 * minute}},
		{"the flag", "", "2m", "a=thermal", Schedule{Every: 2 * minute}},
		{"the file's defaults over the flag", "defaults: {every: 3m}", "2m", "a=thermal", Schedule{Every: 3 * minute}},
		{"the sensor's own over both", "defaults: {every: 3m}", "2m", "a=thermal,every=1s", Schedule{Every: time.Second}},
		{"at in the defaults over the flag", "defaults: {at: " + at + "}", "2m", "a=thermal", Schedule{At: fourOClock}},
		{"a sensor's every over the defaults' at", "defaults: {at: " + at + "}", "", "a=thermal,every=9m", Schedule{Every: 9 * minute}},
		{"a sensor's at over the defaults' every", "defaults: {every: 3m, phase: 1m}", "", `a=thermal,at="0  4 * * *"`, Schedule{At: fourOClock}},
		{"phase", "defaults: {phase: 1m}", "", "a=thermal", Schedule{Every: 5 * minute, Phase: minute}},
	} {
		if got := load(tt.text, tt.every, tt.flag); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
	c := file(t, `
defaults: {timeout: 3s, retries: 1, keep-failed: 2, labels: {site: home, size: x}}
sensors:
  - {name: a, driver: thermal}
  - {name: b, driver: thermal, timeout: 4s, labels: {site: away}}
  - {name: c, driver: command, argv: /bin/true}
  - {name: d, driver: particles}
`)
	a, b, cmd, d := c.Sensors[0], c.Sensors[1], c.Sensors[2], c.Sensors[3]
	if a.Timeout != 3*time.Second || a.Retries != 1 || a.KeepFailed != 2 || !reflect.DeepEqual(a.Labels, []sensors.Label{{Name: "site", Value: "home"}, {Name: "size", Value: "x"}}) {
		t.Errorf("a is %+v", a)
	}
	if b.Timeout != 4*time.Second || !reflect.DeepEqual(b.Labels, []sensors.Label{{Name: "site", Value: "away"}, {Name: "size", Value: "x"}}) {
		t.Errorf("b is %+v", b)
	}
	if cmd.Timeout != 3*time.Second || cmd.Options.Duration("timeout") != 3*time.Second || cmd.Options.Integer("retries") != 1 {
		t.Errorf("command is %+v", cmd)
	}
	if !reflect.DeepEqual(d.Labels, []sensors.Label{{Name: "site", Value: "home"}}) {
		t.Errorf("d has labels %v, and its driver has size itself", d.Labels)
	}
	if cmd := flags(t, "x=command,argv=/bin/true").Sensors[0]; cmd.Timeout != minute || cmd.Retries != 0 {
		t.Errorf("the driver's own defaults are not in force: %+v", cmd)
	}
}

func TestFileAndFlagsAreMerged(t *testing.T) {
	c, err := Load(Source{File: "f", Data: []byte("rails: [{name: vcc, line: 4, active: low, settle: 5ms}]\nsensors: [{name: a, driver: thermal}]"),
		SensorFlags: []string{"b=tmp102,power=vcc,warmup=1ms", "c=bme280,power=GPIO4", "d=thermal,power=GPIO5"}, RailFlags: []string{"spare=6"}})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range c.Sensors {
		names = append(names, s.Name+" "+s.Power)
	}
	if got, want := strings.Join(names, ", "), "a , b vcc, c vcc, d GPIO5"; got != want {
		t.Errorf("sensors are %q, want %q", got, want)
	}
	if len(c.Rails) != 3 || !c.Rails[0].ActiveLow || c.Rails[0].Settle != 5*time.Millisecond || c.Rails[0].Line.BCM != 4 || !c.Rails[2].Implicit {
		t.Errorf("rails are %+v", c.Rails)
	}
	if len(c.Warnings) != 1 || c.Warnings[0].Error() != "--rail spare=…: no sensor uses it: give one power=spare" {
		t.Errorf("warnings are %v", c.Warnings)
	}
}

func TestWiring(t *testing.T) {
	c, err := Load(Source{RailFlags: []string{"vcc=GPIO4"}, SensorFlags: []string{
		"a=bme280,power=GPIO17", "b=tmp102,bus=3,power=vcc", "c=switch,pin=BOARD13", "d=relay,out=5,echo=gpiochip1:2",
		"e=command,argv=/bin/true", "f=thermal,zone=x", "g=hwmon,path=/sys/x", "h=thermal"}})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{
		"I2C bus 1, address 0x76, power GPIO17 (pin 11)", "I2C bus 3, address 0x48, power vcc on GPIO4 (pin 7)", "GPIO27 (pin 13)",
		"out GPIO5 (pin 29), echo gpiochip1:2", "program /bin/true", "thermal zone x", "/sys/x", "by the kernel"} {
		if got := c.Sensors[i].Wiring(); got != want {
			t.Errorf("wiring of %s is %q, want %q", c.Sensors[i].Name, got, want)
		}
	}
	gpio := func(n int) sensors.LineRef { return sensors.LineRef{BCM: n} }
	for i, want := range map[int][]sensors.Claim{
		0: {{Kind: sensors.I2CWire, Option: "addr", Bus: 1, Address: 0x76}, {Kind: sensors.LineWire, Option: "power", Line: gpio(17), Output: true}},
		1: {{Kind: sensors.I2CWire, Option: "addr", Bus: 3, Address: 0x48}, {Kind: sensors.LineWire, Option: "power", Line: gpio(4), Output: true}},
		3: {{Kind: sensors.LineWire, Option: "out", Line: gpio(5), Output: true},
			{Kind: sensors.LineWire, Option: "echo", Line: sensors.LineRef{BCM: -1, Chip: "gpiochip1", Offset: 2}}},
		4: {{Kind: sensors.ProgramWire, Path: "/bin/true"}},
		5: {{Kind: sensors.FileWire, Option: "zone", Name: "thermal zone x"}},
		6: {{Kind: sensors.FileWire, Option: "path", Path: "/sys/x"}},
		7: {{Kind: sensors.FileWire, Name: "by the kernel"}},
	} {
		if diff := cmp.Diff(want, c.Sensors[i].Claims(), cmp.Transformer("line", func(l sensors.LineRef) string { return l.Key() })); diff != "" {
			t.Errorf("%s claims (-want):\n%s", c.Sensors[i].Name, diff)
		}
	}
	if claim, ok := c.Sensors[1].Chip(); !ok || claim.Key() != "i2c 3 0x48" {
		t.Errorf("the chip is %v %v", claim, ok)
	}
	if _, ok := c.Sensors[2].Chip(); ok {
		t.Error("a switch is a chip on a bus")
	}
}

func TestSameDevice(t *testing.T) {
	one := func(flag string) *Sensor { return flags(t, flag).Sensors[0] }
	held := one("rain=pulse,pin=GPIO22,power=GPIO4")
	for flag, want := range map[string]bool{
		"rain=pulse,pin=GPIO22,power=GPIO4":                true,
		"rain=pulse,pin=BOARD15,power=BOARD7":              true,
		"rain=pulse,pin=GPIO22,power=4,every=9m,label.x=y": true,
		"rain=pulse,pin=GPIO23,power=GPIO4":                false,
		"rain=pulse,pin=GPIO22,power=GPIO5":                false,
		"rain=pulse,pin=GPIO22":                            false,
		"snow=pulse,pin=GPIO22,power=GPIO4":                false,
		"rain=pulse,pin=GPIO22,power=GPIO4,debounce=1ms":   false,
		"rain=switch,pin=GPIO22,power=GPIO4":               false,
	} {
		if got := held.SameDevice(one(flag)); got != want {
			t.Errorf("SameDevice(%s) = %v", flag, got)
		}
	}
}

func TestProcessingOf(t *testing.T) {
	c := flags(t, "beds=ads1115,filter.median=3,calibrate.offset=1,voltage.calibrate.scale=2,a0.name=x,a0.filter.average=4,a0.calibrate.scale=5").Sensors[0]
	want := Processing{Name: "x", Calibrate: Calibration{Scale: 5}, Filter: Filter{Average: 4}}
	if got := c.ProcessingOf("a0", "voltage"); !cmp.Equal(got, want) {
		t.Errorf("a0 is %+v, want %+v", got, want)
	}
	want = Processing{Calibrate: Calibration{Scale: 2}, Filter: Filter{Median: 3}}
	if got := c.ProcessingOf("a1", "voltage"); !cmp.Equal(got, want) {
		t.Errorf("a1 is %+v, want %+v", got, want)
	}
	want = Processing{Calibrate: Calibration{Offset: 1}, Filter: Filter{Median: 3}}
	if got := c.ProcessingOf("", "temperature"); !cmp.Equal(got, want) {
		t.Errorf("another is %+v, want %+v", got, want)
	}
}

func TestOneChipMayHaveManySensors(t *testing.T) {
	c := flags(t, "a=ads1115,a0.gain=2.048V,rate=8,power=4", "b=ads1115,a1.gain=4.096V,rate=8,power=4,every=1m")
	if len(c.Sensors) != 2 || c.Sensors[0].Rail != c.Sensors[1].Rail {
		t.Errorf("sensors are %+v", c.Sensors)
	}
}

func TestChoosingChannels(t *testing.T) {
	for _, c := range []*Config{
		flags(t, `a=ads1115,channels="a2 a0"`),
		file(t, "sensors: [{name: a, driver: ads1115, channels: [a2, a0]}]"),
		file(t, "sensors: [{name: a, driver: ads1115, channels: {a0: {}, a2: }}]"),
	} {
		if got := c.Sensors[0].Options.Channels(); !reflect.DeepEqual(got, []string{"a0", "a2"}) {
			t.Errorf("channels are %q", got)
		}
	}
	if got := flags(t, "a=ads1115").Sensors[0].Options.Channels(); len(got) != 0 {
		t.Errorf("channels are %q, want none named, which is all", got)
	}
}

// What a driver always gives can't be chosen, and nobody is asked whether they
// meant what they wrote.
func TestQuantitiesAreNoChoice(t *testing.T) {
	_, err := Load(Source{SensorFlags: []string{"a=bme280,channels=temperature"}})
	if err == nil || !strings.Contains(err.Error(), "temperature can't be chosen: leave channels out; keys of temperature are written as temperature.offset") || strings.Contains(err.Error(), "did you mean") {
		t.Errorf("got %v", err)
	}
}

// A quantity with a unit converts: offsets are differences, and points go from
// the driver's unit to the new one.
func TestCalibrationUnits(t *testing.T) {
	c := flags(t, "a=tmp102,calibrate.offset=1.8°F", `b=ads1115,addr=0x49,a0.quantity=moisture,a0.points="2500mV:0% 1.2V:100%"`)
	if got := c.Sensors[0].All.Calibrate.Offset; !near(got, 1) {
		t.Errorf("offset is %v, want 1", got)
	}
	if got, want := c.Sensors[1].Channels["a0"].Calibrate.Points, [][2]float64{{1.2, 1}, {2.5, 0}}; !reflect.DeepEqual(got, want) {
		t.Errorf("points are %v, want %v", got, want)
	}
}

// Where only the hardware knows the channels, any name may be one.
func TestUnknownChannels(t *testing.T) {
	c := flags(t, "a=hwmon,path=/sys/x,temp1.name=cpu,temp1.offset=2,in0.quantity=voltage")
	if got := c.Sensors[0].Channels["temp1"]; got.Name != "cpu" || got.Calibrate.Offset != 2 || c.Sensors[0].Channels["in0"].Quantity != sensors.Voltage {
		t.Errorf("channels are %+v", c.Sensors[0].Channels)
	}
}

func TestYAMLKeepsTheText(t *testing.T) {
	c := file(t, `
sensors:
  - {name: 1e3, driver: switch, pin: 017}
  - {name: 0x10, driver: switch, pin: 018, labels: {room: 012, free: yes, empty: null, date: 2026-01-01}}
  - {name: on, driver: tmp102, addr: 0x48}
`)
	var names []string
	for _, s := range c.Sensors {
		names = append(names, s.Name)
	}
	if !reflect.DeepEqual(names, []string{"1e3", "0x10", "on"}) {
		t.Errorf("names are %q", names)
	}
	if c.Sensors[0].Options.Line("pin").BCM != 17 || c.Sensors[1].Options.Line("pin").BCM != 18 {
		t.Errorf("lines are %v and %v", c.Sensors[0].Options.Line("pin"), c.Sensors[1].Options.Line("pin"))
	}
	if want := []sensors.Label{{Name: "date", Value: "2026-01-01"}, {Name: "empty", Value: "null"}, {Name: "free", Value: "yes"}, {Name: "room", Value: "012"}}; !reflect.DeepEqual(c.Sensors[1].Labels, want) {
		t.Errorf("labels are %v", c.Sensors[1].Labels)
	}
}

func TestProblemsAreErrors(t *testing.T) {
	_, err := Load(Source{SensorFlags: []string{"a=switch,pin=GPIO4", "b=switch,pin=4,pull=x"}})
	var all Problems
	var one *Problem
	var oe *sensors.OptionError
	if !errors.As(err, &all) || !errors.As(err, &one) || len(all) != 2 || one.Key != "pull" || one.Subject != "sensor b" || one.Origin.Line != 2 {
		t.Errorf("error is %#v", err)
	}
	if !strings.HasSuffix(err.Error(), "b=…: pin: GPIO4 (pin 7) is taken by sensor a (--sensor a=…): a line has one use") {
		t.Errorf("a broken sensor's line isn't checked: %v", err)
	}
	if errors.As(err, &oe) {
		t.Error("the key would be said twice")
	}
}

func TestFlagQuoting(t *testing.T) {
	c := flags(t, `a = thermal , label.x="a, \"b\" \\ c" , label.y=  two words  ,label.z="=,"`)
	want := []sensors.Label{{Name: "x", Value: `a, "b" \ c`}, {Name: "y", Value: "two words"}, {Name: "z", Value: "=,"}}
	if !reflect.DeepEqual(c.Sensors[0].Labels, want) {
		t.Errorf("labels are %q, want %q", c.Sensors[0].Labels, want)
	}
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-12*math.Max(1, math.Abs(b)) }
