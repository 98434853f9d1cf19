package all

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/sensortest"
)

// A describedCase is a chip that has a table in Go and a description in YAML.
type describedCase struct {
	file    string // of examples/chips
	driver  string // the one in Go
	options map[string]string
	chipCase
}

var describedCases = []describedCase{
	{file: "mcp9808", driver: "mcp9808", chipCase: chipCase{model: "mcp9808", world: air, Case: sensortest.Case{
		Others: asks([]byte{0x05}, []byte{0x01, 0x00, 0x00}, []byte{0x01, 0x01, 0x00}, []byte{0x08, 0x00})}}},
	{file: "sht3x", driver: "sht3x", chipCase: chipCase{model: "sht3x", world: air, Case: sensortest.Case{Others: sht3xOthers}}},
	{file: "ads1015", driver: "ads1115", options: options("model", "ads1015"), chipCase: chipCase{model: "ads1015", world: inputs, Case: sensortest.Case{
		Options: options("a2-a3.gain", "0.512V", "rate", "920"), Channels: []string{"a0", "a2-a3"}}}},
}

// described is the case of the description.
func (c describedCase) described() chipCase {
	path := "../../examples/chips/" + c.file + ".yml"
	data, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	static, _ := sensors.DriverByName("i2c")
	d, err := static.Describe(path, data)
	if err != nil {
		panic(err)
	}
	own := c.chipCase
	own.chipCaseOptions(options("description", "/etc/dormouse/chips/"+c.file+".yml"))
	own.driver, own.Driver = "i2c", d
	return own
}

// inGo is the case of the table in Go.
func (c describedCase) inGo() chipCase {
	own := c.chipCase
	own.chipCaseOptions(c.options)
	own.driver = c.driver
	return own
}

// chipCaseOptions adds options.
func (c *chipCase) chipCaseOptions(more map[string]string) {
	all := map[string]string{}
	for _, m := range []map[string]string{c.Options, more} {
		for k, v := range m {
			all[k] = v
		}
	}
	c.Options = all
}

func init() {
	var list []sensortest.Case
	for _, c := range describedCases {
		list = append(list, c.described().chip())
	}
	addCases(map[string][]sensortest.Case{"i2c": list})
}

// A description gives what the table in Go gives, with the same reasons, after
// each fault that the fault test has.
func TestDescriptionsAreAsInGo(t *testing.T) {
	defer func(all []chipCase) { simulatedCases = all }(simulatedCases)
	for _, c := range describedCases {
		var outcomes [2]map[string]string
		for i, own := range []chipCase{c.inGo(), c.described()} {
			seen := map[string]string{}
			own.Case.Outcome = func(fault string, readings [][]sensors.Reading, failures [][]sensors.Failure, err error) {
				seen[fault] = outcome(readings, failures, err)
			}
			outcomes[i] = seen
			sensortest.Faults(t, sensortest.Driver(t, own.driver), own.chip())
		}
		inGo, described := outcomes[0], outcomes[1]
		different := 0
		for fault, want := range inGo {
			if got := described[fault]; got != want {
				if different++; different <= 5 {
					t.Errorf("%s, %s: the description gives\n%s\nand the table in Go\n%s", c.file, fault, got, want)
				}
			}
		}
		if len(inGo) != len(described) || len(inGo) < 500/sensortest.Thin(t) || different > 0 {
			t.Errorf("%s: %d outcomes of the table in Go, %d of the description, %d different", c.file, len(inGo), len(described), different)
		}
		t.Logf("%s: %d outcomes equal", c.file, len(inGo))
	}
}

// outcome is what came of a fault, but for the names of the two drivers.
func outcome(readings [][]sensors.Reading, failures [][]sensors.Failure, err error) string {
	var s strings.Builder
	for i := range readings {
		for _, r := range readings[i] {
			fmt.Fprintf(&s, "read %d: %s%v = %v\n", i, r.Quantity.MetricName(), r.Labels, r.Value)
		}
		for _, f := range failures[i] {
			fmt.Fprintf(&s, "read %d: %v fails: %s\n", i, f.Labels, sensors.ReasonOf(f.Err))
		}
	}
	if err != nil {
		fmt.Fprintf(&s, "error: %s\n", sensors.ReasonOf(err))
	}
	return s.String()
}
