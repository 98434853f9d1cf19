package chips

import (
	"context"
	"fmt"
	"time"

	"example.org/dormouse/sensors"
)

// Commands: SHT4x data sheet, section 4.5, table 8.
const (
	sht4xSerial = 0x89

	sht4xStartup     = time.Millisecond // section 3.2: power-up time
	sht4xCommandTime = time.Millisecond // from a command without a measurement to its answer
	sht4xGrace       = 10 * time.Millisecond
)

var (
	sht4xAddresses = []string{"0x44", "0x45", "0x46"} // section 4.1

	// The longest measurement for each repeatability: section 3.2. The low one
	// took 1.7 ms in earlier revisions.
	sht4xPrecisions = map[string]struct {
		command  byte
		duration time.Duration
	}{
		"high":   {0xfd, 8300 * time.Microsecond},
		"medium": {0xf6, 4500 * time.Microsecond},
		"low":    {0xe0, 1700 * time.Microsecond},
	}

	sht4xTemperature = sensors.Temperature.Within(-40, 125) // section 2.2
	sht4xHumidity    = sensors.Humidity
)

func init() {
	sensors.Register(&sensors.Driver{
		Name:      "sht4x",
		Summary:   "Sensirion SHT40, SHT41, SHT43, SHT45: temperature -40 to 125 °C (±0.1 to ±0.2 °C), humidity 0 to 100 % (±1 to ±1.8 %)",
		Datasheet: "Sensirion SHT4x, version 6 (February 2023)",
		Wiring:    "I2C at 3.3 V; the address is in the part's name: A is 0x44, B 0x45, C 0x46",
		Timing:    "8.3 ms at high precision, 4.5 ms at medium, 1.7 ms at low; the chip idles in between and its heater stays off",
		Options: []sensors.Option{
			sensors.BusOpt(),
			sensors.AddrOpt(sht4xAddresses...),
			{Name: "precision", Type: sensors.EnumOption, Default: "high", Choices: []string{"high", "medium", "low"},
				Help: "repeatability: high is ±0.04 °C and ±0.08 %, low is three times that in a fifth of the time"},
		},
		Measures: []*sensors.Quantity{sht4xTemperature, sht4xHumidity},
		New:      newSHT4x,
	})
}

type sht4x struct {
	device
	env      sensors.Env
	command  byte
	duration time.Duration
	refusal  error                // of the last fetch
	fetched  func() (bool, error) // fetch, bound once so that Sense doesn't allocate
}

func newSHT4x(ctx context.Context, e sensors.Env) (sensors.Sensor, error) {
	p := sht4xPrecisions[e.Options().Text("precision")]
	s := &sht4x{device: newDevice(e, sht4xAddresses), env: e, command: p.command, duration: p.duration}
	s.fetched = s.fetch
	if err := e.Sleep(ctx, sht4xStartup); err != nil { // its supply may have risen just now
		return nil, err
	}
	// There is no ID register; a serial number with good checksums is what
	// only this family answers.
	if err := s.ask(ctx, sht4xSerial, sht4xCommandTime); err != nil {
		return nil, fmt.Errorf("serial number: %w", err)
	}
	return s, nil
}

func (s *sht4x) Sense(ctx context.Context, r *sensors.Report) error {
	if err := s.ask(ctx, s.command, s.duration); err != nil {
		return err
	}
	// Section 4.6, where a humidity beyond the ends may be cut to them.
	t := -45 + 175*float64(uint16(s.in[0])<<8|uint16(s.in[1]))/65535
	h := -6 + 125*float64(uint16(s.in[3])<<8|uint16(s.in[4]))/65535
	r.Set(sht4xTemperature, t)
	r.Set(sht4xHumidity, min(max(h, 0), 100)/100)
	return nil
}

// ask sends a command and reads its two words. Until they are ready the chip
// doesn't answer to its address: section 4.2.
func (s *sht4x) ask(ctx context.Context, command byte, wait time.Duration) error {
	s.out[0] = command
	if err := s.tx(ctx, s.out[:1], nil); err != nil {
		return fmt.Errorf("command 0x%02x: %w", command, err)
	}
	if err := s.env.Sleep(ctx, wait); err != nil {
		return err
	}
	if err := s.env.Poll(ctx, sht4xGrace, 2*time.Millisecond, s.fetched); err != nil {
		if s.refusal != nil && sensors.ReasonOf(err) == sensors.NotReady {
			return sensors.Errorf(sensors.NotReady, "the chip took command 0x%02x and has no answer: %w", command, s.refusal)
		}
		return err
	}
	for _, word := range [][]byte{s.in[:3], s.in[3:6]} {
		// Section 4.4.
		if want := sensors.CRC8(0x31, 0xff, word[:2]...); word[2] != want {
			return sensors.Errorf(sensors.Checksum, "the answer % x to command 0x%02x has the checksum 0x%02x and not 0x%02x: the bus is disturbed or stuck, or the chip is no SHT4x", s.in[:6], command, word[2], want)
		}
	}
	return nil
}

// fetch reads the answer, and tells whether there was one.
func (s *sht4x) fetch() (bool, error) {
	s.refusal = s.dev.Tx(nil, s.in[:6])
	if s.refusal != nil && sensors.ReasonOf(s.refusal) == sensors.NoAnswer {
		return false, nil
	}
	return true, s.refusal
}
