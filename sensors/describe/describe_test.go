package describe

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"example.org/dormouse/sensors/config"
)

// described are the descriptions that stand as examples for users, by name.
func describedFiles(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("../../examples/chips/*.yml")
	if err != nil || len(files) < 3 {
		t.Fatalf("%d descriptions, error %v", len(files), err)
	}
	all := map[string][]byte{}
	for _, file := range files {
		if all[filepath.Base(file)], err = os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func TestExamplesOfDescriptions(t *testing.T) {
	for name, data := range describedFiles(t) {
		if d, err := Driver(name, data); err != nil {
			t.Errorf("%v", err)
		} else if d.Name != "i2c" || len(d.Measures) == 0 {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

// load loads a configuration whose descriptions are files by path.
func load(files map[string]string, flags ...string) (*config.Config, error) {
	return config.Load(config.Source{SensorFlags: flags, Read: func(path string) ([]byte, error) {
		text, ok := files[path]
		if !ok {
			return nil, fmt.Errorf("open %s: %w", path, fs.ErrNotExist)
		}
		return []byte(text), nil
	}})
}

func text(t *testing.T, name string) string { return string(describedFiles(t)[name]) }

// A described sensor is configured as others are: its settings and channels are
// keys.
func TestConfiguration(t *testing.T) {
	files := map[string]string{"/c/ads1015.yml": text(t, "ads1015.yml"), "/c/mcp9808.yml": text(t, "mcp9808.yml")}
	c, err := load(files, "a=i2c,description=/c/ads1015.yml,gain=2.048V,a1.gain=0.512V,a1.name=battery", "b=i2c,description=/c/../c/mcp9808.yml,addr=0x1f,temperature.offset=0.5", "d=i2c,description=/c/mcp9808.yml")
	if err != nil {
		t.Fatal(err)
	}
	a, b := c.Sensors[0], c.Sensors[1]
	if a.Options.Text("gain") != "2.048V" || a.Options.Text("a1.gain") != "0.512V" || a.Options.Text("a0.gain") != "2.048V" || !slices.Equal(a.Options.Channels(), []string{"a1"}) || a.Wiring() != "I2C bus 1, address 0x48" {
		t.Errorf("%+v, %s", a.Options, a.Wiring())
	}
	if b.Driver.Name != "i2c" || b.Driver != c.Sensors[2].Driver || b.Wiring() != "I2C bus 1, address 0x1f" || c.Sensors[2].Wiring() != "I2C bus 1, address 0x18" {
		t.Errorf("%+v, %s", b.Driver, b.Wiring())
	}
}

// Another content of the same file is another sensor, so that a reload takes it.
func TestChangedDescription(t *testing.T) {
	const flag = "a=i2c,description=/c/x.yml"
	old := text(t, "mcp9808.yml")
	var sensors []*config.Sensor
	for _, file := range []string{old, old, strings.Replace(old, "wiring: I2C", "wiring:  I2C", 1)} {
		c, err := load(map[string]string{"/c/x.yml": file}, flag)
		if err != nil {
			t.Fatal(err)
		}
		sensors = append(sensors, c.Sensors[0])
	}
	if !sensors[0].SameDevice(sensors[1]) || sensors[0].SameDevice(sensors[2]) {
		t.Error("the same content is another sensor, or another content the same")
	}
}

// What is wrong stands with the place where it is written.
func TestWrongConfiguration(t *testing.T) {
	good := text(t, "mcp9808.yml")
	for _, tt := range []struct{ flag, file, want string }{
		{"a=i2c", "", "--sensor a=…: description: is missing: give the file that describes the chip to the driver i2c"},
		{"a=i2c,description=x.yml", "", `--sensor a=…: description: "x.yml" is not an absolute path: the daemon's working directory is /`},
		{"a=i2c,description=/no", "", "--sensor a=…: description: open /no: file does not exist: name a file that exists and that the daemon's user may read"},
		{"a=i2c,description=/x,addr=0x20", good, "--sensor a=…: addr: this chip can't have address 0x20: it has 0x18, 0x19"},
		{"a=i2c,description=/x,gain=1", good, "--sensor a=…: gain: is not a key of driver i2c: its own are description, bus, addr"},
		{"a=i2c,description=/x", "", "/x:1: is empty: docs/chips.md shows what describes a chip"},
		{"a=i2c,description=/x", "name: [", "/x:1: is not YAML"},
	} {
		_, err := load(map[string]string{"/x": tt.file}, tt.flag)
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s: the error is %v, want %s", tt.flag, err, tt.want)
		}
	}
	// What two sensors have is told once.
	_, err := load(map[string]string{"/x": "name: a\n"}, "a=i2c,description=/x", "b=i2c,description=/x,addr=0x19")
	var all config.Problems
	if !errors.As(err, &all) || strings.Count(err.Error(), "/x:1: summary: is missing") != 1 {
		t.Errorf("the error is %v", err)
	}
}

// Every mistake is told at once, each with its line and key.
func TestWrongDescription(t *testing.T) {
	for _, tt := range []struct{ old, new, want string }{
		{"wiring:", "wirring:", "x.yml:6: wirring: is not a key here (did you mean wiring?): known are addresses"},
		{"name: MCP9808", "name: MCP 9808", `x.yml:3: name: "MCP 9808" is not a valid name`},
		{"[0x18, 0x19", "[18, 0x78", "x.yml:8: addresses: \"18\" could mean 0x18 or, read as decimal, 0x12: write the one you mean with 0x\nx.yml:8: addresses: \"0x78\" is outside 0x08 to 0x77"},
		{"status: 2, is: 0x0054", "status: 33, is: 0x0054", "x.yml:10: identity 1: status: is 1 to 32"},
		{"is: 0x0054", "is: 0x10054", "x.yml:10: identity 1: is: 0x10054 has bits that aren't read"},
		{"mask: 0xff00", "mask: 0xfg", `x.yml:11: identity 2: mask: "0xfg" is not a whole number`},
		{"wait: 300ms", "wait: 300", `x.yml:18: measure, step 2: wait: "300" has no unit`},
		{"wait: 300ms", "wait: 3h", `x.yml:18: measure, step 2: wait: "3h" is not within 0s to 1m`},
		{"wait: 300ms", "wait: 300ms, must: [{is: 0, says: x}]", "x.yml:18: measure, step 2: must: tests what it doesn't read"},
		{"{write: 0x05, result: 2}", "{write: 0x105, result: 2}", "x.yml:19: measure, step 3: write: 0x105 is not a byte"},
		{"{write: 0x05, result: 2}", "{write: 05, result: 2}", `x.yml:19: measure, step 3: write: "05" begins with a zero`},
		{"{write: 0x05, result: 2}", "{write: 0x05, result: 2, with: gain}", "x.yml:19: measure, step 3: with: there is no setting gain"},
		{"{write: 0x05, result: 2}", "{write: 0x05, status: 2}", "x.yml:24: field 1: at: its bytes 0 to 1 are beyond the 0 of the frame"},
		{"{write: 0x05, result: 2}", "{write: 0x05, result: 2, until: {mask: 1, is: 2, within: 1ms, every: 1ms}}", "x.yml:19: measure, step 3: until: asks for bits that mask leaves out"},
		{"quantity: temperature", "quantity: temprature", `x.yml:24: field 1: quantity: there is no quantity "temprature" (did you mean temperature?)`},
		{"quantity: temperature", "quantity: pulses", "x.yml:24: field 1: quantity: pulses is a counter"},
		{"be:s13/16>>0", "be:s17/16>>0", `x.yml:24: field 1: type: "be:s17/16>>0" is not a type`},
		{"be:s13/16>>0", "be:u64/64>>0", `x.yml:24: field 1: type: "be:u64/64>>0" is not a type: an unsigned number has 63 bits at most`},
		{"scale: 0.0625", "scale: 0", "x.yml:24: field 1: scale: must not be 0"},
		{"scale: 0.0625", "scale: 1e999", `x.yml:24: field 1: scale: "1e999" is too large`},
		{"scale: 0.0625", "scale: 1/0", `x.yml:24: field 1: scale: "1/0" is not a number`},
		{"scale: 0.0625", "scale: 0.0625 F", "x.yml:24: field 1: offset: is missing: 0 of the scale's unit isn't 0 of the quantity's"},
		{"scale: 0.0625", "scale: 0.0625 V", `x.yml:24: field 1: scale: "0.0625 V" has the unit "V"`},
		{"range: [-40, 125]", "range: [125, -40]", "x.yml:24: field 1: range: 125 is not below -40"},
		{"range: [-40, 125]", "range: [-400, 125]", "x.yml:24: field 1: range: is beyond what temperature can be"},
		{"scale: 0.0625", "scale: 0.0626", "x.yml:26: example 1: values: temperature should be 25.25, and the table gives 25.2904 in the base unit, 25.29 °C"},
		{"be:s13/16>>0", "le:s13/16>>0", "x.yml:26: example 1: fails (range): temperature of -179.94 °C"},
		{"set: [0x08, 0x03]", "set: [0x08, 0x02]", "x.yml:26: example 1: bus: number 3 is 08 03, and the steps have 08 02"},
		{"wait: 300ms", "wait: 30ms", "x.yml:26: example 1: bus: number 5 is 300ms, and the steps have 30ms"},
		{"read: [0xc1, 0x94]", "read: [0xc1]", "x.yml:26: example 1: read has fewer bytes than the results"},
		{"read: [0xc1, 0x94]", "read: [0xc1, 0x94, 0]", "x.yml:26: example 1: read has more bytes than the results"},
		{"values: {temperature: 25.25}", "values: {humidity: 25.25}", `x.yml:26: example 1: values: there is no field "humidity"`},
		{"read: [0xc1, 0x94]", "read: [0x00, 0x00]", "x.yml:26: example 1: values: temperature should be 25.25, and the table gives 0 in the base unit"},
		{"addresses:", "bogus: &x 1\naddresses:", "x.yml:8: bogus: is not a key here"},
		{"name: MCP9808", "name: &x MCP9808", "x.yml:3: name: &x is a YAML anchor, which is not supported: write the value out"},
	} {
		old := text(t, "mcp9808.yml")
		if !strings.Contains(old, tt.old) {
			t.Fatalf("the description has no %q", tt.old)
		}
		if _, err := Driver("x.yml", []byte(strings.Replace(old, tt.old, tt.new, 1))); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s: the error is\n%v\nand should begin with\n%s", tt.new, err, tt.want)
		}
	}
	// All at once: mistakes of syntax and of sense, each in its line.
	data := strings.NewReplacer("name: MCP9808", "name: [MCP]", "wait: 300ms", "wait: x", "result: 2", "result: 2, with: gain", "mask: 0xff00, is: 0x0400", "mask: 0xff00", "quantity: temperature", "quantity: x").Replace(text(t, "mcp9808.yml"))
	_, err := Driver("x.yml", []byte(data))
	const want = `x.yml:3: name: takes one value
x.yml:11: identity 2: is: is missing: any answer would do
x.yml:18: measure, step 2: wait: "x" is not a duration: write 50ms, 30s, 5m, 1h30m or 2d
x.yml:19: measure, step 3: with: there is no setting gain
x.yml:24: field 1: quantity: there is no quantity "x": ` + "`dormouse drivers` and docs/metrics.md have them"
	if err == nil || err.Error() != want {
		t.Errorf("the error is\n%v\nand should be\n%s", err, want)
	}
}

// What the table's own rules refuse is told with its line and key, too, and says
// what to do.
func TestWrongTable(t *testing.T) {
	const look = `{write: 0x01, status: 2, begun: yes, must: [{mask: 0x8000, is: 0, says: "none was begun"}]}`
	for _, tt := range []struct{ file, old, new, want string }{
		{"ads1015.yml", "measure:\n", "measure:\n  - " + look + "\n", "x.yml:51: measure, step 1: begun: looks at what the step before has begun, and there is none: put it into measure"},
		{"ads1015.yml", "prepare:\n", "prepare:\n  - {write: 0x01}\n  - " + look + "\n", "x.yml:45: prepare, step 2: begun: looks at what the step before has begun, and there is none"},
		{"ads1015.yml", "  - {write: 0x01, status: 2, during", "  - {wait: 1us}\n  - {write: 0x01, status: 2, during", "x.yml:59: measure, step 4: begun: looks at what the step before has begun, and that one doesn't always write"},
		{"ads1015.yml", "with: [channel, gain, rate]}", "with: [channel, gain, rate], wait: 1ms}", "x.yml:58: measure, step 3: begun: looks at what the step before has begun, and that one waits"},
		{"ads1015.yml", `begun: yes, must: [{mask: 0x8000, is: 0, says: "no conversion was begun"}]`, "begun: yes", "x.yml:58: measure, step 3: begun: needs must"},
		{"ads1015.yml", "until: {mask: 0x8000", "until: {mask: 0", "x.yml:63: measure, step 7, until: mask: has no bit"},
		{"ads1015.yml", "channel: yes\n", `auto: {at: 5, type: "be:s16/16>>0", low: 1, high: 2}` + "\n", "x.yml:15: setting 1: auto: its bytes 5 to 6 are beyond the 2 of the frame"},
		{"ads1015.yml", "channel: yes\n", `auto: {at: 0, type: "be:s16/16>>0", low: 2, high: 2}` + "\n", "x.yml:15: setting 1: auto: low is not below high\n"},
		{"ads1015.yml", "channel: yes\n", `auto: {at: 0, type: "be:f32", low: 1, high: 2}` + "\n", "x.yml:15: setting 1: auto: looks at no whole number\n"},
		{"ads1015.yml", "default: 4.096V", "default: 4V", `x.yml:14: setting 1: default: "4V" is not one of its values`},
		{"ads1015.yml", "name: rate", "name: timeout", "x.yml:23: setting 2: name: timeout is a key of every described sensor"},
		{"ads1015.yml", "name: rate", "name: bus", "x.yml:23: setting 2: name: bus is a key of every described sensor"},
		{"ads1015.yml", "name: rate", "name: gain", "x.yml:23: setting 2: name: there is another setting, number or channel gain"},
		{"ads1015.yml", "{name: a1,", "{name: gain,", "x.yml:36: channel 2: name: there is another setting, number or channel gain"},
		{"ads1015.yml", "{name: a1,", "{name: filter,", "x.yml:36: channel 2: name: filter is a key of every described sensor"},
		{"ads1015.yml", "{name: a1,", "{name: a.1,", "x.yml:36: channel 2: name: a.1 has a dot"},
		{"mcp9808.yml", "quantity: temperature,", "quantity: temperature, label: power,", "x.yml:24: field 1: label: power is a key of every described sensor"},
		{"mcp9808.yml", "  - {set: [0x08, 0x03]}", "  - {set: [0x08, 0x03]}\n  - {write: 0x05, result: 2}", "x.yml:14: prepare, step 2: result: isn't read there"},
		{"mcp9808.yml", "  - {set: [0x01, 0x07, 0x00]}", "  - {set: [0x01, 0x07, 0x00]}\n  - {write: 0x02}", "x.yml:20: sleep: is more than one write"},
		{"mcp9808.yml", "set: [0x08, 0x03]", "set: [0x08, 0x03], mask: 0", "x.yml:13: prepare, step 1: mask: has no bit"},
		{"mcp9808.yml", "sleep:", "sum: {poly: 0x31, init: 0, every: 3}\nsleep:", "x.yml:10: identity 1: status: doesn't end with a checksum"},
		{"sht3x.yml", "    must: [{mask: 0x2000, is: 0, reason", "    must: [{mask: 0x20000, is: 0, reason", "x.yml:34: measure, step 2: must: asks for bits that aren't read"},
	} {
		old := text(t, tt.file)
		if !strings.Contains(old, tt.old) {
			t.Fatalf("%s has no %q", tt.file, tt.old)
		}
		_, err := Driver("x.yml", []byte(strings.Replace(old, tt.old, tt.new, 1)))
		if err == nil || !strings.HasPrefix(err.Error()+"\n", tt.want) {
			t.Errorf("%s, %s: the error is\n%v\nand should begin with\n%s", tt.file, tt.new, err, tt.want)
		}
	}
}

// An example that would not notice a mistake doesn't do.
func TestExamplesThatShowTooLittle(t *testing.T) {
	for _, tt := range []struct {
		file     string
		old, new string
		want     string
	}{
		{"mcp9808.yml", "  - {read: [0x1e, 0x6c], values: {temperature: -25.25}}\n", "", "x.yml:24: field 1: type: no example shows that the type is be:s13/16>>0 and not be:u13/16>>0"},
		{"mcp9808.yml", "  - {read: [0x8f, 0x64], fails: range}\n", "", "x.yml:24: field 1: type: no example shows that the type is be:s13/16>>0 and not be:s12/16>>0"},
		{"mcp9808.yml", "    bus: [0x06, 0x07, [0x08, 0x03], [0x01, 0x06, 0x00], 300ms, 0x05, [0x01, 0x07, 0x00]]\n", "", "x.yml:3: examples: bus: is in none of them"},
		{"sht3x.yml", "set: {precision: medium}", "set: {precision: high}", "x.yml:42: example 2: bus: number 7 is 24 0b, and the steps have 24 00"},
		{"ads1015.yml", "bits: 0x0400", "bits: 0x2400", "x.yml:57: measure, step 2: with: the bits of gain=2.048V don't fit"},
		{"ads1015.yml", "  - {channel: a0, read: [0x7f, 0xf0], fails: range}\n", "", "field 1: saturated: no example shows that 32752 is saturated"},
	} {
		old := text(t, tt.file)
		if !strings.Contains(old, tt.old) {
			t.Fatalf("%s has no %q", tt.file, tt.old)
		}
		if _, err := Driver("x.yml", []byte(strings.Replace(old, tt.old, tt.new, 1))); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s without %s: the error is\n%v\nand should have\n%s", tt.file, tt.old, err, tt.want)
		}
	}
}
