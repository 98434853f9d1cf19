//go:build system

package system

import (
	"strings"
	"testing"
	"time"

	"periph.io/x/conn/v3/physic"

	"example.org/dormouse/sensors"
	_ "example.org/dormouse/sensors/all"
	"example.org/dormouse/sensors/sensortest"
	"example.org/dormouse/test/guest/i2c"
	"example.org/dormouse/test/kit"
)

// modelBus is a bus of models for a driver without a kernel.
type modelBus struct{ *i2c.Bus }

func (modelBus) String() string                  { return "models" }
func (modelBus) SetSpeed(physic.Frequency) error { return nil }

func (b modelBus) Tx(address uint16, w, r []byte) error {
	if len(w) > 0 && !b.Write(address, w) || len(r) > 0 && !b.Read(address, r) {
		return sensors.Errorf(sensors.NoAnswer, "no answer at 0x%02x", address)
	}
	return nil
}

// TestOwnDriversReadTheModels: the contents that are compared with the kernel's
// drivers are within the range of ours, and those beyond aren't; in no time.
func TestOwnDriversReadTheModels(t *testing.T) {
	for _, c := range kernelChips {
		name, options, _ := strings.Cut(c.driver, ",")
		texts := map[string]string{"bus": "1", "addr": "0x" + string("0123456789abcdef"[c.address>>4]) + string("0123456789abcdef"[c.address&15])}
		for option := range strings.SplitSeq(options, ",") {
			if key, value, ok := strings.Cut(option, "="); ok && !strings.HasPrefix(key, "calibrate.") {
				texts[key] = value
			}
		}
		d := sensortest.Driver(t, name)
		e := sensortest.New(t, d, texts)
		bus := i2c.NewBus(func() time.Time { return time.Unix(0, int64(e.Now())) }, func() time.Duration { return time.Duration(e.Now()) })
		e.Bus = modelBus{bus}
		chip, err := i2c.New(c.model)
		kit.Must(t, err)
		kit.Must(t, bus.Add(c.address, chip, nil))
		kit.Must(t, chip.Set(c.forOwn))
		for try, of := range c.all(500) {
			kit.Must(t, chip.Set(of))
			e.Waits = nil
			readings, failures, err := sensortest.Read(t, d, e)
			reason := sensors.ReasonOf(err)
			beyond := len(failures) > 0 || reason == sensors.OutOfRange || reason == sensors.NotReady
			if beyond != (try < len(c.beyond)) || err != nil && !beyond {
				t.Errorf("%s: %v: %v, %v, %v", c.name, of, readings, failures, err)
			}
		}
	}
}
