//go:build system

package system

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"example.org/dormouse/exporter"
	"example.org/dormouse/test/guest/spi"
	"example.org/dormouse/test/kit"
	"example.org/dormouse/test/rig"
)

// The family of converters, by the kernel's names.
var converters = []struct {
	model        string
	bits, inputs int
}{{"mcp3008", 10, 8}, {"mcp3004", 10, 4}, {"mcp3208", 12, 8}, {"mcp3204", 12, 4}}

// A converter is a chip on an SPI adapter, and a daemon that reads it through
// spidev, its reference such that a step is a millivolt.
type converter struct {
	*rig.SPIChip
	b            *bench
	d            *kit.Daemon
	bits, inputs int
}

func newConverter(t *testing.T, model string, bits, inputs int) *converter {
	t.Helper()
	b := newBench(t)
	kit.Must(t, b.Modprobe(t.Context(), "mcp320x", ""))
	chip, err := b.AddSPIChip(t.Context(), model)
	kit.Must(t, err)
	later(t, chip.Remove)
	c := &converter{SPIChip: chip, b: b, bits: bits, inputs: inputs}
	kit.Must(t, c.Bind(t.Context(), "spidev"))
	var channels []string
	for n := range inputs {
		channels = append(channels, c.single(n), c.pair(n))
	}
	c.d = b.Daemon(t, fmt.Sprintf(`--sensor=adc=mcp3008,model=%s,bus=%d,reference=%gV,channels="%s"`,
		model, chip.Number, float64(c.full())/1000, strings.Join(channels, " ")))
	c.d.Read()
	return c
}

// full is the number of codes, of which the highest says that the input is at
// the reference or beyond.
func (c *converter) full() int { return 1 << c.bits }

func (c *converter) single(n int) string { return fmt.Sprintf("ch%d", n) }

// pair is an input against its neighbour.
func (c *converter) pair(n int) string { return fmt.Sprintf("ch%d-ch%d", n, n^1) }

// own is what the daemon reads, by channel: the code, or its failure.
func (c *converter) own(t *testing.T) (codes map[string]float64, failures map[string]string, s exporter.SensorJSON) {
	t.Helper()
	s = c.d.Read()["adc"]
	codes, failures = map[string]float64{}, map[string]string{}
	for _, r := range s.Readings {
		codes[r.Labels["channel"]] = *r.Value * 1000
	}
	for _, f := range s.Failures {
		failures[f.Labels[0]] = f.Error
	}
	return codes, failures, s
}

// kernel is what the kernel's mcp320x reads, which has the chip meanwhile.
func (c *converter) kernel(t *testing.T) map[string]int {
	t.Helper()
	kit.Must(t, c.Bind(t.Context(), "mcp320x"))
	codes := map[string]int{}
	for n := range c.inputs {
		for channel, attribute := range map[string]string{
			c.single(n): fmt.Sprintf("in_voltage%d_raw", n), c.pair(n): fmt.Sprintf("in_voltage%d-voltage%d_raw", n, n^1),
		} {
			text, err := c.b.Attribute(t.Context(), c.Dir(), attribute)
			kit.Must(t, err)
			codes[channel], err = strconv.Atoi(text)
			kit.Must(t, err)
		}
	}
	return codes
}

// contents are the limits of the range and random codes, of all inputs at once.
func (c *converter) contents(random *rand.Rand) (all []map[string]int) {
	full := c.full()
	for _, limits := range [][]int{{0, 1, full / 2, full/2 - 1, full - 3, full - 2, full - 1, 2}, {full - 1, 0, full - 2, 0, 1, 1, 0, full - 2}} {
		content := map[string]int{}
		for n := range c.inputs {
			content[c.single(n)] = limits[n]
		}
		all = append(all, content)
	}
	for range 2 {
		content := map[string]int{}
		for n := range c.inputs {
			content[c.single(n)] = random.IntN(full)
		}
		all = append(all, content)
	}
	return all
}

