// Package rails switches the supplies of sensors: each is on only while it is
// used, comes after those that it depends on, and is cut off where it is on for
// too long.
package rails

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/daemon/duration"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board"
	"example.org/dormouse/sensors/internal/order"
)

// Rails are the supplies that lines switch, by name. A rail is on while
// somebody uses it: Up and Down count its users, which may be many and in any
// goroutine. A rail uses those that it comes after, so they are up before it
// and go down after it. Off means that the line is driven inactive and then let
// go, so that nothing is held between polls; a let-go line may float, so
// whatever it switches needs a resistor that keeps it off.
type Rails struct {
	// Log is told of a rail that was on for too long: slog.Default(), unless it
	// is set to another before the first Up.
	Log *slog.Logger

	order   []*rail // as configured
	falling []*rail // each before those that it comes after
	byName  map[string]*rail
}

type rail struct {
	config *sensors.Rail
	board  board.Board
	clock  board.Clock
	after  []*rail

	mu     sync.Mutex
	users  int
	line   sensors.Line // nil: off
	since  alarm.Instant
	onTime time.Duration // until since
	// on ends when the rail goes off; of one that is cut off while it is used,
	// its cause says why.
	on     context.Context
	ends   context.CancelCauseFunc
	cutOff error // not nil: it stays off until its users are gone
}

// New knows the rails and takes none of their lines yet. What a rail comes
// after must be among them, without circles: the configuration has seen to it.
func New(configs []*sensors.Rail, b board.Board, c board.Clock) *Rails {
	r := &Rails{Log: slog.Default(), byName: map[string]*rail{}}
	for _, config := range configs {
		one := &rail{config: config, board: b, clock: c}
		r.order = append(r.order, one)
		r.byName[config.Name] = one
	}
	for _, one := range r.order {
		for _, name := range one.config.After {
			one.after = append(one.after, r.byName[name])
		}
	}
	r.falling = order.Of(r.order, func(one *rail) []*rail { return one.after }, nil)
	slices.Reverse(r.falling)
	return r
}

// Succeed goes on with the on-times of the rails before, which are off: of those
// that have the same name on the same line.
func (r *Rails) Succeed(before *Rails) {
	for _, one := range r.order {
		o := before.byName[one.config.Name]
		if o == nil || o.config.Line.Key() != one.config.Line.Key() {
			continue
		}
		o.mu.Lock()
		spent := o.onTime
		o.mu.Unlock()
		one.mu.Lock()
		one.onTime = spent
		one.mu.Unlock()
	}
}

// Up switches the rail on, if it isn't, and returns when it has been on for
// its settling time and for warmup, whichever is longer: who comes later
// waits for the rest of it only. The rails that it comes after are up and
// settled before. Each Up that returns nil is paid back with one Down; one that
// returns an error has not made its caller a user.
func (r *Rails) Up(ctx context.Context, name string, warmup time.Duration) error {
	one, ok := r.byName[name]
	if !ok {
		return fmt.Errorf("there is no rail %s", name)
	}
	return r.up(ctx, one, warmup)
}

func (r *Rails) up(ctx context.Context, one *rail, warmup time.Duration) (err error) {
	name := one.config.Name
	var users []*rail // that are to be undone, the latest first
	defer func() {    // also when a wait panics
		for _, u := range users {
			err = errors.Join(err, r.down(u))
		}
	}()
	for _, other := range one.after {
		if err := r.up(ctx, other, 0); err != nil {
			return fmt.Errorf("rail %s comes after rail %s: %w", name, other.config.Name, err)
		}
		users = append([]*rail{other}, users...)
	}
	on, since, err := one.up(r)
	if err != nil {
		return fmt.Errorf("rail %s: switch on: %w", name, err)
	}
	// From here on down undoes those that it comes after as well.
	users = []*rail{one}
	if err := one.clock.SleepUntil(ctx, since.Add(max(one.config.Settle, warmup))); err != nil {
		return fmt.Errorf("rail %s: warm up: %w", name, err)
	}
	// Asked after it went up: one that goes off later takes this one along.
	for _, other := range one.after {
		if err := other.lost(); err != nil {
			return fmt.Errorf("rail %s: warm up: %w", name, err)
		}
	}
	if on.Err() != nil {
		return fmt.Errorf("rail %s was switched off while it warmed up: %w", name, context.Cause(on))
	}
	users = nil
	return nil
}

