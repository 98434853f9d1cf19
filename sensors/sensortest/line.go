package sensortest

import (
	"context"
	"fmt"
	"sync"

	"example.org/dormouse/sensors"
)

// A Line is a GPIO line that a test drives. All levels are logical. It may be
// used from several goroutines.
type Line struct {
	OpenErr error // what asking for the line gives: busy, say
	Err     error // what each use of it gives: gone, say

	Config sensors.LineConfig // as it was asked for
	Sets   []bool             // what an output was driven to, first value included
	Opened int
	Closed int

	// What answers on the line. OnConfig is called after it was asked for or
	// reconfigured, OnSet after an output was driven: they may drive the levels
	// of moments to come, whose edges are there to be read at once. Level, if
	// set, is the level of an input when it is looked at.
	OnConfig func(c sensors.LineConfig)
	OnSet    func(active bool)
	Level    func() bool

	mu     sync.Mutex
	active bool
	seq    uint32
	queue  []sensors.Edge
	edge   chan struct{} // holds one token while the queue isn't empty
}

var _ sensors.Line = (*Line)(nil)

// kernelBuffer is how many events of one line the kernel keeps where nothing
// else is asked for (include/uapi/linux/gpio.h, gpio_v2_line_request).
const kernelBuffer = 16

func (l *Line) open(c sensors.LineConfig) error {
	l.mu.Lock()
	if l.OpenErr != nil {
		l.mu.Unlock()
		return l.OpenErr
	}
	l.seq, l.queue = 0, nil
	l.edge = make(chan struct{}, 1)
	l.Opened++
	l.configure(c)
	l.mu.Unlock()
	l.configured(c)
	return nil
}

func (l *Line) configure(c sensors.LineConfig) {
	l.Config = c
	if c.Output {
		l.active = c.Active
		l.Sets = append(l.Sets, c.Active)
	}
}

func (l *Line) configured(c sensors.LineConfig) {
	if l.OnConfig != nil {
		l.OnConfig(c)
	}
}

func (l *Line) Reconfigure(c sensors.LineConfig) error {
	l.mu.Lock()
	if err := l.usable(); err != nil {
		l.mu.Unlock()
		return err
	}
	c.Buffer = l.Config.Buffer
	l.configure(c)
	l.mu.Unlock()
	l.configured(c)
	return nil
}

// Drive sets the level at a moment, as the world outside would. Where that is
// an edge which was asked for, it is numbered and recorded as the kernel does:
// when the buffer is full the oldest goes.
func (l *Line) Drive(at sensors.Instant, active bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.active == active {
		return
	}
	l.active = active
	k := l.Config.Edges
	if l.Opened == l.Closed || k == sensors.NoEdge || k == sensors.RisingEdge && !active || k == sensors.FallingEdge && active {
		return
	}
	l.seq++
	size := l.Config.Buffer
	if size == 0 {
		size = kernelBuffer
	}
	if len(l.queue) >= size {
		l.queue = l.queue[1:]
	}
	l.queue = append(l.queue, sensors.Edge{At: at, Active: active, Seq: l.seq})
	select {
	case l.edge <- struct{}{}:
	default:
	}
}

func (l *Line) usable() error {
	if l.Err != nil {
		return l.Err
	}
	if l.Opened == l.Closed {
		return fmt.Errorf("the line is not open")
	}
	return nil
}

func (l *Line) Active() (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.usable(); err != nil {
		return false, err
	}
	if l.Level != nil && !l.Config.Output {
		return l.Level(), nil
	}
	return l.active, nil
}

func (l *Line) SetActive(active bool) error {
	if err := l.set(active); err != nil {
		return err
	}
	if l.OnSet != nil {
		l.OnSet(active)
	}
	return nil
}

func (l *Line) set(active bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.usable(); err != nil {
		return err
	}
	if !l.Config.Output {
		return fmt.Errorf("the line is an input")
	}
	l.active = active
	l.Sets = append(l.Sets, active)
	return nil
}

func (l *Line) Edges(buf []sensors.Edge) ([]sensors.Edge, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.usable(); err != nil {
		return buf, err
	}
	buf = append(buf, l.queue...)
	l.queue = l.queue[:0]
	select {
	case <-l.edge:
	default:
	}
	return buf, nil
}

func (l *Line) WaitEdge(ctx context.Context) error {
	l.mu.Lock()
	err, edge := l.usable(), l.edge
	l.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case <-edge:
		select {
		case edge <- struct{}{}: // it is still there to be read
		default:
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *Line) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.Closed++
	return nil
}
