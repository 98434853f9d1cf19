package sensors

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"example.org/dormouse/daemon/duration"
	"example.org/dormouse/sensors/units"
)

// OptionType is the type of a driver's option. It decides how the text of the
// configuration is read, and which wires the sensor claims: the types that name
// a wire stand with its kind.
type OptionType string

const (
	TextOption      OptionType = ""
	NumberOption    OptionType = "number"
	IntegerOption   OptionType = "integer"
	BoolOption      OptionType = "yes or no" // yes, no, true, false
	DurationOption  OptionType = "duration"  // 50ms, 1m30s
	EnumOption      OptionType = "choice"    // one of Choices
	SensorRefOption OptionType = "sensor"    // another sensor's name
	SensorsOption   OptionType = "sensors"   // names of sensors, separated by commas or spaces
	ListOption      OptionType = "list"      // several texts: an argument vector
	MapOption       OptionType = "map"       // NAME=VALUE texts: an environment
)

// An Option is one key that a driver takes.
type Option struct {
	Name     string
	Type     OptionType
	Help     string
	Default  string // as the user would write it; empty: none
	Required bool
	Choices  []string    // of an enum, or the addresses that the chip can have
	Unit     *units.Unit // of a number that may carry a unit
	Range    *Range      // of a number, an integer or (in seconds) a duration
	Channel  bool        // may also be given for one channel: CHANNEL.NAME
}

func (o Option) check() error {
	switch {
	case !ValidName(o.Name) || strings.Contains(o.Name, "."):
		return fmt.Errorf("option %q has no valid name", o.Name)
	case o.Help == "":
		return fmt.Errorf("option %s has no help text", o.Name)
	case o.Type == EnumOption && len(o.Choices) == 0:
		return fmt.Errorf("option %s has no choices", o.Name)
	}
	if optionWire(o.Type) != nil {
		for _, a := range o.Choices {
			if _, err := o.Parse(a); err != nil {
				return fmt.Errorf("choices of option %s: %w", o.Name, err)
			}
		}
	}
	if o.Default != "" {
		if _, err := o.Parse(o.Default); err != nil {
			return fmt.Errorf("default of option %s: %w", o.Name, err)
		}
	}
	return nil
}

// Options are the options of one sensor as configured: validated, converted,
// defaults filled in. The getters panic where the driver doesn't declare the
// option, or declares it with another type: that is a mistake in the driver.
type Options struct {
	driver   *Driver
	values   map[string]any // "gain", "a0.gain"
	given    map[string]bool
	channels []string
}

// Given tells whether the user wrote the option.
func (o *Options) Given(name string) bool { return o.given[name] }

// Channels lists the channels that the configuration names, in the driver's
// order; none named means all.
func (o *Options) Channels() []string { return o.channels }

// Equal tells whether both have the same values, in whichever spelling.
func (o *Options) Equal(p *Options) bool {
	return o.driver.Name == p.driver.Name && o.driver.Description == p.driver.Description && maps.Equal(o.given, p.given) &&
		slices.Equal(o.channels, p.channels) && maps.EqualFunc(o.values, p.values, sameValue)
}

// Value is an option's value as Option.Parse returned it; nil where it is not
// given and has no default. It is for code that works on any driver's options.
func (o *Options) Value(name string) any { return o.values[name] }

// EqualValue tells whether an option has the same value in both.
func (o *Options) EqualValue(p *Options, name string) bool {
	return sameValue(o.values[name], p.values[name])
}

func sameValue(a, b any) bool {
	if l, ok := a.(LineRef); ok {
		m, ok := b.(LineRef)
		return ok && l.Key() == m.Key()
	}
	return reflect.DeepEqual(a, b)
}

// get returns an option's value. An option of one channel that isn't given has
// the chip's value, and one without a default the zero value.
func get[T any](o *Options, name string) T {
	opt, err := o.driver.Option(name)
	if err != nil {
		panic("sensors: " + err.Error())
	}
	v, ok := o.values[name]
	if !ok {
		v, ok = o.values[opt.Name]
	}
	if !ok {
		var zero T
		return zero
	}
	t, ok := v.(T)
	if !ok {
		panic(fmt.Sprintf("sensors: option %s of driver %s holds a %T", name, o.driver.Name, v))
	}
	return t
}