// TestTheKernelsConverters: the kernel's driver of the same chips reads the same
// model over the same bus.
func TestTheKernelsConverters(t *testing.T) {
	for i, tt := range converters {
		t.Run(tt.model, func(t *testing.T) {
			c := newConverter(t, tt.model, tt.bits, tt.inputs)
			tries, equal, refused := 0, 0, 0
			for _, content := range c.contents(rand.New(rand.NewPCG(2, uint64(i)))) {
				kit.Must(t, c.Set(t.Context(), content))
				kit.Must(t, c.Bind(t.Context(), "spidev"))
				own, failures, s := c.own(t)
				for channel, code := range c.kernel(t) {
					tries++
					got, ok := own[channel]
					switch {
					case code == c.full()-1 && !ok && strings.Contains(failures[channel], "reaches the reference"):
						refused++
					case ok && got > float64(code)-1e-6 && got < float64(code)+1e-6 && code < c.full()-1:
						equal++
					default:
						t.Errorf("%v: %s is %d to the kernel, %v (there: %t) to dormouse: %s %s", content, channel, code, got, ok, failures[channel], s.Error)
					}
				}
			}
			t.Logf("%s: %d tries, %d equal, %d refused at full scale", tt.model, tries, equal, refused)
			if least := 8 * tt.inputs; tries < least || refused == 0 {
				t.Errorf("%d tries, want %d, and %d at full scale", tries, least, refused)
			}
			_, _, s := c.own(t)
			if *s.Up || s.Reason != "busy" || !strings.Contains(s.Error, "is driven by the kernel's mcp320x") {
				t.Errorf("while the kernel has the chip: %s: %s", s.Reason, s.Error)
			}
		})
	}
}

// TestAnSPIChipThatIsGoneOrDisturbed: what nobody drives, what is disturbed and
// an adapter that is pulled out are no values.
func TestAnSPIChipThatIsGoneOrDisturbed(t *testing.T) {
	c := newConverter(t, "mcp3008", 10, 8)
	kit.Must(t, c.Set(t.Context(), map[string]int{"ch0": 700, "ch3": 1}))
	isDown := func(what, reason, says string) {
		t.Helper()
		codes, _, s := c.own(t)
		if *s.Up || len(codes) != 0 || s.Reason != reason || !strings.Contains(s.Error, says) {
			t.Errorf("%s: %v, %s: %s", what, codes, s.Reason, s.Error)
		}
	}
	isUp := func(what string) {
		t.Helper()
		codes, _, s := c.own(t)
		if !*s.Up || codes["ch0"] < 699.9 || codes["ch0"] > 700.1 || codes["ch0-ch1"] < 699.9 || codes["ch7"] != 0 {
			t.Errorf("%s: %v, %s", what, codes, s.Error)
		}
	}
	_, err := c.Messages(t.Context())
	kit.Must(t, err)
	isUp("before")
	messages, err := c.Messages(t.Context())
	kit.Must(t, err)
	// Three conversions of each of 16 channels, each a selection of its own.
	if len(messages) != 48 || len(messages[0].Out) != 4 {
		t.Errorf("%d messages were on the wires, want 48: %+v", len(messages), messages)
	}
	kit.Must(t, c.SetFault(t.Context(), spi.Ones))
	isDown("a wire that is held high", "no_answer", "no chip answers on SPI")
	kit.Must(t, c.SetFault(t.Context(), spi.Flip))
	isDown("a bit that is disturbed", "checksum", "came back as")
	kit.Must(t, c.SetFault(t.Context(), spi.Healthy))
	isUp("mended")

	kit.Must(t, c.Remove(t.Context()))
	plugIn := later(t, func(ctx context.Context) error { return c.Return(ctx) })
	isDown("pulled out", "io", fmt.Sprintf("there is no /dev/spidev%d.0", c.Number))
	number := c.Number
	plugIn()
	if c.Number != number {
		t.Fatalf("bus %d returned as %d", number, c.Number)
	}
	kit.Must(t, c.Bind(t.Context(), "spidev"))
	isUp("plugged in again")
}
