package chips

import (
	"context"
	"testing"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/crc"
	"example.org/dormouse/sensors/sensortest"
	"periph.io/x/conn/v3/i2c"
)

// An idleEnv lets no time pass, and costs nothing.
type idleEnv struct{ *sensortest.Env }

func (e idleEnv) Now() sensors.Instant { return sensortest.Start }

func (e idleEnv) Sleep(ctx context.Context, d time.Duration) error { return ctx.Err() }

func (e idleEnv) Poll(ctx context.Context, most, step time.Duration, done func() (bool, error)) error {
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
	}
}

// A handDriver is what a chip's driver would be without the engine: the same
// transactions, waits and checks, and nothing that other chips need.
type handDriver struct {
	dev *i2c.Dev
	env sensors.Env
	out [3]byte
	in  [6]byte
	was [2]byte
}

func (h *handDriver) tx(ctx context.Context, w, r []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return h.dev.Tx(w, r)
}

// config is register 1.
func (h *handDriver) config(ctx context.Context) (uint16, error) {
	h.out[0] = 1
	err := h.tx(ctx, h.out[:1], h.in[:2])
	return uint16(h.in[0])<<8 | uint16(h.in[1]), err
}

// twice is register 0, in two reads that agree.
func (h *handDriver) twice(ctx context.Context) (int16, error) {
	h.out[0] = 0
	if err := h.tx(ctx, h.out[:1], h.was[:]); err != nil {
		return 0, err
	}
	if err := h.tx(ctx, h.out[:1], h.in[:2]); err != nil {
		return 0, err
	}
	if h.was != [2]byte(h.in[:2]) {
		return 0, sensors.Errorf(sensors.Checksum, "% x and % x", h.was, h.in[:2])
	}
	return int16(h.in[0])<<8 | int16(h.in[1]), nil
}

// handSHT4x reads as data sheet sections 4.2 to 4.6 say.
type handSHT4x struct{ handDriver }

func (h *handSHT4x) Sense(ctx context.Context, r *sensors.Report) error {
	h.out[0] = 0xfd
	if err := h.tx(ctx, h.out[:1], nil); err != nil {
		return err
	}
	if err := h.env.Sleep(ctx, 8300*time.Microsecond); err != nil {
		return err
	}
	in := h.in[:6]
	if err := h.tx(ctx, nil, in); err != nil {
		return err
	}
	for i := 0; i < 6; i += 3 {
		if crc.Sum8(0x31, 0xff, in[i:i+2]...) != in[i+2] {
			return sensors.Errorf(sensors.Checksum, "% x has a wrong checksum", in)
		}
	}
	celsius := -45 + 175*float64(uint16(in[0])<<8|uint16(in[1]))/65535
	ratio := -0.06 + 1.25*float64(uint16(in[3])<<8|uint16(in[4]))/65535
	if err := sensors.Temperature.Check(celsius); err != nil {
		return err
	}
	if err := overshoot.Check(ratio); err != nil {
		return err
	}
	r.Set(sensors.Temperature, celsius)
	r.Set(sensors.Humidity, min(max(ratio, 0), 1))
	return nil
}

// handTMP102 reads as data sheet sections 7.5.2 and 7.5.3 say.
type handTMP102 struct {
	handDriver
	ready func() (bool, error)
}

func newHandTMP102(h handDriver) *handTMP102 {
	s := &handTMP102{handDriver: h}
	s.ready = func() (bool, error) {
		c, err := s.config(context.Background())
		return c&0x8000 != 0, err
	}
	return s
}

func (h *handTMP102) Sense(ctx context.Context, r *sensors.Report) error {
	h.out = [3]byte{1, 0xe1, 0xa0}
	if err := h.tx(ctx, h.out[:], nil); err != nil {
		return err
	}
	if c, err := h.config(ctx); err != nil {
		return err
	} else if c&0x800f != 0 {
		return sensors.Errorf(sensors.Identity, "the configuration is 0x%04x", c)
	}
	if err := h.env.Sleep(ctx, 35*time.Millisecond); err != nil {
		return err
	}
	if err := h.env.Poll(ctx, 35*time.Millisecond, 5*time.Millisecond, h.ready); err != nil {
		return err
	}
	raw, err := h.twice(ctx)
	if err != nil {
		return err
	}
	if raw&0xf != 0 {
		return sensors.Errorf(sensors.Identity, "it is 0x%04x", raw)
	}
	if c, err := h.config(ctx); err != nil {
		return err
	} else if c&0xffdf != 0xe180 {
		return sensors.Errorf(sensors.Identity, "the configuration is 0x%04x", c)
	}
	celsius := float64(raw>>4) * 0.0625
	if err := sensors.Temperature.Check(celsius); err != nil {
		return err
	}
	r.Set(sensors.Temperature, celsius)
	return nil
}

// handADS1115 reads four inputs as data sheet sections 7.4.2.1 and 8.1.3 say.
type handADS1115 struct {
	handDriver
	ready func() (bool, error)
	volts [4]float64
}

func newHandADS1115(h handDriver) *handADS1115 {
	s := &handADS1115{handDriver: h}
	s.ready = func() (bool, error) {
		c, err := s.config(context.Background())
		return c&0x8000 != 0, err
	}
	return s
}

