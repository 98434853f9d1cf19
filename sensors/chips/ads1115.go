package chips

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"example.org/dormouse/sensors"
)

// Registers and bits: ADS1115 data sheet, section 8.1 (the ADS1015's are the
// same but for its rates).
const (
	ads1115Conversion = 0
	ads1115Config     = 1
	ads1115Low        = 2 // of the comparator, which stays off
	ads1115High       = 3

	ads1115OS     = 1 << 15               // written: convert; read: idle
	ads1115Single = 1 << 8                // one conversion, then power-down
	ads1115NoComp = 0b11                  // comparator disabled
	ads1115Wake   = 25 * time.Microsecond // section 7.4.2.1
)

var (
	ads1115Addresses = []string{"0x48", "0x49", "0x4a", "0x4b"} // section 7.5.1.1

	// Inputs by the code of MUX, full scales by that of PGA, samples per
	// second by that of DR: section 8.1.3.
	ads1115Inputs = []string{"a0-a1", "a0-a3", "a1-a3", "a2-a3", "a0", "a1", "a2", "a3"}
	ads1115Gains  = []string{"6.144V", "4.096V", "2.048V", "1.024V", "0.512V", "0.256V"}
	ads1115Rates  = []int{8, 16, 32, 64, 128, 250, 475, 860}
	ads1015Rates  = []int{128, 250, 490, 920, 1600, 2400, 3300}

	ads1115Voltage = sensors.Voltage.Within(-6.144, 6.144).With("channel")
)

func init() {
	sensors.Register(&sensors.Driver{
		Name:      "ads1115",
		Summary:   "TI ADS1115 (16 bits) or ADS1015 (12 bits): voltages at four inputs or between them, up to ±6.144 V and the supply (±0.15 %)",
		Datasheet: "TI SBAS444E (ADS1115), TI SBAS473E (ADS1015)",
		Wiring:    "I2C; ADDR to ground is 0x48, to the supply 0x49, to SDA 0x4a, to SCL 0x4b; no input may exceed the supply by more than 0.3 V; where no channel is named, a0 to a3 are read",
		Timing:    "9 ms for each channel at 128 samples per second; the chip is powered down in between",
		Options: []sensors.Option{
			sensors.BusOpt(),
			sensors.AddrOpt(ads1115Addresses...),
			{Name: "model", Type: sensors.EnumOption, Default: "ads1115", Choices: []string{"ads1115", "ads1015"}, Help: "the chip: they can't be told apart from outside"},
			{Name: "gain", Type: sensors.EnumOption, Default: "4.096V", Choices: ads1115Gains, Channel: true,
				Help: "full scale: the smallest that holds the largest voltage gives the finest steps, 1/32768 of it (ADS1015 1/2048)"},
			{Name: "rate", Type: sensors.IntegerOption, Default: "128",
				Help: "samples per second: fewer are less noisy and take longer. ADS1115: " + rateList(ads1115Rates) + "; ADS1015: " + rateList(ads1015Rates)},
		},
		// Where none is named, the four single inputs are read.
		Channels: append(slices.Clone(ads1115Inputs[4:]), ads1115Inputs[:4]...),
		Measures: []*sensors.Quantity{ads1115Voltage},
		Check: func(o *sensors.Options) error {
			if rates := ads1115RatesOf(o); !slices.Contains(rates, o.Integer("rate")) {
				return &sensors.OptionError{Key: "rate", Err: fmt.Errorf("the %s has %s samples per second", o.Text("model"), rateList(rates))}
			}
			return nil
		},
		New: newADS1115,
	})
}

func rateList(rates []int) string {
	var s string
	for i, r := range rates {
		if i > 0 {
			s += ", "
		}
		s += strconv.Itoa(r)
	}
	return s
}

func ads1115RatesOf(o *sensors.Options) []int {
	if o.Text("model") == "ads1015" {
		return ads1015Rates
	}
	return ads1115Rates
}

type ads1115 struct {
	device
	env      sensors.Env
	channels []ads1115Channel
	config   uint16 // of the conversion under way
	duration time.Duration
	unused   uint16               // bits of a conversion that an ADS1015 never sets
	idle     func() (bool, error) // converted, bound once so that Sense doesn't allocate
}

type ads1115Channel struct {
	name   string
	gain   string
	config uint16
	full   float64 // volts
	raw    int16   // of the last conversion
}

