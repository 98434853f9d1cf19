package sensors

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

var (
	drivers = map[string]*Driver{}
	aliases = map[string]*Driver{} // as drivers, with the model chosen
)

// Register adds a driver; drivers call it from init, so that adding one
// touches one file. A mistake in the table stops the program at once.
func Register(d *Driver) {
	if d.Uses(LineWire) {
		d.Options = append(slices.Clone(d.Options), forceOption)
	}
	if drivers[d.Name] != nil {
		panic(fmt.Sprintf("sensors: driver %s is registered twice", d.Name))
	}
	if err := d.check(); err != nil {
		panic(fmt.Sprintf("sensors: driver %q: %v", d.Name, err))
	}
	for alias, model := range d.Aliases {
		if drivers[alias] != nil || aliases[alias] != nil {
			panic(fmt.Sprintf("sensors: driver %s: its alias %s is the name of another", d.Name, alias))
		}
		aliases[alias] = d.as(model)
	}
	if aliases[d.Name] != nil {
		panic(fmt.Sprintf("sensors: driver %s: another has its name as an alias", d.Name))
	}
	drivers[d.Name] = d
}

// as is the driver whose option "model" has another default.
func (d *Driver) as(model string) *Driver {
	if model == "" {
		return d
	}
	c := *d
	c.Options = slices.Clone(d.Options)
	for i := range c.Options {
		if o := &c.Options[i]; o.Name == "model" {
			o.Default = model
		}
	}
	return &c
}

// Validate finds a mistake in the table of a driver that isn't registered: one
// that was made from a description.
func (d *Driver) Validate() error { return d.check() }

// ValidName tells whether s may be the name of a sensor, a rail, a driver or an
// option: 1 to 64 letters, digits, "_", "." and "-". It is no regular expression:
// each start would compile it, and match it with hundreds of names.
func ValidName(s string) bool {
	return s != "" && len(s) <= 64 && !strings.ContainsFunc(s, func(c rune) bool {
		return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '.' || c == '-')
	})
}

// reservedKeys mean something in every sensor; a driver has no options and no
// channels of these names.
var reservedKeys = []string{"name", "driver", "channels", "label", "labels", "calibrate", "filter", "drop", "clamp", "at", "power", "offset", "scale", "points", "beyond"}

// IsCommonKey tells whether the name is that of a key of every sensor.
func IsCommonKey(name string) bool {
	_, common := CommonOption(name)
	return common || slices.Contains(reservedKeys, name)
}

// overridable are the common options whose default a driver may replace.
var overridable = []string{"every", "phase", "timeout", "retries", "keep-failed", "warmup"}

// OverridesCommon tells whether the option is a common one with a driver's own
// default: its value goes to both.
func (o Option) OverridesCommon() bool { return slices.Contains(overridable, o.Name) }

func (d *Driver) check() error {
	if !ValidName(d.Name) || d.Summary == "" || d.Datasheet == "" || d.New == nil && d.Describe == nil {
		return errors.New("lacks a valid name, a summary, a data sheet or New")
	}
	seen := map[string]bool{}
	for _, o := range d.Options {
		if err := o.check(); err != nil {
			return err
		}
		if seen[o.Name] {
			return fmt.Errorf("option %s is there twice", o.Name)
		}
		seen[o.Name] = true
		common, ok := CommonOption(o.Name)
		switch {
		case slices.Contains(reservedKeys, o.Name):
			return fmt.Errorf("option %s is the name of a key of every sensor", o.Name)
		case ok && o.OverridesCommon() && (o.Type != common.Type || o.Channel || o.Required):
			return fmt.Errorf("option %s must be like that of every sensor but for its default", o.Name)
		case ok && !o.OverridesCommon() && o.Name != "quantity":
			return fmt.Errorf("option %s is the name of a key of every sensor", o.Name)
		case o.Channel && len(d.Channels) == 0:
			return fmt.Errorf("option %s is of channels, and there are none", o.Name)
		}
	}
	for _, c := range d.Channels {
		switch {
		case !ValidName(c) || strings.Contains(c, "."):
			return fmt.Errorf("channel %q has no valid name", c)
		case IsCommonKey(c) || seen[c]:
			return fmt.Errorf("channel %s has the name of an option or of another channel", c)
		}
		seen[c] = true
	}
	for _, q := range d.Measures {
		if q == nil {
			return errors.New("measures nil")
		}
	}
	for alias, model := range d.Aliases {
		at := slices.IndexFunc(d.Options, func(o Option) bool { return o.Name == "model" && slices.Contains(o.Choices, model) })
		if !ValidName(alias) || model != "" && at < 0 {
			return fmt.Errorf("alias %q has no valid name, or its model %q is none", alias, model)
		}
	}
	for _, w := range wires {
		if w.check != nil {
			if err := w.check(d); err != nil {
				return err
			}
		}
	}
	return nil
}

// optionOf is the first option of a type.
func (d *Driver) optionOf(t OptionType) (Option, bool) {
	i := slices.IndexFunc(d.Options, func(o Option) bool { return o.Type == t })
	if i < 0 {
		return Option{}, false
	}
	return d.Options[i], true
}

// DriverByName returns a registered driver, which may also be called by one of
// its aliases: then its option "model" has the default that the alias means.
func DriverByName(name string) (*Driver, bool) {
	d, ok := drivers[name]
	if !ok {
		d, ok = aliases[name]
	}
	return d, ok
}

// UnknownDriver is the error for a driver's name that isn't one; it names the
// nearest, but no other chip: a bmp180 isn't a bmp280 mistyped.
func UnknownDriver(name string) error {
	var names []string
	for _, d := range Drivers() {
		names = append(names, d.Name)
	}
	names = slices.AppendSeq(names, maps.Keys(aliases))
	names = slices.DeleteFunc(names, func(known string) bool { return otherPart(strings.ToLower(name), known) })
	slices.Sort(names)
	return fmt.Errorf("there is no driver %q%s: `dormouse drivers` lists them", name, DidYouMean(name, names))
}

// otherPart tells whether a name with a part's number may be the name of another
// part than the known one. It is taken for that one mistyped only where
// characters are missing, doubled or in another order: a replaced one makes the
// name of another chip, as in bmp180 and bmp280, sht20 and aht20.
func otherPart(name, known string) bool {
	if !strings.ContainsAny(name, "0123456789") {
		return false
	}
	short, long := name, known
	if len(short) > len(long) {
		short, long = long, short
	}
	for _, c := range short {
		i := strings.IndexRune(long, c)
		if i < 0 {
			return true
		}
		long = long[:i] + long[i+1:]
	}
	return false
}

// Drivers lists the registered drivers by name.
func Drivers() []*Driver {
	return slices.SortedFunc(maps.Values(drivers), func(a, b *Driver) int { return strings.Compare(a.Name, b.Name) })
}
