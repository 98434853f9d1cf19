//go:build system

package pi

import (
	"strings"
	"testing"

	"example.org/dormouse/test/kit"
	"example.org/dormouse/test/rig"
)

func TestBoot(t *testing.T) {
	for _, c := range []struct {
		model           rig.Model
		board, release  string
		board1, console rig.Function // of GPIO2, which is SDA1, and of GPIO14, TXD
	}{
		{rig.Zero, "Raspberry Pi Zero", "-rpi", rig.Alt0, rig.Alt0},
		{rig.Two, "Raspberry Pi 2 Model B", "-armmp", rig.Alt0, rig.Alt0},
		{rig.Three, "Raspberry Pi 3 Model B", "-arm64", rig.Alt0, rig.Alt5},
	} {
		t.Run(c.model.Name, func(t *testing.T) {
			p, err := rig.BootPi(t.Context(), c.model, rig.Options{})
			kit.Must(t, err)
			defer func() { kit.Must(t, p.Close()) }()
			t.Logf("kernel %s served %s after its start", p.Release, p.BootTime)
			board, err := p.ReadFile(t.Context(), "/proc/device-tree/model")
			if err != nil || strings.TrimRight(string(board), "\x00") != c.board || !strings.HasSuffix(p.Release, c.release) {
				t.Errorf("this is %q with kernel %s (%v), want %s with %s", board, p.Release, err, c.board, c.release)
			}
			kit.Must(t, p.LoadDrivers(t.Context()))
			functions, err := p.Functions(t.Context())
			kit.Must(t, err)
			if functions[2] != c.board1 || functions[14] != c.console || functions[17] != rig.Input {
				t.Errorf("the lines are %v", functions)
			}
			for _, path := range []string{"/dev/gpiochip0", "/dev/i2c-1", "/dev/ttyS1", "/sys/class/thermal/thermal_zone0/temp", "/dev/watchdog0"} {
				if e := kit.Exec(t, p.Machine, "test", "-e", path); e.Status != 0 {
					t.Errorf("there is no %s", path)
				}
			}
		})
	}
}

func TestZero(t *testing.T) {
	t.Parallel()
	b := newBench(t, rig.Zero, rig.Options{})
	b.run(t, "everyday", everyday)
	b.run(t, "temperatures", temperatures)
	b.run(t, "switches", switches)
	b.run(t, "rails", rails)
	b.run(t, "spi", spi)
	b.run(t, "asleep", asleep)
}

func TestThree(t *testing.T) {
	t.Parallel()
	b := newBench(t, rig.Three, rig.Options{})
	b.run(t, "everyday", everyday)
	b.run(t, "temperatures", temperatures)
	b.run(t, "oracles", oracles)
	b.run(t, "switches", switches)
	b.run(t, "rails", rails)
	b.run(t, "spi", spi)
	b.run(t, "pulses", pulses)
	b.run(t, "oneWire", oneWire)
	b.run(t, "asleep", asleep)
}
