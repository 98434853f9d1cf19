package poll

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"sync/atomic"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board/lock"
	"example.org/dormouse/sensors/config"
	"example.org/dormouse/sensors/internal/await"
	"example.org/dormouse/sensors/poll/buses"
	"example.org/dormouse/sensors/poll/opened"
	"periph.io/x/conn/v3/i2c"
)

// A reader is all that a sensor's code touches. A read that hangs is left
// behind together with its reader, and the next gets a new one.
type reader struct {
	shared *shared
	cfg    *config.Sensor
	log    *slog.Logger
	device *i2c.Dev
	chip   *buses.Chip // that of device; nil: none

	sensor sensors.Sensor // nil: to be built
	report sensors.Report
	done   chan struct{}   // sent to when an attempt ends that is waited for, or was left behind
	batch  *batch          // those it is read with
	bus    *buses.Bus      // nil: its driver has none
	ctx    context.Context // of the attempt
	opened opened.Wires
	held   []sensors.Wire // of those, as the last attempt left them: the loop waits for no line
	locks  lock.Held      // of the attempt

	awaited atomic.Bool // the attempt or overdue, whichever sets it to false, ends the sensor's read
}

func newReader(sh *shared, cfg *config.Sensor) *reader {
	r := &reader{shared: sh, cfg: cfg, done: make(chan struct{}, 1), log: sh.log.With("sensor", cfg.Name)}
	if claim, ok := cfg.Options.Claim(sensors.I2CWire); ok {
		r.chip = buses.NewChip(sh.board, sh.clock, claim)
		r.device = &i2c.Dev{Bus: r.chip, Addr: uint16(claim.Address)}
	}
	return r
}

// A reader is the Env of its sensor.
var _ sensors.Env = (*reader)(nil)

func (r *reader) Name() string              { return r.cfg.Name }
func (r *reader) Options() *sensors.Options { return r.cfg.Options }
func (r *reader) I2C() *i2c.Dev             { return r.device }
func (r *reader) Files() sensors.Files      { return r.shared.board.Files() }
func (r *reader) Now() sensors.Instant      { return r.shared.clock.Now() }
func (r *reader) Log() *slog.Logger         { return r.log }
func (r *reader) Start(cmd *exec.Cmd) error { return r.shared.start(cmd) }
func (r *reader) Wait(cmd *exec.Cmd) error  { return r.shared.wait(cmd) }

func (r *reader) Line(option string, c sensors.LineConfig) (sensors.Line, error) {
	ref := r.cfg.Options.Line(option)
	c.Force = r.cfg.Options.Forced()
	return r.opened.Line(r.shared.board, ref, c, "dormouse "+r.cfg.Name)
}

func (r *reader) Open(c sensors.Claim, config any) (io.Closer, error) {
	return r.opened.Open(r.shared.board, c, config)
}

func (r *reader) Alone(ctx context.Context, kind sensors.WireKind) error {
	claim, ok := r.cfg.Options.Claim(kind)
	if !ok {
		return fmt.Errorf("the driver %s claims no wire of the kind %s", r.cfg.Driver.Name, kind)
	}
	return r.locks.Wait(ctx, r.shared.clock, func() (io.Closer, error) { return r.shared.board.Lock(claim) })
}

func (r *reader) WithTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	limited := r.shared.clock.WithDeadline(ctx, r.Now().Add(d))
	return limited, func() { limited.Cancel() }
}

func (r *reader) Sleep(ctx context.Context, d time.Duration) error {
	return r.shared.clock.Sleep(ctx, d)
}

func (r *reader) Poll(ctx context.Context, most, step time.Duration, done func() (bool, error)) error {
	return await.Until(ctx, r, most, step, done)
}

func (r *reader) Once(key string, f func(context.Context) error) error {
	return r.batch.Do(r.ctx, key, f)
}

func (r *reader) Value(name, quantity string) (v float64, at sensors.Instant, ok bool) {
	s := r.shared.set.Load().byName[name]
	if s == nil {
		return 0, 0, false
	}
	good := s.good.Load()
	if good == nil {
		return 0, 0, false
	}
	for _, reading := range good.readings {
		if reading.Quantity.Name == quantity && reading.Plain() {
			return reading.Value, good.at, true
		}
	}
	return 0, 0, false
}

// attempt builds the sensor where that is needed, and reads it once.
func (r *reader) attempt(ctx context.Context) error {
	r.ctx = ctx
	r.report.Reset()
	if r.chip != nil {
		r.chip.Begin(ctx, r.bus)
	}
	err := r.sense(ctx)
	r.held = r.held[:0]
	if r.holds() {
		r.held = r.opened.AppendState(r.held, r.cfg.Name)
	} else if r.opened.CloseLines(r.log) || err != nil {
		r.sensor = nil
	}
	if r.opened.CloseOthers(r.log) {
		r.sensor = nil
	}
	unlock := r.locks.Close()
	if r.chip != nil {
		unlock = errors.Join(unlock, r.chip.End())
	}
	if unlock != nil {
		r.log.Warn("can't unlock a wire", "err", unlock)
	}
	return err
}

func (r *reader) sense(ctx context.Context) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = newPanicError(v)
		}
	}()
	if r.sensor == nil {
		s, err := r.cfg.Driver.New(ctx, r)
		if err != nil {
			return err
		}
		if err := r.cfg.Fits(s); err != nil {
			return err
		}
		r.sensor = s
		if k, ok := s.(sensors.Keeper); ok {
			r.shared.counts.Restore(r.cfg, k)
		}
	}
	if err := r.sensor.Sense(ctx, &r.report); err != nil {
		return err
	}
	return r.keep(r.sensor)
}

// keep notes the count of a sensor that has one.
func (r *reader) keep(s sensors.Sensor) error {
	if k, ok := s.(sensors.Keeper); ok {
		return r.shared.counts.Keep(r.cfg, k)
	}
	return nil
}

func (r *reader) holds() bool {
	_, ok := r.sensor.(sensors.Holder)
	return ok
}

// close ends what the reader holds between polls, and keeps what it has counted
// up to then.
func (r *reader) close() error {
	s := r.sensor
	err := r.discard()
	if _, ok := s.(sensors.Holder); ok {
		err = errors.Join(err, r.keep(s))
	}
	return err
}

// discard is close for a reader that was left behind: what it has counted may
// be less than what its successor has.
func (r *reader) discard() error {
	if h, ok := r.sensor.(sensors.Holder); ok {
		r.sensor = nil
		err := h.Close()
		r.opened.CloseLines(r.log)
		return err
	}
	return nil
}

// leaveBus ends the use of its bus by a reader that was left behind.
func (r *reader) leaveBus() {
	if r.bus == nil {
		return
	}
	if err := r.bus.Leave(); err != nil {
		r.log.Warn("can't close a bus", "bus", r.bus.String(), "err", err)
	}
	r.bus = nil
}