// While returns a copy of ctx that ends when the rail goes off under its user,
// with the reason as its cause. It is called between Up and Down; cancel must
// be called.
func (r *Rails) While(ctx context.Context, name string) (while context.Context, cancel context.CancelFunc) {
	on := r.byName[name].power()
	while, end := context.WithCancelCause(ctx)
	stop := context.AfterFunc(on, func() { end(context.Cause(on)) })
	return while, func() {
		stop()
		end(context.Canceled)
	}
}

// Down switches the rail off when its last user is gone, and then those that it
// came after, where nobody else uses them. One Down too many changes nothing.
func (r *Rails) Down(name string) error {
	one, ok := r.byName[name]
	if !ok {
		return fmt.Errorf("there is no rail %s", name)
	}
	return r.down(one)
}

func (r *Rails) down(one *rail) error {
	used, err := one.down()
	if err != nil {
		err = fmt.Errorf("rail %s: switch off: %w", one.config.Name, err)
	}
	if !used {
		return err
	}
	for _, other := range slices.Backward(one.after) {
		err = errors.Join(err, r.down(other))
	}
	return err
}

// AllDown switches every rail off, whoever uses it: at the end of the process
// or of a wake, and after an error. Each goes before those that it came after.
// Users remain counted, so that a Down that comes late takes no power from
// somebody who has raised the rail since. Its error also tells of earlier
// trouble that nobody was told of.
func (r *Rails) AllDown() error {
	var errs []error
	for _, one := range r.falling {
		if err := one.forceDown(errSwitchedOff, false); err != nil {
			errs = append(errs, fmt.Errorf("rail %s: switch off: %w", one.config.Name, err))
		}
	}
	return errors.Join(errs...)
}

var errSwitchedOff = errors.New("all rails were switched off")

// Rest drives the rails off that nobody has raised, once, and lets them go: a
// process that was killed may have left them on, and the drivers of Raspberry
// Pi's kernel keep the level of an output that is released. Those that are about
// to be raised it leaves alone, with what they come after. It goes on after an
// error.
func (r *Rails) Rest(soon func(name string) bool) error {
	var errs []error
	for _, one := range r.falling {
		raised := func(other *rail) bool {
			return soon(other.config.Name) && (other == one || other.comesAfter(one))
		}
		if slices.ContainsFunc(r.order, raised) {
			continue
		}
		if err := one.rest(); err != nil {
			errs = append(errs, fmt.Errorf("rail %s: switch off: %w", one.config.Name, err))
		}
	}
	return errors.Join(errs...)
}

func (r *rail) rest() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.line != nil {
		return nil
	}
	c := sensors.LineConfig{Output: true, ActiveLow: r.config.ActiveLow, Force: r.config.Force}
	line, err := r.board.OpenLine(r.config.Line, c, "dormouse "+r.config.Name)
	if err != nil {
		return err
	}
	return line.Close()
}