func newADS1115(ctx context.Context, e sensors.Env) (sensors.Sensor, error) {
	o := e.Options()
	s := &ads1115{device: newDevice(e, ads1115Addresses), env: e}
	s.idle = s.converted
	if o.Text("model") == "ads1015" {
		s.unused = 0x000f
	}
	rate := o.Integer("rate")
	// The oscillator is within ±10 %: section 5.5, data rate variation.
	s.duration = time.Second*11/10/time.Duration(rate) + ads1115Wake
	common := ads1115OS | ads1115Single | ads1115NoComp | slices.Index(ads1115RatesOf(o), rate)<<5
	channels := o.Channels()
	if len(channels) == 0 {
		channels = ads1115Inputs[4:]
	}
	for _, name := range channels {
		gain := o.Text("gain")
		if o.Given(name + ".gain") {
			gain = o.Text(name + ".gain")
		}
		full, err := sensors.Volts.Parse(gain)
		if err != nil {
			return nil, err
		}
		config := common | slices.Index(ads1115Inputs, name)<<12 | slices.Index(ads1115Gains, gain)<<9
		s.channels = append(s.channels, ads1115Channel{name: name, gain: gain, config: uint16(config), full: full})
	}
	return s, s.identify(ctx)
}

// identify looks at the comparator's limits, which are 0x8000 and 0x7FFF
// after power-up: a chip without an ID has nothing else.
func (s *ads1115) identify(ctx context.Context) error {
	low, err := s.word(ctx, ads1115Low)
	if err != nil {
		return err
	}
	high, err := s.word(ctx, ads1115High)
	if err != nil {
		return err
	}
	switch {
	case low == high && stuck([]byte{byte(low >> 8), byte(low)}):
		return errStuck("Lo_thresh", low)
	case low == 0x4b00 && high == 0x5000:
		return sensors.Errorf(sensors.Identity, "the limits read 0x4b00 and 0x5000: the chip looks like a TMP102 or LM75")
	}
	return nil
}

func (s *ads1115) Sense(ctx context.Context, r *sensors.Report) error {
	for i := range s.channels {
		c := &s.channels[i]
		if err := s.convert(ctx, c); err != nil {
			return fmt.Errorf("channel %s: %w", c.name, err)
		}
	}
	// The last conversion, too, was read from a bus that wasn't stuck.
	if _, err := s.converted(); err != nil {
		return err
	}
	var failed error
	n := 0
	for i := range s.channels {
		c := &s.channels[i]
		if err := c.saturated(s.unused); err != nil {
			failed = errors.Join(failed, err)
			r.Fail(err, c.name)
			continue
		}
		n++
		r.Set(ads1115Voltage, float64(c.raw)*c.full/32768, c.name)
	}
	if n == 0 {
		return failed
	}
	return nil
}

// convert makes one conversion of a channel.
func (s *ads1115) convert(ctx context.Context, c *ads1115Channel) error {
	s.config = c.config
	if err := s.writeWord(ctx, ads1115Config, c.config); err != nil {
		return err
	}
	if err := s.env.Sleep(ctx, s.duration); err != nil {
		return err
	}
	if err := s.env.Poll(ctx, s.duration, 2*time.Millisecond, s.idle); err != nil {
		return err
	}
	raw, err := s.word(ctx, ads1115Conversion)
	if err != nil {
		return err
	}
	if raw&s.unused != 0 {
		return sensors.Errorf(sensors.Identity, "the conversion reads 0x%04x, of more than 12 bits: the chip looks like an ADS1115 (some are sold as ADS1015): give model=ads1115", raw)
	}
	c.raw = int16(raw)
	return nil
}

// converted tells whether the conversion has ended; then the chip is powered
// down. Settings other than those written are an error.
func (s *ads1115) converted() (bool, error) {
	v, err := s.word(context.Background(), ads1115Config)
	if err != nil {
		return false, err
	}
	if (v^s.config)&^ads1115OS != 0 {
		return false, sensors.Errorf(sensors.Identity, "the config register reads 0x%04x, not the 0x%04x that was written: the bus is stuck, the chip lost its supply for a moment, or it is no ADS1115", v, s.config)
	}
	return v&ads1115OS != 0, nil
}

// saturated is an error where the voltage is beyond what the gain can tell.
func (c *ads1115Channel) saturated(unused uint16) error {
	if c.raw < 0x7fff&^int16(unused) && c.raw > -0x8000 {
		return nil
	}
	advice := "give it a wider gain"
	if c.gain == ads1115Gains[0] {
		advice = "divide it down"
	}
	return sensors.Errorf(sensors.OutOfRange, "channel %s: the voltage is beyond ±%s: %s", c.name, c.gain, advice)
}