func (h *handADS1115) Sense(ctx context.Context, r *sensors.Report) error {
	for i := range h.volts {
		if err := h.convert(ctx, i); err != nil {
			return err
		}
	}
	for i, name := range ads1115Names {
		r.Set(ads1115Voltage, h.volts[i], name)
	}
	return nil
}

var (
	ads1115Names   = []string{"a0", "a1", "a2", "a3"}
	ads1115Voltage = sensors.Voltage.With("channel")
)

func (h *handADS1115) convert(ctx context.Context, input int) error {
	if c, err := h.config(ctx); err != nil {
		return err
	} else if c&0x8100 != 0x8100 {
		return sensors.Errorf(sensors.Busy, "the configuration is 0x%04x", c)
	}
	want := 0x8383 | 0x4000 | uint16(input)<<12 // ±4.096 V, 128 samples per second
	h.out = [3]byte{1, byte(want >> 8), byte(want)}
	if err := h.tx(ctx, h.out[:], nil); err != nil {
		return err
	}
	if c, err := h.config(ctx); err != nil {
		return err
	} else if c&0x8000 != 0 {
		return sensors.Errorf(sensors.Identity, "the configuration is 0x%04x", c)
	}
	if err := h.env.Sleep(ctx, 8600*time.Microsecond); err != nil {
		return err
	}
	if err := h.env.Poll(ctx, 20*time.Millisecond, 2*time.Millisecond, h.ready); err != nil {
		return err
	}
	raw, err := h.twice(ctx)
	if err != nil {
		return err
	}
	if c, err := h.config(ctx); err != nil {
		return err
	} else if c != want {
		return sensors.Errorf(sensors.Identity, "the configuration is 0x%04x", c)
	}
	if raw == 0x7fff || raw == -0x8000 {
		return sensors.Errorf(sensors.OutOfRange, "the voltage is beyond ±4.096 V")
	}
	h.volts[input] = float64(raw) * 4.096 / 32768
	return ads1115Voltage.Check(h.volts[input])
}

// The chips answer at once, and as if their measurements took a moment.
type (
	benchSHT4x  struct{ command byte }
	benchTMP102 struct{ looks int } // since a conversion was begun
	// A config is read as it was written, but right after it.
	benchADS1115 struct {
		config [2]byte
		looks  int
	}
)

func (c *benchSHT4x) tx(w, r []byte) error {
	if len(w) > 0 {
		c.command = w[0]
	}
	if copy(r, []byte{0xbe, 0xef, 0x92, 0xbe, 0xef, 0x92}); c.command == 0x89 { // the serial number
		copy(r, []byte{0x00, 0x00, 0x81})
	}
	return nil
}

func (c *benchTMP102) tx(w, r []byte) error {
	switch {
	case len(r) == 0:
		c.looks = 0
	case w[0] == 0:
		r[0], r[1] = 0x19, 0x00
	case w[0] == 1:
		if r[0], r[1] = 0xe1, 0xa0; c.looks == 0 {
			r[0] = 0x61
		}
		c.looks++
	}
	return nil
}

func (c *benchADS1115) tx(w, r []byte) error {
	switch {
	case len(r) == 0:
		c.config, c.looks = [2]byte(w[1:]), 0
	case w[0] == 0:
		r[0], r[1] = 0x19, 0x00
	case w[0] == 1:
		if r[0], r[1] = c.config[0]|0x80, c.config[1]; c.looks == 0 {
			r[0] = c.config[0] &^ 0x80
		}
		c.looks++
	}
	return nil
}

// BenchmarkTable compares a read by a table with one by hand, on a bus that
// costs nothing: each as the fastest of its rounds, because nothing makes a
// round faster than it is, and much on a busy machine makes it slower.
func BenchmarkTable(b *testing.B) {
	for _, c := range []struct {
		driver string
		bus    sensortest.Chip
		hand   func(h handDriver) sensors.Sensor
	}{
		{"sht4x", new(benchSHT4x).tx, func(h handDriver) sensors.Sensor { return &handSHT4x{h} }},
		{"tmp102", new(benchTMP102).tx, func(h handDriver) sensors.Sensor { return newHandTMP102(h) }},
		{"ads1115", new(benchADS1115).tx, func(h handDriver) sensors.Sensor { return newHandADS1115(h) }},
	} {
		b.Run(c.driver, func(b *testing.B) {
			e := sensortest.New(b, sensortest.Driver(b, c.driver), nil)
			e.Bus = c.bus
			env := idleEnv{e}
			table, err := sensortest.Driver(b, c.driver).New(b.Context(), env)
			if err != nil {
				b.Fatal(err)
			}
			hand := c.hand(handDriver{dev: e.I2C(), env: env})
			byTable, byHand := time.Hour, time.Hour
			for b.Loop() {
				byTable = min(byTable, round(b, table))
				byHand = min(byHand, round(b, hand))
			}
			more := byTable - byHand
			b.ReportMetric(float64(byTable), "ns/table")
			b.ReportMetric(float64(byHand), "ns/hand")
			b.ReportMetric(float64(more), "ns/more")
			b.ReportMetric(float64(byTable)/float64(byHand), "ratio")
		})
	}
}

// round is what one read takes, of some hundred.
func round(b *testing.B, s sensors.Sensor) time.Duration {
	const reads = 200
	var r sensors.Report
	ctx := context.Background()
	began := time.Now()
	for range reads {
		r.Reset()
		if err := s.Sense(ctx, &r); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(began) / reads
}