// limit switches a rail off that is on for longer than it may be, and before it
// those that come after it. on is its present time of power.
func (r *Rails) limit(on context.Context, one *rail, at alarm.Instant) {
	if one.clock.SleepUntil(on, at) != nil || !one.cut(on, one.tooLong()) {
		return // it is off already
	}
	var errs []error
	for _, other := range r.falling {
		if other != one && other.comesAfter(one) {
			err := sensors.Errorf(sensors.Timeout, "it comes after another that was switched off: %w", one.tooLong())
			errs = append(errs, other.forceDown(err, true))
		}
	}
	errs = append(errs, one.forceDown(one.tooLong(), true))
	r.Log.Error("a rail was on for too long and was switched off", "rail", one.config.Name, "line", one.config.Line.String(), "max-on", duration.Format(one.config.MaxOn), "configured", one.config.Configured)
	if err := errors.Join(errs...); err != nil {
		r.Log.Error("can't switch a rail off", "rail", one.config.Name, "err", err)
	}
}

func (r *rail) tooLong() error {
	return sensors.Errorf(sensors.Timeout, "rail %s was on for %s, its max-on, and was switched off: its sensors take longer than that, or one of them hangs, or holds a line between reads", r.config.Name, duration.Format(r.config.MaxOn))
}

func (r *rail) comesAfter(other *rail) bool {
	return slices.ContainsFunc(r.after, func(a *rail) bool { return a == other || a.comesAfter(other) })
}

// Wires tells the state of each rail, in the order of the configuration.
func (r *Rails) Wires() []sensors.Wire {
	wires := make([]sensors.Wire, len(r.order))
	for i, one := range r.order {
		wires[i] = one.wire()
	}
	return wires
}

func (r *rail) up(all *Rails) (on context.Context, since alarm.Instant, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cutOff != nil {
		return nil, 0, r.cutOff
	}
	if r.line == nil {
		c := sensors.LineConfig{Output: true, Active: true, ActiveLow: r.config.ActiveLow, Force: r.config.Force}
		line, err := r.board.OpenLine(r.config.Line, c, "dormouse "+r.config.Name)
		if err != nil {
			return nil, 0, err
		}
		r.line, r.since = line, r.clock.Now()
		r.on, r.ends = context.WithCancelCause(context.Background())
		if r.config.MaxOn > 0 {
			go all.limit(r.on, r, r.since.Add(r.config.MaxOn))
		}
	}
	r.users++
	return r.on, r.since, nil
}

// down tells whether it had a user to lose.
func (r *rail) down() (used bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.users == 0 {
		return false, nil
	}
	r.users--
	if r.users > 0 {
		return true, nil
	}
	r.cutOff = nil
	return true, r.off(context.Canceled)
}

// forceDown switches it off whoever uses it; where it stays off, until its
// users are gone.
func (r *rail) forceDown(why error, stays bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if stays && r.users > 0 {
		r.cutOff = why
	}
	return r.off(why)
}

// cut lets nobody raise the rail any more, if it is still on as it was.
func (r *rail) cut(on context.Context, why error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.line == nil || r.on != on {
		return false
	}
	r.cutOff = why
	return true
}

// lost is why the rail isn't on though it is used; nil where it is on.
func (r *rail) lost() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.cutOff != nil:
		return r.cutOff
	case r.line == nil:
		return fmt.Errorf("rail %s was switched off", r.config.Name)
	}
	return nil
}

// power lasts as long as the rail is on; it has ended where it is off.
func (r *rail) power() context.Context {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.line == nil {
		off, end := context.WithCancelCause(context.Background())
		end(cmp.Or(r.cutOff, errSwitchedOff))
		return off
	}
	return r.on
}

// off drives the line off, then closes it, whether or not it could be driven.
func (r *rail) off(why error) error {
	if r.line == nil {
		return nil
	}
	line := r.line
	r.line = nil
	r.onTime += r.clock.Now().Sub(r.since)
	defer r.ends(why)
	return errors.Join(line.SetActive(false), line.Close())
}

func (r *rail) wire() sensors.Wire {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := sensors.Wire{Kind: "rail", Name: r.config.Name, Where: r.config.Line.String(), Active: r.line != nil, OnTime: r.onTime}
	if w.Active {
		w.OnTime += r.clock.Now().Sub(r.since)
	}
	return w
}
