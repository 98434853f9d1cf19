package chips

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/units"
	"periph.io/x/conn/v3/physic"
	"periph.io/x/conn/v3/spi"
)

// mcp3008s are the members of the family. Tables 5-1 and 5-2 of both data
// sheets are the same; chips of four inputs don't care for the highest bit.
var mcp3008s = map[string]struct{ bits, inputs int }{
	"mcp3008": {10, 8}, "mcp3004": {10, 4}, "mcp3208": {12, 8}, "mcp3204": {12, 4},
}

// mcp3008Speed is far below the limit at any supply (1 MHz of the MCP3208 at
// 2.7 V) and above the least, 10 kHz (section 6.2), so that a source of 10 kΩ
// charges the sampling capacitor (figure 4-2).
const mcp3008Speed = 100 * physic.KiloHertz

var mcp3008Voltage = sensors.Voltage.Within(0, 6).With("channel")

func init() {
	single, pairs := mcp3008Channels()
	sensors.Register(&sensors.Driver{
		Name:      "mcp3008",
		Aliases:   map[string]string{"mcp3004": "mcp3004", "mcp3204": "mcp3204", "mcp3208": "mcp3208"},
		Summary:   "Microchip MCP3008, MCP3004 (10 bits), MCP3208, MCP3204 (12 bits): voltages at eight or four inputs, or between adjacent inputs, up to the reference (±1 step)",
		Datasheet: "Microchip DS21295D (MCP3004, MCP3008), DS21298E (MCP3204, MCP3208)",
		Reasons:   []sensors.Reason{sensors.Checksum},
		Wiring: "SPI at 3.3 V (dtparam=spi=on in config.txt): CLK to SCLK (pin 23), DOUT to MISO (pin 21), DIN to MOSI (pin 19), CS to CE0 (pin 24) or CE1 (pin 26); " +
			"VDD and VREF to 3.3 V; 10 kΩ from MISO to 3.3 V, by which a chip that is missing is noticed; where no channel is named, all single inputs are read",
		Timing: "1 ms for each channel: three conversions at 100 kHz, of which the middle one counts; the chip is in standby in between",
		Options: append(sensors.SPIOpts(),
			sensors.Option{Name: "model", Type: sensors.EnumOption, Choices: []string{"mcp3008", "mcp3004", "mcp3208", "mcp3204"}, Default: "mcp3008",
				Help: "the chip: they can't be distinguished from outside"},
			sensors.Option{Name: "reference", Type: sensors.NumberOption, Unit: units.Volts, Default: "3.3V", Range: &sensors.Range{Min: 0.25, Max: 5.5},
				Help: "voltage at VREF, which is full scale"},
		),
		Channels:     append(single, pairs...),
		Measures:     []*sensors.Quantity{mcp3008Voltage},
		Unverifiable: "0 V at an input and MISO held low (shorted, or without a pull-up where the chip is missing or has no supply) give the same reading",
		Kernel:       "mcp320x (dtoverlay=mcp3008, or mcp3202 for the others), read by iio",
		Check:        checkMCP3008,
		New:          newMCP3008,
	})
}

// mcp3008Channels are ch0 to ch7 and the pairs of neighbours, in both
// directions, of which the other way round reads 0.
func mcp3008Channels() (single, pairs []string) {
	for n := range 8 {
		single = append(single, fmt.Sprintf("ch%d", n))
		pairs = append(pairs, fmt.Sprintf("ch%d-ch%d", n, n^1))
	}
	return single, pairs
}

func checkMCP3008(o *sensors.Options) error {
	model := o.Text("model")
	for _, name := range o.Channels() {
		if n := int(name[2] - '0'); n >= mcp3008s[model].inputs {
			return &sensors.OptionError{Key: "channels", Err: fmt.Errorf("%s: the %s has no such input: its inputs are ch0 to ch%d", name, model, mcp3008s[model].inputs-1)}
		}
	}
	return nil
}

type mcp3008 struct {
	env      sensors.Env
	bits     int
	scale    float64 // volts a step
	channels []string
	codes    []int // of the channels
	tx, rx   [4]byte
}

func newMCP3008(_ context.Context, e sensors.Env) (sensors.Sensor, error) {
	o := e.Options()
	model := mcp3008s[o.Text("model")]
	s := &mcp3008{env: e, bits: model.bits, scale: o.Number("reference") / float64(int(1)<<model.bits), channels: o.Channels()}
	if len(s.channels) == 0 {
		single, _ := mcp3008Channels()
		s.channels = single[:model.inputs]
	}
	s.codes = make([]int, len(s.channels))
	return s, nil
}

func (s *mcp3008) Sense(ctx context.Context, r *sensors.Report) error {
	dev, err := sensors.OpenSPI(s.env, sensors.SPIConfig{Speed: mcp3008Speed, Mode: spi.Mode0})
	if err != nil {
		return err
	}
	for i, name := range s.channels {
		if s.codes[i], err = s.convert(ctx, dev, name); err != nil {
			return errors.Join(fmt.Errorf("channel %s: %w", name, err), dev.Close())
		}
	}
	if err := dev.Close(); err != nil {
		return err
	}
	for i, name := range s.channels {
		if s.codes[i] == 1<<s.bits-1 {
			r.Fail(sensors.Errorf(sensors.OutOfRange, "channel %s: the voltage reaches the reference or is beyond it: divide it down", name), name)
			continue
		}
		r.Set(mcp3008Voltage, float64(s.codes[i])*s.scale, name) // equation 4-2
	}
	return nil
}

// convert is the middle one of three conversions: nothing tells of a bit that
// was disturbed on its way to the chip, which selects another input.
func (s *mcp3008) convert(ctx context.Context, dev sensors.SPIConn, channel string) (int, error) {
	var codes [3]int
	for i := range codes {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		var err error
		if codes[i], err = s.once(dev, channel); err != nil {
			return 0, err
		}
	}
	a, b, c := codes[0], codes[1], codes[2]
	return max(min(a, b), min(max(a, b), c)), nil
}

// once is one conversion, in a message of 32 bits that ends with the last bit
// the chip sends: a start bit, four bits of control, a clock for sampling, a
// zero, the code from its highest bit on, and the code again from its lowest
// but one on (figures 5-1 and 5-2). The second time proves the first.
func (s *mcp3008) once(dev sensors.SPIConn, channel string) (int, error) {
	const start, single = 1 << 4, 1 << 3
	control := start | single | uint32(channel[2]-'0') // table 5-1
	if len(channel) > len("ch0") {
		control &^= single
	}
	const sampled = 2 // clocks after the control: sampling, and the zero
	after := sampled + s.bits + s.bits - 1
	binary.BigEndian.PutUint32(s.tx[:], control<<after)
	if err := dev.Tx(s.tx[:], s.rx[:]); err != nil {
		return 0, err
	}
	got := binary.BigEndian.Uint32(s.rx[:])
	repeated := s.bits - 1
	code := int(got >> repeated & (1<<s.bits - 1))
	switch back := bits.Reverse32(got<<(32-repeated)) & (1<<repeated - 1); {
	case got>>(repeated+s.bits)&1 != 0:
		return 0, sensors.Errorf(sensors.NoAnswer, "no chip answers on %s: check its supply, MISO, MOSI, SCLK and the chip select", s.env.Options().Claims()[0])
	case int(back) != code>>1:
		return 0, sensors.Errorf(sensors.Checksum, "the code 0x%03x came back as 0x%03x when it was sent again: check the wiring, and keep it short", code>>1, back)
	}
	return code, nil
}