func (o *Options) Text(name string) string            { return get[string](o, name) } // also an enum, a path, a sensor
func (o *Options) Number(name string) float64         { return get[float64](o, name) }
func (o *Options) Integer(name string) int            { return get[int](o, name) }
func (o *Options) Bool(name string) bool              { return get[bool](o, name) }
func (o *Options) Duration(name string) time.Duration { return get[time.Duration](o, name) }
func (o *Options) Address(name string) Address        { return get[Address](o, name) }
func (o *Options) Line(name string) LineRef           { return get[LineRef](o, name) }
func (o *Options) List(name string) []string          { return get[[]string](o, name) }
func (o *Options) Map(name string) map[string]string  { return get[map[string]string](o, name) }

// Parse validates text and converts it to the option's Go type: string,
// float64 (in the base unit), int, bool, time.Duration, []string,
// map[string]string, or what names a wire of its kind.
func (o Option) Parse(text string) (any, error) {
	switch o.Type {
	case NumberOption:
		unit := o.Unit
		if unit == nil {
			unit = units.None
		}
		v, err := unit.Parse(text)
		if err != nil {
			return nil, err
		}
		return v, o.inRange(text, v, unit.Format)
	case IntegerOption:
		v, err := parseInteger(text)
		if err != nil {
			return nil, err
		}
		return v, o.inRange(text, float64(v), func(v float64) string { return fmt.Sprint(v) })
	case BoolOption:
		switch text {
		case "yes", "true", "on":
			return true, nil
		case "no", "false", "off":
			return false, nil
		}
		return nil, fmt.Errorf("%q is neither yes nor no", text)
	case DurationOption:
		v, err := duration.Parse(text)
		if err != nil {
			return nil, err
		}
		return v, o.inRange(text, v.Seconds(), func(v float64) string { return duration.Format(time.Duration(v * 1e9)) })
	case EnumOption:
		if !slices.Contains(o.Choices, text) {
			near := DidYouMean(text, o.Choices)
			if near != "" && len(o.Choices) > 8 {
				return nil, fmt.Errorf("%q is unknown%s", text, near)
			}
			return nil, fmt.Errorf("%q is not one of %s%s", text, strings.Join(o.Choices, ", "), near)
		}
		return text, nil
	case SensorRefOption:
		if !ValidName(text) {
			return nil, fmt.Errorf("%q is not a valid sensor name: use letters, digits, _ . and -, at most 64", text)
		}
		return text, nil
	case SensorsOption:
		return parseNames(text)
	case ListOption:
		return strings.Split(text, listSeparator), nil
	case MapOption:
		m := map[string]string{}
		for _, entry := range strings.Split(text, listSeparator) {
			k, v, ok := strings.Cut(entry, "=")
			if !ok || k == "" {
				return nil, fmt.Errorf("%q is not NAME=VALUE", entry)
			}
			m[k] = v
		}
		return m, nil
	}
	if w := optionWire(o.Type); w != nil {
		return w.options[o.Type](o, text)
	}
	return text, nil
}

// parseNames reads the names of sensors, each once.
func parseNames(text string) ([]string, error) {
	var names []string
	for _, name := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(listSeparator+", ", r) }) {
		if !ValidName(name) {
			return nil, fmt.Errorf("%q is not a valid sensor name: use letters, digits, _ . and -, at most 64", name)
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, errors.New("names no sensor")
	}
	return names, nil
}

// listSeparator separates the elements of a list after the configuration has
// parsed it: a byte that no argument of a program can contain.
const listSeparator = "\x00"

// JoinList is the text of a ListOption or MapOption with these elements.
func JoinList(elements ...string) string { return strings.Join(elements, listSeparator) }

// inRange checks a value against the option's range. The error has the text as it
// was written: rounded, a value just outside would look like one inside.
func (o Option) inRange(text string, v float64, show func(float64) string) error {
	if o.Range != nil && (v < o.Range.Min || v > o.Range.Max) {
		return fmt.Errorf("%q is outside %s to %s", text, show(o.Range.Min), show(o.Range.Max))
	}
	return nil
}

