package kernel

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"example.org/dormouse/sensors"
)

// A channel is one reading that a device offers.
type channel struct {
	name     string // as the option only chooses it
	quantity *sensors.Quantity
	labels   []string
	factor   float64 // from the kernel's unit to the base unit

	value         string             // path of the number
	scale, offset string             // paths: the value is (number + offset) · scale; empty: none
	fault         string             // path of a flag that must be 0; empty: none
	words         map[string]float64 // what the value's words mean, where it is no number
	within        *sensors.Range     // of the result, in the base unit, where the device's own is known
}

// onlyOption chooses channels.
func onlyOption(example string) sensors.Option {
	return sensors.Option{Name: "only", Type: sensors.ListOption, Help: "the channels to be read, as in only=\"" + example + "\"; by default all"}
}

// noRail is why these drivers take no rail: the kernel sets a chip up when its
// driver is bound, and doesn't notice that it has lost its settings since.
const noRail = "the kernel sets the chip up only when its driver is bound: without its supply it loses that, and then measures wrongly or not at all; use Dormouse's own driver for the chip, or leave its supply on"

// chosen are the channels that the option only names, all where it names none.
// Unusable are those that can't be read, with the reason.
func chosen(e sensors.Env, d *device, channels []*channel, unusable map[string]string) ([]*channel, error) {
	names := make([]string, len(channels))
	for i, c := range channels {
		names[i] = c.name
	}
	if len(channels) == 0 {
		return nil, sensors.Errorf(sensors.NoAnswer, "the %s %s has no channel that can be read%s", d.class.kind, d.name, reasons(unusable))
	}
	if !e.Options().Given("only") {
		return channels, nil
	}
	var only []*channel
	for _, want := range e.Options().List("only") {
		i := slices.Index(names, want)
		if i < 0 {
			return nil, sensors.Errorf(sensors.NoAnswer, "only: the %s %s has no channel %q that can be read: it has %s%s", d.class.kind, d.name, want, strings.Join(names, ", "), reasons(unusable))
		}
		if !slices.Contains(only, channels[i]) {
			only = append(only, channels[i])
		}
	}
	return only, nil
}

// reasons lists why channels can't be read.
func reasons(unusable map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(unusable)) {
		fmt.Fprintf(&b, "; %s: %s", name, unusable[name])
	}
	return b.String()
}

// decimal is how the kernel writes numbers; Go reads more ("inf", "0x1p4").
var decimal = regexp.MustCompile(`^[+-]?[0-9]{1,19}(\.[0-9]{1,12})?$`)

// number reads an attribute that holds one.
func number(ctx context.Context, f sensors.Files, file string) (float64, error) {
	text, err := readText(ctx, f, file)
	if err != nil {
		return 0, attributeError(file, err)
	}
	return parseNumber(file, text)
}

func parseNumber(file, text string) (float64, error) {
	if !decimal.MatchString(text) {
		return 0, sensors.Errorf(sensors.IO, "%s holds %s where a number is expected", file, excerpt(text))
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, sensors.Errorf(sensors.IO, "%s holds %s: %w", file, excerpt(text), err)
	}
	return v, nil
}

// attributeError explains the errnos of the kernel's drivers that aren't errors of
// their bus.
func attributeError(file string, err error) error {
	switch {
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EBUSY):
		return sensors.Errorf(sensors.NotReady, "%s: the kernel's driver has no result yet: %w", file, err)
	case errors.Is(err, syscall.ENODATA):
		return sensors.Errorf(sensors.NotReady, "%s: the kernel's driver has no value: the channel may be switched off (an attribute that ends in _enable), or leave it out with only: %w", file, err)
	}
	return err
}

// read reads the channel, in its quantity's base unit.
func (c *channel) read(ctx context.Context, f sensors.Files) (float64, error) {
	if c.fault != "" {
		v, err := number(ctx, f, c.fault)
		if err != nil {
			return 0, err
		}
		if v != 0 {
			return 0, sensors.Errorf(sensors.NoAnswer, "the kernel reports a fault of %s (%s is %g): is the probe open or shorted, or the fan blocked?", c.name, path.Base(c.fault), v)
		}
	}
	text, err := readText(ctx, f, c.value)
	if err != nil {
		return 0, attributeError(c.value, err)
	}
	if c.words != nil {
		v, ok := c.words[text]
		if !ok {
			return 0, sensors.Errorf(sensors.NotReady, "%s reads %s, which is not a known state", c.value, excerpt(text))
		}
		return v, nil
	}
	v, err := parseNumber(c.value, text)
	if err != nil {
		return 0, err
	}
	if v, err = c.scaled(ctx, f, v); err != nil {
		return 0, err
	}
	v *= c.factor
	if c.within != nil && (v < c.within.Min || v > c.within.Max) {
		return 0, sensors.Errorf(sensors.OutOfRange, "%s of %s is outside what the chip can measure, %s to %s", c.name, c.quantity.Format(v), c.quantity.Format(c.within.Min), c.quantity.Format(c.within.Max))
	}
	return v, nil
}

// scaled applies offset and scale in the order of the kernel's document.
func (c *channel) scaled(ctx context.Context, f sensors.Files, v float64) (float64, error) {
	if c.offset != "" {
		offset, err := number(ctx, f, c.offset)
		if err != nil {
			return 0, err
		}
		v += offset
	}
	if c.scale != "" {
		scale, err := number(ctx, f, c.scale)
		if err != nil {
			return 0, err
		}
		if scale == 0 {
			return 0, sensors.Errorf(sensors.IO, "%s is 0: every reading would be the same", c.scale)
		}
		v *= scale
	}
	return v, nil
}

// A deviceSensor reads the channels of a device, one after the other.
type deviceSensor struct {
	*device
	channels []*channel
	values   []float64
	errs     []error
}

func (d *device) sensor(channels []*channel) *deviceSensor {
	return &deviceSensor{device: d, channels: channels, values: make([]float64, len(channels)), errs: make([]error, len(channels))}
}

// Sense reads all channels. The failure of a channel with a label is that channel's
// alone. That of a channel without one, or of all channels, is the sensor's.
func (s *deviceSensor) Sense(ctx context.Context, r *sensors.Report) error {
	failed := 0
	for i, c := range s.channels {
		s.values[i], s.errs[i] = c.read(ctx, s.env.Files())
		if s.errs[i] == nil {
			continue
		}
		failed++
		if len(c.labels) == 0 || ctx.Err() != nil {
			return s.explain(ctx, s.errs[i])
		}
	}
	if failed == len(s.channels) {
		return s.explain(ctx, errors.Join(s.errs...))
	}
	if err := s.check(ctx); err != nil {
		return err
	}
	for i, c := range s.channels {
		if s.errs[i] != nil {
			r.Fail(s.errs[i], c.labels...)
		} else {
			r.Set(c.quantity, s.values[i], c.labels...)
		}
	}
	return nil
}

// explain says that the device is gone where that is why its attribute is.
func (s *deviceSensor) explain(ctx context.Context, err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENODEV) {
		if gone := s.check(ctx); gone != nil {
			return gone
		}
	}
	return fmt.Errorf("%s %s: %w", s.class.kind, s.name, err)
}
