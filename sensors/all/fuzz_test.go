package all

import (
	"slices"
	"testing"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/sensortest"
)

// FuzzChipAnswers lets a chip answer anything: no driver may panic, ask for
// ever, or report what contradicts its table.
func FuzzChipAnswers(f *testing.F) {
	f.Add([]byte{0x60, 0x00, 0x6b, 0x70, 0x24})
	f.Add([]byte{0x4b, 0x00, 0x50, 0x00, 0xe1, 0xa0, 0x19, 0x00})
	f.Add([]byte{0x80, 0x00, 0x7f, 0xff, 0xc3, 0x83})
	f.Add(checked(0x0f4c, 0x1a25))
	f.Fuzz(func(t *testing.T, answers []byte) {
		if len(answers) == 0 {
			return
		}
		for _, d := range sensors.Drivers() {
			if !slices.ContainsFunc(d.Options, func(o sensors.Option) bool { return o.Type == sensors.I2CAddrOption }) {
				continue
			}
			for _, c := range cases[d.Name] {
				if c.Driver != nil {
					d = c.Driver
				}
				e := sensortest.New(t, d, c.Options, c.Channels...)
				at, transactions := 0, 0
				e.Bus = sensortest.Chip(func(w, r []byte) error {
					if transactions++; transactions > 1000 {
						t.Fatalf("%s reads for ever", d.Name)
					}
					for i := range r {
						r[i] = answers[at%len(answers)]
						at++
					}
					return nil
				})
				if _, _, err := sensortest.Read(t, d, e); err != nil && err.Error() == "" {
					t.Errorf("%s fails and doesn't say why", d.Name)
				}
			}
		}
	})
}
