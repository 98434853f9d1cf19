package serial

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"
	"time"

	"example.org/dormouse/daemon/duration"
	"example.org/dormouse/sensors"
)

// The protocol is in appendices I and II of both data manuals. A frame begins
// with 0x42 0x4D and the length of what follows, and ends with the sum of all
// bytes before.
const (
	pmsHead       = 0x424d
	pmsAnswer     = 4  // length of the answer to a command
	pmsData       = 28 // and of a measurement
	pmsStart      = 4  // bytes before the content
	pmsRead       = 0xe2
	pmsMode       = 0xe1 // 0: passive, 1: active
	pmsSleep      = 0xe4 // 0: asleep, 1: awake
	pmsLongest    = pmsStart + pmsData
	pmsPatience   = 2 * time.Second // for an answer; in active mode, a frame comes every 2.3 s at most
	pmsStarts     = time.Second     // from waking up until commands are heard
	pmsMostFrames = 6
	pmsMostFailed = 2
)

var pmsParticles = sensors.ParticulateMatter.Within(0, 5e-3)

func init() {
	sensors.Register(&sensors.Driver{
		Name:      "pms5003",
		Aliases:   map[string]string{"pms7003": "pms7003", "pmsa003": "pms7003"},
		Summary:   "Plantower PMS5003, PMS7003: mass of particles up to 1, 2.5 and 10 µm, 0 to 500 µg/m³ (±10 µg/m³, above 100 µg/m³ ±10 %)",
		Datasheet: "Plantower PMS5003 series data manual V2.3, PMS7003 series data manual V2.5",
		Reasons:   []sensors.Reason{sensors.Checksum, sensors.Identity},
		Wiring: "5 V, and 3.3 V at its serial port: TX to RXD (pin 10), RX to TXD (pin 8), or a USB adapter of 3.3 V; SET and RESET stay open. " +
			"The header's port: no login shell on it (raspi-config), enable_uart=1; on a Pi 3, 4 and Zero W its clock follows the processor's unless core_freq is fixed, as enable_uart=1 does",
		Timing: "its fan runs for settle, 30 s, before it is read; fan and laser are off in between (sleep=no keeps them on)",
		Options: []sensors.Option{
			sensors.PortOpt(),
			{Name: "model", Type: sensors.EnumOption, Choices: []string{"pms5003", "pms7003"}, Default: "pms5003", Help: "the sensor: they can't be distinguished from outside; a PMS7003 also reports its faults"},
			{Name: "settle", Type: sensors.DurationOption, Default: "30s", Range: &sensors.Range{Min: 0, Max: 600},
				Help: "how long the fan runs before the measurement: 30s at least (data manual)"},
			{Name: "sleep", Type: sensors.BoolOption, Default: "yes", Help: "switch fan and laser off between reads: the laser lasts some 8000 hours"},
			{Name: "particles", Type: sensors.EnumOption, Choices: []string{"atmospheric", "standard"}, Default: "atmospheric",
				Help: "how mass is computed from numbers: for the air as it is, or for the manufacturer's standard particles (CF=1)"},
			{Name: "timeout", Type: sensors.DurationOption, Default: "1m", Range: &sensors.Range{Min: 0.01, Max: 366 * 86400}, Help: "time that one attempt may take, settle included"},
			{Name: "retries", Type: sensors.IntegerOption, Default: "1", Range: &sensors.Range{Min: 0, Max: 10}, Help: "further attempts within one due read; each takes settle again"},
		},
		Measures: []*sensors.Quantity{pmsParticles},
		Checksum: "sum of the frame's bytes, and two frames that agree",
		Check: func(o *sensors.Options) error {
			if least := o.Duration("settle") + 10*time.Second; o.Duration("timeout") < least {
				return &sensors.OptionError{Key: "timeout", Err: fmt.Errorf("%s is too short: with settle=%s a read takes up to %s", duration.Format(o.Duration("timeout")), duration.Format(o.Duration("settle")), duration.Format(least))}
			}
			return nil
		},
		New: newPMS5003,
	})
}

type pms5003 struct {
	env    sensors.Env
	since  sensors.Instant // when it was woken; zero: it is asleep, as far as is known
	frames scanner
}

func newPMS5003(_ context.Context, e sensors.Env) (sensors.Sensor, error) {
	return &pms5003{env: e}, nil
}

// Sense wakes the sensor, lets its fan settle, reads, and has it sleep again,
// on every way out.
func (s *pms5003) Sense(ctx context.Context, r *sensors.Report) (err error) {
	port, err := sensors.OpenSerial(s.env, sensors.SerialConfig{Baud: 9600})
	if err != nil {
		return err
	}
	s.frames = scanner{port: port, frame: pmsFrame}
	sleep := s.env.Options().Bool("sleep")
	defer func() {
		if sleep || err != nil {
			err = errors.Join(err, s.sleep(ctx, err == nil))
		}
		err = errors.Join(err, port.Close())
		if err != nil {
			r.Reset()
		}
	}()
	if err := s.wake(ctx); err != nil {
		return err
	}
	frame, err := s.measure(ctx)
	if err != nil {
		return err
	}
	return s.report(frame, r)
}

// wake switches fan and laser on, and waits until the air that is measured is
// that of now.
func (s *pms5003) wake(ctx context.Context) error {
	if s.since.IsZero() {
		if err := s.command(ctx, pmsSleep, 1); err != nil {
			return err
		}
		s.since = s.env.Now()
		if err := s.env.Sleep(ctx, pmsStarts); err != nil {
			return err
		}
	}
	// After power-up it is active: it sends by itself. Where it doesn't hear this,
	// what it sends is as good as an answer.
	if err := s.command(ctx, pmsMode, 0); err != nil {
		return err
	}
	left := s.since.Add(s.env.Options().Duration("settle")).Sub(s.env.Now())
	return s.env.Sleep(ctx, max(0, left))
}

