package all

import (
	"context"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board/sim"
	"example.org/dormouse/sensors/config"
	"example.org/dormouse/sensors/poll"
)

// A cellar is a board with several HC-SR04 in one room: each burst reaches every
// one of them after the same time, and the first sound that comes back ends an
// echo, whoever sent it.
type cellar struct {
	*sim.Board
	own, other time.Duration // until the sound is back, or is there

	mu     sync.Mutex
	bursts map[string]sensors.Instant // the last one, by the number of the module's echo line
}

// OpenLine opens a line; the module whose echo is on N has its trigger on N-1.
func (c *cellar) OpenLine(ref sensors.LineRef, cfg sensors.LineConfig, _ string) (sensors.Line, error) {
	n := 0
	if _, err := fmt.Sscanf(ref.Key(), "GPIO%d", &n); err != nil {
		return nil, err
	}
	if cfg.Output {
		n++
	}
	return &cellarLine{cellar: c, module: fmt.Sprint(n)}, nil
}

type cellarLine struct {
	sensors.Line
	cellar *cellar
	module string
	high   bool
	read   sensors.Instant // of the burst whose edges were read
}

func (l *cellarLine) SetActive(high bool) error {
	if l.high && !high {
		l.cellar.mu.Lock()
		l.cellar.bursts[l.module] = alarm.Now()
		l.cellar.mu.Unlock()
	}
	l.high = high
	return nil
}

func (l *cellarLine) Active() (bool, error) { return false, nil }
func (l *cellarLine) Close() error          { return nil }

func (l *cellarLine) Edges(buf []sensors.Edge) ([]sensors.Edge, error) {
	c := l.cellar
	c.mu.Lock()
	defer c.mu.Unlock()
	began, ok := c.bursts[l.module]
	if !ok || began == l.read {
		return buf, nil
	}
	l.read = began
	ends := began.Add(c.own)
	for module, sent := range c.bursts {
		if heard := sent.Add(c.other); module != l.module && heard.After(began) && heard.Before(ends) {
			ends = heard
		}
	}
	return append(buf, sensors.Edge{At: began, Active: true, Seq: 1}, sensors.Edge{At: ends, Seq: 2}), nil
}

// TestOneBurstAtATime: three sensors of one wake, and two processes with one
// each, none of which may hear the others.
func TestOneBurstAtATime(t *testing.T) {
	clock, err := alarm.New()
	if err != nil {
		t.Fatal(err)
	}
	defer clock.Close()
	const own = 20 * time.Millisecond
	room := &cellar{Board: sim.New(clock, 1), own: own, other: 7 * time.Millisecond, bursts: map[string]sensors.Instant{}}
	want := own.Seconds() / 2 * (331.3 + 0.606*20)
	var readers sync.WaitGroup
	for _, pins := range [][]int{{5, 12, 22}, {24}, {26}} {
		var flags []string
		for _, n := range pins {
			flags = append(flags, fmt.Sprintf("at%d=echo,trigger=GPIO%d,echo=GPIO%d,bursts=1", n, n, n+1))
		}
		cfg, err := config.Load(config.Source{SensorFlags: flags})
		if err != nil {
			t.Fatal(err)
		}
		p, err := poll.New(poll.Options{Config: cfg, Board: room, Clock: clock})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		readers.Go(func() {
			shot, err := p.ReadNow(context.Background())
			if err != nil {
				t.Error(err)
				return
			}
			for _, r := range shot.Results {
				if r.Err != nil || len(r.Readings) != 1 || math.Abs(r.Readings[0].Value-want) > 1e-6 {
					t.Errorf("%s: %v, %v, want %v m", r.Name, r.Readings, r.Err, want)
				}
			}
		})
	}
	readers.Wait()
}