// parseInteger reads a decimal integer; a leading zero doesn't make it octal.
func parseInteger(text string) (int, error) {
	v, err := strconv.ParseInt(text, 10, 32)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return 0, fmt.Errorf("%q is outside %d to %d", text, math.MinInt32, math.MaxInt32)
	case err != nil:
		return 0, fmt.Errorf("%q is not a whole number", text)
	}
	return int(v), nil
}

// NewOptions validates texts against a driver's options and fills in the
// defaults; its error joins everything that is wrong. Channel options are
// written "a0.gain"; channels are further channels that the configuration
// names. The configuration uses it, and so do tests of drivers.
func NewOptions(d *Driver, texts map[string]string, channels ...string) (*Options, error) {
	o, err := DraftOptions(d, texts, channels, nil)
	if err != nil {
		return nil, err
	}
	return o, nil
}

// DraftOptions is NewOptions for reporting several errors at once: beside an
// error it returns the options that are valid, so that a line which two sensors
// use is reported even where another option of one of them is wrong. The keys in
// bad are left out: their errors are reported already.
func DraftOptions(d *Driver, texts map[string]string, channels []string, bad map[string]bool) (*Options, error) {
	o := &Options{driver: d, values: map[string]any{}, given: map[string]bool{}}
	var errs []error
	for key, text := range texts {
		opt, err := d.Option(key)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		v, err := opt.Parse(text)
		if err != nil {
			errs = append(errs, &OptionError{key, err})
			continue
		}
		o.values[key], o.given[key] = v, true
	}
	for _, opt := range d.Options {
		if _, tried := texts[opt.Name]; tried || bad[opt.Name] {
			continue
		}
		if opt.Required {
			errs = append(errs, &OptionError{opt.Name, fmt.Errorf("is missing: %s", opt.Help)})
		}
		if opt.Default != "" {
			v, err := opt.Parse(opt.Default)
			if err != nil {
				errs = append(errs, &OptionError{opt.Name, err}) // Register has checked it
				continue
			}
			o.values[opt.Name] = v
		}
	}
	for _, c := range d.Channels {
		named := slices.Contains(channels, c)
		for key := range texts {
			named = named || strings.HasPrefix(key, c+".")
		}
		if named {
			o.channels = append(o.channels, c)
		}
	}
	if len(errs) == 0 && len(bad) == 0 && d.Default != nil {
		errs = append(errs, o.setDependentDefaults()...)
	}
	if len(errs) == 0 && len(bad) == 0 && d.Check != nil {
		if err := d.Check(o); err != nil {
			errs = append(errs, err)
		}
	}
	sort.Slice(errs, func(i, j int) bool { return errs[i].Error() < errs[j].Error() })
	return o, errors.Join(errs...)
}

// setDependentDefaults sets the defaults that depend on other options.
func (o *Options) setDependentDefaults() (errs []error) {
	for _, opt := range o.driver.Options {
		text := o.driver.Default(o, opt.Name)
		if text == "" || o.given[opt.Name] {
			continue
		}
		v, err := opt.Parse(text)
		if err != nil {
			errs = append(errs, &OptionError{opt.Name, err})
		}
		o.values[opt.Name] = v
	}
	return errs
}

// An OptionError is what is wrong with one key.
type OptionError struct {
	Key string
	Err error
}

func (e *OptionError) Error() string { return e.Key + ": " + e.Err.Error() }
func (e *OptionError) Unwrap() error { return e.Err }

// Option finds the option of a key, which may be that of one channel: "gain",
// "a0.gain". The error is an OptionError.
func (d *Driver) Option(key string) (Option, error) {
	name := key
	channel, rest, dotted := strings.Cut(key, ".")
	if dotted && slices.Contains(d.Channels, channel) {
		name = rest
	} else {
		dotted = false
	}
	var names []string
	for _, o := range d.Options {
		if o.Name == name && (!dotted || o.Channel) {
			return o, nil
		}
		names = append(names, o.Name)
	}
	return Option{}, &OptionError{key, fmt.Errorf("is not a key of driver %s%s", d.Name, DidYouMean(name, names))}
}
