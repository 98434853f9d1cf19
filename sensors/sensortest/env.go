// Package sensortest is the world that a driver's tests put it into: a bus,
// lines and files that answer as the test says, time that passes without
// waiting, and the faults that every driver must survive (Faults).
//
// It models no chip in depth: byte-exact tests use periph's
// i2ctest.Playback, and the modelled board is sensors/board/sim.
package sensortest

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os/exec"
	"testing"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/internal/await"
	"periph.io/x/conn/v3/i2c"
)

// Start is the virtual moment at which every Env begins: an hour after boot.
const Start = sensors.Instant(time.Hour)

// mostWaits bounds the waits of one test, so that a driver that waits for
// ever in virtual time is found rather than hangs the test.
const mostWaits = 10_000

// An Env is a sensor's environment in virtual time. A test fills in the wires
// that its driver uses before it reads, and looks at the records afterwards.
type Env struct {
	Bus   i2c.Bus          // what I2C talks to
	FS    *Files           // what Files reads and writes; empty at first
	Lines map[string]*Line // by the option that names the line
	// Wires are what is connected to other wires: an SPIChip, a *SerialDevice.
	Wires  map[sensors.WireKind]any
	Values map[string]float64

	// Alones are the kinds of wires that the driver asked to have alone, and
	// AloneErr is what it is told.
	Alones   []sensors.WireKind
	AloneErr error

	// Waits are the durations that were asked for, those of Poll one by one.
	Waits []time.Duration
	// OnWait, if set, is called in each wait, before the clock advances; n
	// counts from 0.
	OnWait func(n int)

	// Debug lets Log take debug messages, too.
	Debug bool

	tb      testing.TB
	options *sensors.Options
	dev     i2c.Dev
	now     sensors.Instant
	cancel  func()  // of a fault's read
	faults  *tamper // of a fault
	once    map[string]error
	log     bytes.Buffer
}

var _ sensors.Env = (*Env)(nil)

// New makes an environment for a sensor with these options, which are
// validated as those of the configuration are. Values are keyed
// "sensor/quantity".
func New(tb testing.TB, d *sensors.Driver, texts map[string]string, channels ...string) *Env {
	tb.Helper()
	o, err := sensors.NewOptions(d, texts, channels...)
	if err != nil {
		tb.Fatalf("options of %s: %v", d.Name, err)
	}
	return &Env{
		FS: &Files{}, Lines: map[string]*Line{}, Wires: map[sensors.WireKind]any{}, Values: map[string]float64{},
		tb: tb, options: o, now: Start, cancel: func() {}, once: map[string]error{},
	}
}

// Driver returns the registered driver of that name, which must exist.
func Driver(tb testing.TB, name string) *sensors.Driver {
	tb.Helper()
	d, ok := sensors.DriverByName(name)
	if !ok {
		tb.Fatalf("no driver %s is registered", name)
	}
	return d
}

// NextWake begins another wake after d: what Once ran may run again.
func (e *Env) NextWake(d time.Duration) {
	e.now = e.now.Add(d)
	clear(e.once)
}

// Logged is what the sensor logged, as slog's text handler writes it.
func (e *Env) Logged() string { return e.log.String() }

// Waited is the virtual time that has passed.
func (e *Env) Waited() time.Duration { return e.now.Sub(Start) }

func (e *Env) Name() string              { return "test" }
func (e *Env) Options() *sensors.Options { return e.options }
func (e *Env) Files() sensors.Files      { return e.FS }
func (e *Env) Now() sensors.Instant      { return e.now }

func (e *Env) I2C() *i2c.Dev {
	if e.Bus == nil {
		e.tb.Fatal("the driver asks for an I2C bus: set Env.Bus")
	}
	e.dev = i2c.Dev{Bus: e.Bus, Addr: uint16(e.options.Address("addr"))}
	return &e.dev
}

func (e *Env) Line(option string, c sensors.LineConfig) (sensors.Line, error) {
	l := e.Lines[option]
	if l == nil {
		e.tb.Fatalf("the driver asks for the line of option %s: set Env.Lines[%q]", option, option)
	}
	if err := l.open(c); err != nil {
		return nil, fmt.Errorf("open line %s: %w", e.options.Line(option), err)
	}
	return l, nil
}

// Alone notes the kind.
func (e *Env) Alone(ctx context.Context, kind sensors.WireKind) error {
	e.Alones = append(e.Alones, kind)
	if err := ctx.Err(); err != nil {
		return err
	}
	return e.AloneErr
}

// Start starts the program for real.
func (e *Env) Start(cmd *exec.Cmd) error { return cmd.Start() }

// Wait waits for a program that runs for real.
func (e *Env) Wait(cmd *exec.Cmd) error { return cmd.Wait() }

func (e *Env) Sleep(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(e.Waits) > mostWaits {
		e.tb.Fatal("the driver waits without end")
	}
	e.Waits = append(e.Waits, d)
	if e.OnWait != nil {
		e.OnWait(len(e.Waits) - 1)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return e.passUntil(ctx, e.now.Add(d))
}

func (e *Env) Poll(ctx context.Context, max, step time.Duration, done func() (bool, error)) error {
	if step <= 0 || max <= 0 {
		e.tb.Fatalf("Poll is called with max %v and step %v, which must be positive", max, step)
	}
	return await.Until(ctx, e, max, step, done)
}

func (e *Env) Once(key string, f func(context.Context) error) error {
	err, ran := e.once[key]
	if !ran {
		err = f(context.Background())
		e.once[key] = err
	}
	return err
}

func (e *Env) Value(sensor, quantity string) (float64, sensors.Instant, bool) {
	v, ok := e.Values[sensor+"/"+quantity]
	return v, e.now, ok
}

func (e *Env) Log() *slog.Logger {
	level := slog.LevelInfo
	if e.Debug {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(&e.log, &slog.HandlerOptions{Level: level}))
}
