package board

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/sensors"
)

// A Clock tells the time and waits; *alarm.Clock is one.
type Clock interface {
	Now() alarm.Instant
	SleepUntil(ctx context.Context, at alarm.Instant) error
}

// Rails are the supplies that lines switch, by name. A rail is on while
// somebody uses it: Up and Down count its users, which may be many and in any
// goroutine. Off means that the line is driven inactive and then let go, so
// that nothing is held between polls; a let-go line may float, so whatever it
// switches needs a resistor that keeps it off.
type Rails struct {
	order  []*rail
	byName map[string]*rail
}

type rail struct {
	config *sensors.RailConfig
	board  Board
	clock  Clock

	mu     sync.Mutex
	users  int
	line   sensors.Line // nil: off
	since  alarm.Instant
	onTime time.Duration // until since
}

// NewRails knows the rails and takes none of their lines yet.
func NewRails(configs []*sensors.RailConfig, b Board, c Clock) *Rails {
	r := &Rails{byName: map[string]*rail{}}
	for _, config := range configs {
		one := &rail{config: config, board: b, clock: c}
		r.order = append(r.order, one)
		r.byName[config.Name] = one
	}
	return r
}

// Up switches the rail on, if it isn't, and returns when it has been on for
// its settling time and for warmup, whichever is longer: who comes later
// waits for the rest of it only. Each Up that returns nil is paid back with
// one Down; one that returns an error has not made its caller a user.
func (r *Rails) Up(ctx context.Context, name string, warmup time.Duration) (err error) {
	one, ok := r.byName[name]
	if !ok {
		return fmt.Errorf("there is no rail %s", name)
	}
	since, err := one.up()
	if err != nil {
		return fmt.Errorf("rail %s: switch on: %w", name, err)
	}
	warm := false
	defer func() { // also when the wait panics
		if !warm {
			err = errors.Join(err, one.down())
		}
	}()
	if err := one.clock.SleepUntil(ctx, since.Add(max(one.config.Settle, warmup))); err != nil {
		return fmt.Errorf("rail %s: warm up: %w", name, err)
	}
	if !one.onSince(since) {
		return fmt.Errorf("rail %s was switched off while it warmed up", name)
	}
	warm = true
	return nil
}

// Down switches the rail off when its last user is gone. One Down too many
// changes nothing.
func (r *Rails) Down(name string) error {
	one, ok := r.byName[name]
	if !ok {
		return fmt.Errorf("there is no rail %s", name)
	}
	if err := one.down(); err != nil {
		return fmt.Errorf("rail %s: switch off: %w", name, err)
	}
	return nil
}

// AllDown switches every rail off, whoever uses it: at the end of the process
// or of a wake, and after an error. Users remain counted, so that a Down that
// comes late takes no power from somebody who has raised the rail since. Its
// error also tells of earlier trouble that nobody was told of.
func (r *Rails) AllDown() error {
	var errs []error
	for _, one := range r.order {
		if err := one.forceDown(); err != nil {
			errs = append(errs, fmt.Errorf("rail %s: switch off: %w", one.config.Name, err))
		}
	}
	return errors.Join(errs...)
}

// Wires tells the state of each rail, in the order of the configuration.
func (r *Rails) Wires() []sensors.Wire {
	wires := make([]sensors.Wire, len(r.order))
	for i, one := range r.order {
		wires[i] = one.wire()
	}
	return wires
}

func (r *rail) up() (since alarm.Instant, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.line == nil {
		c := sensors.LineConfig{Output: true, Active: true, ActiveLow: r.config.ActiveLow}
		line, err := r.board.OpenLine(r.config.Line, c, "dormouse "+r.config.Name)
		if err != nil {
			return 0, err
		}
		r.line, r.since = line, r.clock.Now()
	}
	r.users++
	return r.since, nil
}

func (r *rail) down() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.users == 0 {
		return nil
	}
	r.users--
	if r.users > 0 {
		return nil
	}
	return r.off()
}

func (r *rail) forceDown() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.off()
}

func (r *rail) onSince(t alarm.Instant) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.line != nil && r.since == t
}

// off drives the line off, then closes it, whether or not it could be driven.
func (r *rail) off() error {
	if r.line == nil {
		return nil
	}
	line := r.line
	r.line = nil
	r.onTime += r.clock.Now().Sub(r.since)
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
