package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"example.org/dormouse/sensors"
)

// A loader reads the sensors' stanzas.
type loader struct {
	*report
	defaults defaults
	rails    *rails
	machine  *machine
	descriptions
	names   map[string]Origin             // of the sensors, broken ones too
	origins map[*Sensor]map[string]Origin // where their keys were given
}

// A sensorDraft is one sensor while it is read: its settings, by what they belong
// to.
type sensorDraft struct {
	*loader
	stanza  *stanza
	driver  *sensors.Driver          // nil: unknown
	common  map[string]setting       // of the common options
	labels  map[string]sensors.Label // by name
	texts   map[string]string        // of the driver's options
	entries map[string][]string      // NAME=VALUE of its map options
	inputs  map[string]inputSettings // of a channel, of a quantity, and ("") of all readings
	origins map[string]Origin        // where each key was given
	refused map[string]bool          // keys whose values were wrong
}

// sensor reads one sensor; nil where its driver is unknown.
func (l *loader) sensor(s *stanza) *Sensor {
	d := &sensorDraft{loader: l, stanza: s, driver: l.driver(s),
		common: map[string]setting{}, labels: map[string]sensors.Label{}, texts: map[string]string{}, entries: map[string][]string{},
		inputs: map[string]inputSettings{}, origins: map[string]Origin{}, refused: map[string]bool{}}
	d.assignSettings()
	d.addDefaults()
	c := &Sensor{Name: s.Name, Driver: d.driver, Origin: s.Origin, Channels: map[string]Processing{}}
	d.schedule(c)
	d.reading(c)
	d.power(c)
	for _, name := range slices.Sorted(maps.Keys(d.labels)) {
		c.Labels = append(c.Labels, d.labels[name])
	}
	if d.driver == nil {
		return nil
	}
	d.processing(c)
	c.Options = d.options()
	d.catchUp(c)
	l.origins[c] = d.origins
	return c
}

func (l *loader) driver(s *stanza) *sensors.Driver {
	if s.Value == "" {
		if s.Origin.File != "" { // of a flag it is reported already
			l.add(s.Origin, s.Subject(), "driver", errors.New("is missing: `dormouse drivers` lists them"))
		}
		return nil
	}
	d, ok := sensors.DriverByName(s.Value)
	if !ok {
		l.add(s.Origin, s.Subject(), "driver", sensors.UnknownDriver(s.Value))
		return nil
	}
	if d.Describe != nil {
		return l.described(s, d)
	}
	return d
}

// assignSettings assigns each setting to what it belongs to, and reports those that
// are given twice or belong to nothing.
func (d *sensorDraft) assignSettings() {
	seen := map[string]Origin{}
	for _, set := range d.stanza.Settings {
		set.Key = canonical(set.Key)
		if head, rest, ok := strings.Cut(set.Key, "."); ok && isInput(d.driver, head) && slices.Contains(shortCalibration, rest) {
			set.Key = head + ".calibrate." + rest
		}
		if d.repeated(d.stanza, set, seen) {
			continue
		}
		if err := d.assign(set); err != nil {
			d.reject(d.stanza, set, err)
			d.refused[set.Key] = true
		}
		d.origins[set.Key] = set.Origin
		head, _, _ := strings.Cut(set.Key, ".")
		if _, ok := d.origins[head]; !ok {
			d.origins[head] = set.Origin
		}
	}
}

// canonical is the key under which a setting is known, whichever way it was
// written: the file says labels: and channels: where a flag says label. and
// nothing, and a channel's calibration may be given without its first name.
func canonical(key string) string {
	key = strings.TrimPrefix(key, "channels.")
	if rest, ok := strings.CutPrefix(key, "labels."); ok {
		key = "label." + rest
	}
	return key
}

// assign assigns one setting to what it belongs to.
func (d *sensorDraft) assign(set setting) error {
	if set.Null && isInput(d.driver, set.Key) { // channels: {a0: {}} chooses a channel
		d.choose(set.Key)
		return nil
	}
	if set.Key == "channels" {
		return d.chooseChannels(set)
	}
	if taken, err := d.assignOption(set); taken || err != nil {
		return err
	}
	head, rest, dotted := strings.Cut(set.Key, ".")
	switch {
	case head == "label" && dotted:
		label, err := parseLabel(set, rest, d.driver)
		if err == nil {
			d.labels[label.Name] = label
		}
		return err
	case head == "calibrate" || head == "filter" || set.Key == "quantity" || set.Key == "drop" || set.Key == "clamp":
		if !slices.Contains(ofReadings, set.Key) {
			return fmt.Errorf("is not a key%s: known are %s", sensors.DidYouMean(set.Key, ofAllReadings), strings.Join(ofAllReadings, ", "))
		}
		d.choose("")[set.Key] = set
		return nil
	case !dotted:
		if _, ok := sensors.CommonOption(set.Key); ok {
			d.common[set.Key] = set
			return nil
		}
	case isInput(d.driver, head):
		if !slices.Contains(ofReadings, rest) {
			return d.notOfInput(head, rest)
		}
		d.choose(head)[rest] = set
		return nil
	}
	return d.unknown(set)
}

