package chips

import (
	"context"
	"time"

	"example.org/dormouse/sensors"
)

// Commands and sections are those of the SCD30's interface description. It can't
// measure on demand: it measures continuously, once in an interval, and keeps
// that and the interval over a loss of its supply. It is left as it is found, but
// for one that doesn't measure, which is told to.
var scd30 = family{
	name:      "scd30",
	summary:   "Sensirion SCD30: carbon dioxide 400 to 10000 ppm (±30 ppm ±3 %), temperature -40 to 70 °C (±0.4 °C), humidity 0 to 100 % (±3 %)",
	datasheet: "Sensirion SCD30 interface description, version 1.0",
	wiring:    "I2C at 3.3 V, SEL to ground; 0x61; it stretches the clock by up to 150 ms, and wants 50 kHz at most (dtparam=i2c_arm_baudrate=50000): a Pi before the 5 needs dtoverlay=i2c-gpio for that",
	timing:    "some 10 ms where it has a result that wasn't read yet, else until the end of its interval (2 s as it is delivered); 2 s more after power-up or an error",
	kernel:    "scd30 (iio), which measures continuously",
	addresses: []string{"0x61"},
	models: []chip{{
		part: "SCD30", sum: sensirion, commands: true,
		identity:  []identity{{step: scd30Word(0xd1, 0x00), serial: true, unnumbered: true, by: "firmware version with its checksum, command 0xD100"}},
		constants: []step{{write: hex{0x46, 0x00}, wait: scd30Pause, result: 2}}, // the interval in seconds
		measure: []step{
			// The status is 0 or 1; another program may have asked for something else.
			scd30Ready,
			{write: hex{0x03, 0x00}, wait: scd30Pause, result: 12,
				must: []test{{mask: 0xffffffff << 32, not: true, reason: sensors.NotReady, says: "it is too early after power-up: carbon dioxide is 0"}}},
		},
		fields: []field{
			{quantity: sensors.CarbonDioxide.Within(0, 40000), kind: "be:f32"},
			{quantity: sensors.Temperature.Within(-40, 70), at: 4, kind: "be:f32"},
			{quantity: overshoot, at: 8, kind: "be:f32", scale: 0.01, clamp: wet},
		},
	}},
}

// scd30Pause is the time between a command and its answer, which must be more
// than 3 ms: section 1.4.5. There is no repeated start.
const scd30Pause = 4 * time.Millisecond

func scd30Word(command ...byte) step { return step{write: command, wait: scd30Pause, status: 2} }

// scd30Look is how long one try waits for a result.
const scd30Look = 2 * time.Second

// scd30Ready waits for a result that wasn't read yet, for less than the shortest
// interval: a longer one is scd30Sensor's business.
var scd30Ready = func() step {
	s := scd30Word(0x02, 0x02)
	s.until = &until{mask: 0xffff, is: 1, within: scd30Look, every: 200 * time.Millisecond}
	return s
}()

func init() {
	if err := scd30.check(); err != nil {
		panic("chips: scd30: " + err.Error())
	}
	d := scd30.driver()
	d.New = newSCD30
	d.Notes = []string{
		"A result is at most one interval old. Read it less often than once in its interval, which is kept in the chip and not changed here.",
		"A rail is possible and not advisable: after power-up it needs 2 s to boot, an interval for the first result and about a minute to settle, takes as much current as ever, and its automatic calibration needs a supply that stays on for days.",
	}
	sensors.Register(d)
}

// scd30Sensor is an engine that waits as long as the chip's interval asks for.
type scd30Sensor struct{ *engine }

// scd30Boot is the time after power-up: section 1.1. A scan doesn't wait for it.
const scd30Boot = 2 * time.Second

func newSCD30(ctx context.Context, e sensors.Env) (sensors.Sensor, error) {
	if err := e.Sleep(ctx, scd30Boot); err != nil {
		return nil, err
	}
	s := &scd30Sensor{newEngine(e, &scd30, &scd30.models[0])}
	return s, s.start(ctx)
}

// scd30Longest limits the wait for a result; the driver's time-out is shorter in
// most configurations.
const scd30Longest = 30 * time.Second

// Sense has a chip that gives no result for longer than its interval measure.
// That isn't done before, for it ends the compensation of the ambient pressure,
// and the chip writes it into its memory.
func (s *scd30Sensor) Sense(ctx context.Context, r *sensors.Report) error {
	err := s.within(ctx, r)
	if err == nil || sensors.ReasonOf(err) != sensors.NotReady {
		return err
	}
	// Continuous measurement without compensation of the ambient pressure.
	if err := s.tx(ctx, []byte{0x00, 0x10, 0x00, 0x00, 0x81}, nil); err != nil {
		return err
	}
	return s.within(ctx, r)
}

// within senses until the interval has passed, and a quarter of it.
func (s *scd30Sensor) within(ctx context.Context, r *sensors.Report) error {
	c := s.frame.constants
	interval := time.Duration(c[0])<<8 | time.Duration(c[1])
	most := min(interval*time.Second*5/4, scd30Longest)
	// By the number of tries: a moment in which the machine was busy is none of them.
	for waited := scd30Look; ; waited += scd30Look {
		err := s.engine.Sense(ctx, r)
		if err == nil || sensors.ReasonOf(err) != sensors.NotReady || waited >= most {
			return err
		}
	}
}
