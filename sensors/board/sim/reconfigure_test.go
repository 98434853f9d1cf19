package sim

import (
	"errors"
	"strings"
	"testing"

	"example.org/dormouse/sensors"
	"golang.org/x/sys/unix"
)

func TestReconfigure(t *testing.T) {
	b, _ := newBoard(t)
	l := openLine(t, b, "GPIO5", sensors.LineConfig{Output: true, Buffer: 64})
	if high, driven := b.Output(5); high || !driven {
		t.Errorf("high %t, driven %t", high, driven)
	}
	check(t, l.Reconfigure(sensors.LineConfig{Edges: sensors.FallingEdge, Bias: sensors.PullUp}))
	if _, driven := b.Output(5); driven {
		t.Error("the input is driven")
	}
	if active, err := l.Active(); err != nil || !active {
		t.Errorf("it doesn't follow its pull: %t, %v", active, err)
	}
	for range 30 {
		b.SetInput(5, false)
		b.SetInput(5, true)
	}
	edges, err := l.Edges(nil)
	check(t, err)
	if len(edges) != 30 || edges[0].Active {
		t.Errorf("%d edges, want 30 falling ones", len(edges))
	}
	check(t, l.Reconfigure(sensors.LineConfig{Output: true, Active: true}))
	if high, driven := b.Output(5); !high || !driven {
		t.Errorf("high %t, driven %t", high, driven)
	}
	if err := l.Reconfigure(sensors.LineConfig{Output: true, Edges: sensors.BothEdges}); err == nil || !strings.Contains(err.Error(), "an output has no edges") {
		t.Errorf("got %v", err)
	}
	check(t, l.Close())
	if err := l.Reconfigure(sensors.LineConfig{}); !errors.Is(err, unix.EBADF) {
		t.Errorf("a closed line: %v", err)
	}
}
