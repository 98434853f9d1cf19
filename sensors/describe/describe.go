// Package describe registers the driver i2c, which reads a chip that a user
// describes in a YAML file. What the file may say is the vocabulary of the tables
// of package chips, which also checks and runs it.
package describe

import (
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/chips"
	"example.org/dormouse/sensors/internal/document"
	"example.org/dormouse/sensors/internal/document/fromyaml"
)

func init() {
	sensors.Register(&sensors.Driver{
		Name:      chips.DescribedDriver,
		Summary:   "a chip on I2C that you describe in a file: what to write, how long to wait, what to read, and which bits are which quantity",
		Datasheet: "docs/chips.md, and that of your chip",
		Wiring:    "as the description says",
		Timing:    "as the description says",
		Reasons:   []sensors.Reason{sensors.Checksum, sensors.NotReady, sensors.Identity},
		Options: []sensors.Option{
			chips.DescriptionOption,
			sensors.BusOpt(),
			{Name: "addr", Type: sensors.I2CAddrOption, Help: "I2C address, written with 0x; by default the first of the description"},
		},
		Notes: []string{
			"the description's settings, numbers and channels are keys of the sensor, as those of other drivers are",
			"the description is read with the configuration: at the start, by check and at a reload; what is wrong in it is told with its line",
			"its examples (bytes that the chip gives, and their values) must come out, and must be such that a mistake in a field would show",
		},
		Unverifiable: "a mistake that stands both in the description and in its examples isn't seen",
		Describe:     Driver,
	})
}

// Driver is the driver of the chip that a file describes. Its error is
// everything that is wrong in it, each with its line.
func Driver(file string, data []byte) (*sensors.Driver, error) {
	f, root := fromyaml.Read(file, data, "write the value out")
	if root == nil {
		if len(f.Problems) == 0 {
			f.Complain(document.Origin{File: file, Line: 1}, "", "", "is empty: docs/chips.md shows what describes a chip")
		}
		return nil, f.Problems
	}
	return chips.Describe(f, root, string(data))
}
