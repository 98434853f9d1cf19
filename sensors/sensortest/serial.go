package sensortest

import (
	"context"
	"io"
	"os"
	"slices"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board"
)

// A SerialDevice is what is at the other end of a serial port, in the virtual
// time of an Env.
type SerialDevice struct {
	// Receive is called with what a driver sends. May be nil.
	Receive func(now sensors.Instant, data []byte)
	Opened  int // how often the port was opened
	Closed  int
	Err     error // not nil: what every read and write gives: an adapter that is unplugged
	OpenErr error // what an open gives

	sent []sent // by the moment
}

// sent is something that the device sends, from a moment on.
type sent struct {
	at   sensors.Instant
	data []byte
}

// Send has the device send data from a moment on.
func (d *SerialDevice) Send(at sensors.Instant, data ...byte) {
	d.sent = append(d.sent, sent{at, slices.Clone(data)})
	slices.SortStableFunc(d.sent, func(a, b sent) int { return int(max(-1, min(1, a.at.Sub(b.at)))) })
}

// serialPort is a port that a driver has opened. What the device sends takes
// the time of its bits, and comes in pieces.
type serialPort struct {
	env    *Env
	device *SerialDevice
	char   time.Duration
	closed bool
}

// piece is the most that one read gives: not a divisor of any frame's length.
const piece = 7

func openSerial(e *Env, connected, config any) (io.Closer, error) {
	d, c := connected.(*SerialDevice), config.(sensors.SerialConfig)
	if err := board.CheckSerial("test", c); err != nil {
		return nil, err
	}
	if d.OpenErr != nil {
		return nil, d.OpenErr
	}
	d.Opened++
	return &serialPort{env: e, device: d, char: 10 * time.Second / time.Duration(c.Baud)}, nil
}

func (p *serialPort) usable(ctx context.Context) error {
	switch {
	case p.closed:
		return os.ErrClosed
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return p.device.Err
}

func (p *serialPort) Read(ctx context.Context, data []byte) (int, error) {
	if err := p.usable(ctx); err != nil {
		return 0, err
	}
	data = data[:min(len(data), piece)]
	d := p.device
	if len(d.sent) == 0 {
		if ctx.Value(deadlineKey{}) == nil {
			p.env.tb.Fatal("the driver waits for ever on a serial port: bound it by Env.WithTimeout")
		}
		err := p.env.passUntil(ctx, sensors.Instant(1<<62))
		return 0, err
	}
	next := &d.sent[0]
	n := min(len(data), len(next.data))
	if err := p.env.passUntil(ctx, next.at.Add(time.Duration(n)*p.char)); err != nil {
		return 0, err
	}
	copy(data, next.data[:n])
	if next.data = next.data[n:]; len(next.data) == 0 {
		d.sent = d.sent[1:]
	} else if next.at = next.at.Add(time.Duration(n) * p.char); p.env.now.After(next.at) {
		next.at = p.env.now // it was read late: the rest is there already
	}
	return n, nil
}

func (p *serialPort) Write(ctx context.Context, data []byte) error {
	if err := p.usable(ctx); err != nil {
		return err
	}
	if err := p.env.passUntil(ctx, p.env.now.Add(time.Duration(len(data))*p.char)); err != nil {
		return err
	}
	if p.device.Receive != nil {
		p.device.Receive(p.env.now, slices.Clone(data))
	}
	return nil
}

// Discard forgets what the device has sent so far.
func (p *serialPort) Discard() error {
	if err := p.usable(context.Background()); err != nil {
		return err
	}
	d := p.device
	for len(d.sent) > 0 {
		first := &d.sent[0]
		if first.at.After(p.env.now) {
			break
		}
		n := min(len(first.data), int(p.env.now.Sub(first.at)/p.char))
		if n < len(first.data) {
			first.data, first.at = first.data[n:], first.at.Add(time.Duration(n)*p.char)
			break
		}
		d.sent = d.sent[1:]
	}
	return nil
}

func (p *serialPort) Close() error {
	if p.closed {
		return os.ErrClosed
	}
	p.closed = true
	p.device.Closed++
	return nil
}