// measure reads until two frames in a row agree: the sum doesn't tell of two
// bits that were disturbed the one up, the other down. Its values are new once a
// second or so, a frame takes 33 ms.
func (s *pms5003) measure(ctx context.Context) ([]byte, error) {
	if err := s.frames.discard(); err != nil {
		return nil, err
	}
	var last []byte
	failed := 0
	for range pmsMostFrames {
		frame, err := s.ask(ctx)
		if err != nil {
			if failed++; failed > pmsMostFailed || ctx.Err() != nil || !pmsAskAgain(err) {
				return nil, err
			}
			continue
		}
		if bytes.Equal(frame, last) {
			return frame, nil
		}
		last = frame
	}
	return nil, sensors.Errorf(sensors.Checksum, "no two of %d measurements agree: check the wiring, and that the port's clock is right (enable_uart=1 in config.txt)", pmsMostFrames)
}

// pmsAskAgain tells of an error that another question may be spared.
func pmsAskAgain(err error) bool {
	reason := sensors.ReasonOf(err)
	return reason == sensors.Checksum || reason == sensors.NoAnswer && !errors.Is(err, syscall.EIO)
}

// ask asks for a measurement.
func (s *pms5003) ask(ctx context.Context) ([]byte, error) {
	if err := s.command(ctx, pmsRead, 0); err != nil {
		return nil, err
	}
	limited, cancel := s.env.WithTimeout(ctx, pmsPatience)
	defer cancel()
	for {
		frame, err := s.frames.next(limited)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, context.DeadlineExceeded):
			return nil, sensors.Errorf(sensors.NoAnswer, "no answer on %s within %s: check 5 V, ground, TX and RX (crossed), and that SET and RESET are not low",
				s.env.Options().Claims()[0], duration.Format(pmsPatience))
		case err != nil:
			return nil, err
		case len(frame) == pmsLongest:
			return frame, nil
		}
	}
}

// sleep switches fan and laser off. After a failure nothing is awaited, and the
// context may have ended: it gets one write of its own.
func (s *pms5003) sleep(ctx context.Context, well bool) error {
	s.since = 0
	last, cancel := s.env.WithTimeout(context.WithoutCancel(ctx), pmsStarts)
	defer cancel()
	if !well {
		_ = s.command(last, pmsSleep, 0) // the error that it failed with is the one to tell
		return nil
	}
	return s.command(last, pmsSleep, 0)
}

// command sends a command with its argument.
func (s *pms5003) command(ctx context.Context, command, argument byte) error {
	frame := binary.BigEndian.AppendUint16(nil, pmsHead)
	frame = append(frame, command, 0, argument)
	return s.frames.port.Write(ctx, binary.BigEndian.AppendUint16(frame, pmsSum(frame)))
}

func pmsSum(data []byte) (sum uint16) {
	for _, b := range data {
		sum += uint16(b)
	}
	return sum
}

// pmsFrame is the scanner's: it takes measurements and answers to commands.
func pmsFrame(data []byte) (size int, err error) {
	if data[0] != pmsHead>>8 || len(data) > 1 && data[1] != pmsHead&0xff {
		return -1, nil
	}
	if len(data) < pmsStart {
		return 0, nil
	}
	length := int(binary.BigEndian.Uint16(data[2:]))
	size = pmsStart + length
	switch {
	case length != pmsAnswer && length != pmsData:
		return -1, sensors.Errorf(sensors.Identity, "what comes are frames of %d bytes: those of a PMS5003 or PMS7003 have %d (a PMS3003 has 24, a PMS5003ST 40)", size, pmsLongest)
	case len(data) < size:
		return 0, nil
	}
	if sum := binary.BigEndian.Uint16(data[size-2:]); sum != pmsSum(data[:size-2]) {
		return -1, sensors.Errorf(sensors.Checksum, "a frame has the sum 0x%04x, its bytes add up to 0x%04x: check the wiring, and that the port's clock is right (enable_uart=1 in config.txt)", sum, pmsSum(data[:size-2]))
	}
	return size, nil
}

// report takes the values out of a frame: appendix I.
func (s *pms5003) report(frame []byte, r *sensors.Report) error {
	word := func(n int) uint16 { return binary.BigEndian.Uint16(frame[pmsStart+2*n:]) }
	if fault := word(12) & 0xff; fault != 0 && s.env.Options().Text("model") == "pms7003" {
		return sensors.Errorf(sensors.IO, "the sensor reports its fault 0x%02x: clean its fan and its air path, or replace it", fault)
	}
	first := 3 // atmospheric
	if s.env.Options().Text("particles") == "standard" {
		first = 0
	}
	for _, from := range []int{0, 3} { // a larger size contains the smaller
		if word(from) > word(from+1) || word(from+1) > word(from+2) {
			return sensors.Errorf(sensors.OutOfRange, "more small particles than all: %d, %d and %d µg/m³ up to 1, 2.5 and 10 µm", word(from), word(from+1), word(from+2))
		}
	}
	for i, size := range []string{"1", "2.5", "10"} {
		const microgram = 1e-6
		r.Set(pmsParticles, float64(word(first+i))*microgram, size)
	}
	return nil
}
