// Package lines are the drivers of single GPIO lines: a level that is looked
// at, edges that are counted. The kernel debounces, numbers and time-stamps;
// nothing here waits for an edge, so nothing here wakes the process (of a switch
// with wake, sensors/poll waits).
//
// A held line that is lost (its chip was unplugged, its driver unloaded) is
// taken again at a later read, and what was counted until then stays.
package lines

import (
	"context"
	"fmt"

	"example.org/dormouse/sensors"
)

// The options that the drivers of this package share.

func pinOption(help string) sensors.Option {
	return sensors.Option{Name: "pin", Type: sensors.LineOption, Required: true, Help: help}
}

func pullOption() sensors.Option {
	return sensors.Option{Name: "pull", Type: sensors.EnumOption, Choices: []string{"up", "down", "off", "as-is"}, Default: "as-is",
		Help: "the line's own pull resistor, some 50 kΩ; as-is leaves what the firmware set"}
}

func activeOption() sensors.Option {
	return sensors.Option{Name: "active", Type: sensors.EnumOption, Choices: []string{"high", "low"}, Default: "high",
		Help: "the level that counts as active; low for a contact to ground with pull=up"}
}

func debounceOption(standard, help string) sensors.Option {
	return sensors.Option{Name: "debounce", Type: sensors.DurationOption, Default: standard, Range: &sensors.Range{Min: 0, Max: 10}, Help: help}
}

// bias is the pull resistor that the shared option asks for.
func bias(o *sensors.Options) sensors.Bias {
	return map[string]sensors.Bias{"up": sensors.PullUp, "down": sensors.PullDown, "off": sensors.BiasOff, "as-is": sensors.BiasAsIs}[o.Text("pull")]
}

// input is the configuration of the line that the shared options give.
func input(o *sensors.Options) sensors.LineConfig {
	return sensors.LineConfig{ActiveLow: o.Text("active") == "low", Bias: bias(o)}
}

// A counter is a line whose edges the kernel counts while nobody looks. It
// reads the number of the newest edge and forgets the edges: the kernel drops
// the oldest when its buffer is full, so the newest is always there.
type counter struct {
	env    sensors.Env
	config sensors.LineConfig
	line   sensors.Line // nil: lost, to be taken at the next read
	edges  []sensors.Edge
	since  sensors.Instant // when the line was taken
	seq    uint32          // of the newest edge seen since then
	count  uint64          // of all edges seen
}

// newCounter takes the line, so that counting begins at once and not at the
// first read.
func newCounter(ctx context.Context, e sensors.Env, c sensors.LineConfig) (*counter, error) {
	n := &counter{env: e, config: c}
	if _, err := n.take(ctx); err != nil {
		return nil, err
	}
	return n, nil
}

// take takes the line unless it is held; taken tells whether that was needed.
// The kernel begins to number at 1 again.
func (n *counter) take(ctx context.Context) (taken bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if n.line != nil {
		return false, nil
	}
	line, err := n.env.Line("pin", n.config)
	if err != nil {
		return false, err
	}
	n.line, n.seq, n.since = line, 0, n.env.Now()
	return true, nil
}

// drain counts the edges since the last time and returns the newest; ok is
// false where there was none.
func (n *counter) drain() (newest sensors.Edge, ok bool, err error) {
	if n.edges, err = n.line.Edges(n.edges[:0]); err != nil {
		return newest, false, n.lose("read the edges", err)
	}
	if len(n.edges) == 0 {
		return newest, false, nil
	}
	newest = n.edges[len(n.edges)-1]
	// Unsigned arithmetic takes the number's wrap at 2³² in its stride.
	n.count += uint64(newest.Seq - n.seq)
	n.seq = newest.Seq
	return newest, true, nil
}

// level reads the level as it is now.
func (n *counter) level() (bool, error) {
	active, err := n.line.Active()
	if err != nil {
		return false, n.lose("read the level", err)
	}
	return active, nil
}

// lose gives up a line that failed: its chip may be gone, and a descriptor of
// a chip that came back is not that chip's.
func (n *counter) lose(doing string, err error) error {
	line := n.line
	n.line = nil
	if closing := line.Close(); closing != nil {
		n.env.Log().Debug("close a line that failed", "err", closing)
	}
	return fmt.Errorf("%s of %s: %w; the line is taken again at the next read", doing, n.env.Options().Line("pin"), err)
}

// Close counts what the kernel has recorded since the last read, and releases
// the line.
func (n *counter) Close() error {
	if n.line == nil {
		return nil
	}
	if _, _, err := n.drain(); err != nil {
		return err // and released it
	}
	line := n.line
	n.line = nil
	return line.Close()
}
