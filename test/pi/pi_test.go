//go:build system

package pi

import (
	"strings"
	"testing"
	"time"

	"example.org/dormouse/test/kit"
	"example.org/dormouse/test/rig"
)

func TestThree(t *testing.T) {
	turn(t, 110*time.Second)
	b := newBench(t, rig.Three, rig.Options{})
	sleeper := b.fallAsleep(t)
	b.run(t, "board", board)
	b.run(t, "commands", commands)
	b.run(t, "temperatures", temperatures)
	b.run(t, "oracles", oracles)
	b.run(t, "switches", switches)
	b.run(t, "rails", rails)
	b.run(t, "pins", pins)
	b.run(t, "forced", forced)
	b.run(t, "spi", spi)
	b.run(t, "serial", serial)
	b.run(t, "pulses", pulses)
	b.run(t, "oneWire", oneWire)
	b.run(t, "asleep", sleeper.slept)
}

func TestZero(t *testing.T) {
	turn(t, 140*time.Second)
	b := newBench(t, rig.Zero, rig.Options{})
	sleeper := b.fallAsleep(t)
	b.run(t, "board", board)
	b.run(t, "commands", commands)
	b.run(t, "temperatures", temperatures)
	b.run(t, "switches", switches)
	b.run(t, "rails", rails)
	b.run(t, "pins", pins)
	b.run(t, "forced", forced)
	b.run(t, "spi", spi)
	b.run(t, "serial", serial)
	b.run(t, "asleep", sleeper.slept)
}

// TestTwo shows that the third kernel boots with the board's devices.
func TestTwo(t *testing.T) {
	turn(t, 45*time.Second)
	b := newBench(t, rig.Two, rig.Options{})
	b.run(t, "board", board)
	b.run(t, "temperatures", temperatures)
}

// board looks at what was booted: its model, kernel, devices, and what SDA1,
// TXD and a plain line are.
func board(t *testing.T, b *bench) {
	want := map[string]struct {
		board, kernel string
		console       rig.Function // of GPIO14, TXD
	}{
		rig.Zero.Name:  {"Raspberry Pi Zero", "-rpi", rig.Alt0},
		rig.Two.Name:   {"Raspberry Pi 2 Model B", "-armmp", rig.Alt0},
		rig.Three.Name: {"Raspberry Pi 3 Model B", "-arm64", rig.Alt5},
	}[b.pi.Name]
	t.Logf("kernel %s served %s after its start", b.Release, b.BootTime)
	model, err := b.ReadFile(t.Context(), "/proc/device-tree/model")
	if err != nil || strings.TrimRight(string(model), "\x00") != want.board || !strings.HasSuffix(b.Release, want.kernel) {
		t.Errorf("this is %q with kernel %s (%v), want %s with %s", model, b.Release, err, want.board, want.kernel)
	}
	if f := b.booted; f[2] != rig.Alt0 || f[3] != rig.Alt0 || f[14] != want.console || f[17] != rig.Input {
		t.Errorf("the lines are %v", f)
	}
	for _, path := range []string{"/dev/gpiochip0", "/dev/i2c-1", "/dev/spidev0.0", "/dev/ttyS1", "/sys/class/thermal/thermal_zone0/temp", "/dev/watchdog0"} {
		if e := kit.Exec(t, b.pi.Machine, "test", "-e", path); e.Status != 0 {
			t.Errorf("there is no %s", path)
		}
	}
}