// assignOption assigns a setting of one of the driver's options; taken tells whether
// it is one.
func (d *sensorDraft) assignOption(set setting) (taken bool, err error) {
	if d.driver == nil {
		return false, nil
	}
	if opt, err := d.driver.Option(set.Key); err == nil {
		if opt.OverridesCommon() {
			d.common[set.Key] = set
			return true, nil
		}
		text, err := optionText(opt, set)
		if err == nil {
			d.texts[set.Key] = text
		}
		return true, err
	}
	head, rest, dotted := strings.Cut(set.Key, ".")
	opt, err := d.driver.Option(head)
	if !dotted || err != nil || opt.Type != sensors.MapOption {
		return false, nil
	}
	text, err := set.Plain()
	if err != nil {
		return true, err
	}
	if _, ok := d.texts[head]; ok {
		return true, fmt.Errorf("%s is also given as a whole: give one or the other", head)
	}
	d.entries[head] = append(d.entries[head], rest+"="+text)
	return true, nil
}

// optionText is the text that Option.Parse takes: lists joined.
func optionText(o sensors.Option, set setting) (string, error) {
	if o.Type == sensors.ListOption || o.Type == sensors.MapOption || o.Type == sensors.SensorsOption && set.IsList {
		list, err := set.Words()
		return sensors.JoinList(list...), err
	}
	text, err := set.Plain()
	if err == nil && text == "" && o.Type != sensors.TextOption {
		err = errors.New("has no value")
	}
	return text, err
}

// choose marks an input as chosen and returns its settings.
func (d *sensorDraft) choose(input string) inputSettings {
	if d.inputs[input] == nil {
		d.inputs[input] = inputSettings{}
	}
	return d.inputs[input]
}

// chooseChannels reads channels="a0 a1", which only selects them.
func (d *sensorDraft) chooseChannels(set setting) error {
	list, err := set.Words()
	for _, c := range list {
		if d.driver != nil && !slices.Contains(d.driver.Channels, c) {
			if slices.Contains(measured(d.driver), c) {
				return fmt.Errorf("driver %s always gives all that it measures, and %s can't be chosen: leave channels out; keys of %[2]s are written as %[2]s.offset", d.driver.Name, c)
			}
			return noInput(d.driver, c)
		}
		d.choose(c)
	}
	return err
}

// addDefaults fills in the file's defaults where the sensor has no setting of its own.
func (d *sensorDraft) addDefaults() {
	at, isAt := d.common["at"]
	_, isEvery := d.common["every"]
	if isAt && isEvery {
		d.reject(d.stanza, at, errEveryAndAt)
	}
	taken := labelNames(d.driver)
	for key, set := range d.defaults {
		name, isLabel := strings.CutPrefix(key, "label.")
		_, given := d.common[key]
		switch {
		case isLabel:
			if _, given := d.labels[name]; !given && !slices.Contains(taken, name) {
				d.labels[name] = sensors.Label{Name: name, Value: set.Text}
			}
		case given, isAt && (key == "every" || key == "phase"), isEvery && key == "at":
		default:
			d.common[key] = set
		}
	}
}

// options makes the driver's options, and reports what is wrong with them.
func (d *sensorDraft) options() *sensors.Options {
	for key, list := range d.entries {
		d.texts[key] = sensors.JoinList(list...)
	}
	for _, o := range d.driver.Options {
		if set, ok := d.common[o.Name]; ok && o.OverridesCommon() {
			if _, err := parseCommon(set); err == nil { // else it is reported already
				d.texts[o.Name] = set.Text
			}
		}
	}
	opts, err := sensors.DraftOptions(d.driver, d.texts, slices.Collect(maps.Keys(d.inputs)), d.refused)
	for _, e := range joined(err) {
		var oe *sensors.OptionError
		if !errors.As(e, &oe) {
			d.add(d.stanza.Origin, d.stanza.Subject(), "", e)
			continue
		}
		origin, ok := d.origins[oe.Key]
		if !ok {
			origin = d.stanza.Origin
		}
		d.add(origin, d.stanza.Subject(), oe.Key, oe.Err)
	}
	return opts
}

// joined are the errors of errors.Join.
func joined(err error) []error {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		return many.Unwrap()
	}
	if err != nil {
		return []error{err}
	}
	return nil
}
