package config

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"example.org/dormouse/sensors"
)

// Source is what a configuration is made from. Load reads no file: the caller
// has read it, perhaps in an earlier process, and serves it from memory.
type Source struct {
	File        string // its name, for messages; empty: there is none
	Data        []byte
	SensorFlags []string // NAME=DRIVER[,KEY=VALUE]…
	RailFlags   []string // NAME=LINE[,KEY=VALUE]…
	Every       string   // of --every; empty: not given
	// What tells the machine from others, where a sensor has jitter.
	MachineID string // the content of /etc/machine-id; empty: it can't be read
	HostName  string // instead, where that holds no id
}

// Load makes the configuration. Its error is of type Problems and holds
// everything that is wrong at once.
func Load(src Source) (*Config, error) {
	cfg, err := Draft(src)
	if err != nil {
		return nil, err
	}
	return cfg, nil
}

// Draft is Load for who wants to show a configuration with its errors: beside
// them it returns what could be understood. Nothing may be read by it.
func Draft(src Source) (*Config, error) {
	l := &loader{src: src, cfg: &Config{}, defaults: map[string]setting{}, railUsed: map[*Rail]bool{},
		railKeys: map[*Rail]map[string]Origin{}, names: map[string]Origin{}, origins: map[*Sensor]map[string]Origin{}}
	var stanzas []*stanza
	listed := false
	if src.File != "" {
		d := readYAML(src.File, src.Data)
		listed = d.listed
		l.problems = d.problems
		stanzas = d.stanzas
		l.readDefaults(d.defaults)
	}
	for _, group := range []struct {
		kind  string
		flags []string
	}{{"sensor", src.SensorFlags}, {"rail", src.RailFlags}} {
		for i, flag := range group.flags {
			s, problems := flagStanza(group.kind, flag, i+1)
			l.problems = append(l.problems, problems...)
			stanzas = append(stanzas, s)
		}
	}
	l.readEvery(src.Every)
	l.rails(stanzas)
	l.sensors(stanzas)
	if len(l.cfg.Sensors) == 0 && len(l.problems) == 0 {
		l.noSensors(src, listed)
	}
	l.crossCheck()
	l.problems.sort()
	if len(l.problems) > 0 {
		return l.cfg, l.problems
	}
	return l.cfg, nil
}

type loader struct {
	src      Source
	cfg      *Config
	problems Problems
	defaults map[string]setting // what holds for sensors that don't say otherwise
	railUsed map[*Rail]bool
	railKeys map[*Rail]map[string]Origin   // where each key of a rail was written
	names    map[string]Origin             // of the sensors, broken ones too
	origins  map[*Sensor]map[string]Origin // of their keys

	byHostName bool // warned that jitter goes by it
}

func (l *loader) complain(o Origin, subject, key string, err error) {
	l.problems = append(l.problems, &Problem{o, subject, key, err})
}

// noSensors complains of a configuration without any. A file whose list is
// there and empty is that of a new installation: then the daemon runs, and its
// page says what to do first.
func (l *loader) noSensors(src Source, listed bool) {
	o := Origin{Flag: "--sensor"}
	if src.File != "" {
		o = Origin{File: src.File, Line: 1}
	}
	p := &Problem{Origin: o, Err: errors.New("no sensor is configured: give --sensor=NAME=DRIVER,… or, in the file, sensors: [{name: NAME, driver: DRIVER, …}]; " +
		"`dormouse scan --format=yaml` prints what is connected, `dormouse drivers` lists the drivers")}
	if listed {
		l.cfg.Warnings = append(l.cfg.Warnings, p)
		return
	}
	l.problems = append(l.problems, p)
}

// inDefaults are the keys that the file's defaults may hold, besides labels.
var inDefaults = []string{"every", "at", "phase", "jitter", "timeout", "retries", "keep-failed", "warmup"}

// inChannel are the keys that a channel or quantity takes. The last three are
// short for the calibration's.
var inChannel = []string{"name", "quantity", "calibrate.offset", "calibrate.scale", "calibrate.points", "filter.median", "filter.average", "offset", "scale", "points"}

func (l *loader) readDefaults(s *stanza) {
	if s == nil {
		return
	}
	keys := map[string]Origin{}
	for _, set := range s.settings {
		set.key = canonical(set.key)
		if l.twice(s, set, keys) {
			continue
		}
		if name, ok := strings.CutPrefix(set.key, "label."); ok {
			if l.label(s, set, name, nil) != nil {
				l.defaults[set.key] = set
			}
			continue
		}
		if !slices.Contains(inDefaults, set.key) {
			l.complain(set.origin, s.subject(), set.key, fmt.Errorf("can't be a default: %s and labels can%s", strings.Join(inDefaults, ", "), sensors.DidYouMean(set.key, inDefaults)))
			continue
		}
		if l.common(s, set) != nil {
			l.defaults[set.key] = set
		}
	}
	at, isAt := l.defaults["at"]
	if _, ok := l.defaults["every"]; ok && isAt {
		l.complain(at.origin, s.subject(), "at", errEveryAndAt)
		delete(l.defaults, "at")
	} else if phase, ok := l.defaults["phase"]; ok && isAt {
		l.complain(phase.origin, s.subject(), "phase", errPhaseAndAt)
		delete(l.defaults, "phase")
	}
}

var (
	errEveryAndAt = errors.New("every and at are both given: one of them says when")
	errPhaseAndAt = errors.New("shifts every; with at, shift the cron expression itself")
)

// readEvery takes --every, over which the file's defaults win.
func (l *loader) readEvery(text string) {
	if text == "" {
		return
	}
	set := setting{key: "every", text: text, origin: Origin{Flag: "--every"}}
	opt, _ := sensors.CommonOption("every")
	if _, err := opt.Parse(text); err != nil {
		l.complain(set.origin, "", "", err)
		return
	}
	_, every := l.defaults["every"]
	_, at := l.defaults["at"]
	if !every && !at {
		l.defaults["every"] = set
	}
}

// plain is the text of a setting that holds one value.
func plain(set setting) (string, error) {
	switch {
	case set.isList:
		return "", errors.New("takes one value, not a list")
	case set.null:
		return "", errors.New("has no value; put one that begins with # or is ~ in double quotes")
	case strings.ContainsRune(set.text, 0):
		return "", errors.New("holds a zero byte")
	case !utf8.ValidString(set.text):
		return "", errors.New("isn't UTF-8 text")
	}
	return set.text, nil
}

// words are the elements of a setting that holds a list.
func words(set setting) ([]string, error) {
	list := set.list
	if !set.isList {
		text, err := plain(set)
		if err != nil {
			return nil, err
		}
		if list, err = splitWords(text); err != nil {
			return nil, err
		}
	}
	for _, w := range list {
		if _, err := plain(setting{text: w}); err != nil {
			return nil, err
		}
	}
	if len(list) == 0 {
		return nil, errors.New("has no value")
	}
	return list, nil
}

// common parses one of the common options; nil where it is wrong.
func (l *loader) common(s *stanza, set setting) any {
	opt, _ := sensors.CommonOption(set.key)
	text, err := plain(set)
	var v any
	if err == nil {
		v, err = opt.Parse(text)
	}
	if err == nil && set.key == "at" {
		v, err = ParseCron(text)
	}
	if err != nil {
		l.complain(set.origin, s.subject(), set.key, err)
		return nil
	}
	return v
}

// rails reads the rails' stanzas.
func (l *loader) rails(stanzas []*stanza) {
	first := map[string]Origin{}
	for _, s := range stanzas {
		if s.kind != "rail" || !l.named(s, first) {
			continue
		}
		r := &Rail{Rail: sensors.Rail{Name: s.name}, Origin: s.origin}
		if ref, err := sensors.ParseLine(s.name); err == nil && ref.Name == "" {
			l.complain(s.origin, s.subject(), "", fmt.Errorf("%q is a line, so it can't be the name of a rail: give it another, such as supply", s.name))
		}
		keys := map[string]Origin{}
		l.railKeys[r] = keys
		for _, set := range s.settings {
			if l.twice(s, set, keys) {
				continue
			}
			err := r.set(set)
			if err != nil {
				l.complain(set.origin, s.subject(), set.key, err)
			}
		}
		if s.is == "" {
			if s.origin.File != "" { // of a flag it has been said
				l.complain(s.origin, s.subject(), "line", errors.New("is missing: the line that switches it, such as GPIO17"))
			}
			continue
		}
		var err error
		if r.Line, err = sensors.ParseLine(s.is); err != nil {
			l.complain(s.origin, s.subject(), "line", err)
			continue
		}
		l.cfg.Rails = append(l.cfg.Rails, r)
	}
	l.railOrder()
}

// railKeys are the keys of a rail, besides its name and line.
var railKeys = []string{"active", "settle", "max-on", "after"}

// set reads one of the rail's keys.
func (r *Rail) set(set setting) error {
	if set.key == "after" {
		list, err := words(set)
		r.After = list
		return err
	}
	text, err := plain(set)
	if err != nil {
		return err
	}
	switch set.key {
	case "active":
		active := sensors.Option{Type: sensors.EnumOption, Choices: []string{"high", "low"}}
		_, err = active.Parse(text)
		r.ActiveLow = text == "low"
	case "settle":
		r.Settle, err = sensors.ParseDuration(text)
	case "max-on":
		if r.MaxOn, err = sensors.ParseDuration(text); err == nil && r.MaxOn == 0 {
			err = errors.New("0s would never let it be on: leave max-on out where there is no limit")
		}
	default:
		err = fmt.Errorf("is no key of a rail: %s are%s", strings.Join(railKeys, ", "), sensors.DidYouMean(set.key, railKeys))
	}
	return err
}

// railOrder checks which rail waits for which, and adds up how long for.
func (l *loader) railOrder() {
	byName := map[string]*Rail{}
	var names []string
	for _, r := range l.cfg.Rails {
		byName[r.Name] = r
		names = append(names, r.Name)
	}
	for _, r := range l.cfg.Rails {
		for _, name := range r.After {
			other := byName[name]
			switch {
			case other == nil:
				l.complain(l.railOrigin(r, "after"), "rail "+r.Name, "after", fmt.Errorf("there is no rail %q%s: it names rails that are defined, not lines", name, sensors.DidYouMean(name, names)))
			case other == r:
				l.complain(l.railOrigin(r, "after"), "rail "+r.Name, "after", errors.New("is the rail itself"))
			case other.MaxOn > 0 && other.MaxOn <= other.Settle+r.Settle:
				l.complain(l.railOrigin(r, "after"), "rail "+r.Name, "after", fmt.Errorf("max-on of rail %s (%s), %s, is over before both have settled", name, l.railOrigin(other, "max-on"), sensors.FormatDuration(other.MaxOn)))
			default:
				l.railUsed[other] = true
			}
		}
	}
	done := map[*Rail]bool{}
	var path []*Rail
	var visit func(r *Rail)
	visit = func(r *Rail) {
		path = append(path, r)
		for _, name := range r.After {
			other := byName[name]
			if other == nil || other == r {
				continue
			}
			if i := slices.Index(path, other); i >= 0 {
				l.complain(l.railOrigin(r, "after"), "rail "+r.Name, "after", l.railCircle(path[i:]))
			} else if !done[other] {
				visit(other)
			}
		}
		path = path[:len(path)-1]
		done[r] = true
	}
	for _, r := range l.cfg.Rails {
		if !done[r] {
			visit(r)
		}
	}
	for _, r := range l.cfg.Rails {
		before := map[*Rail]bool{r: true}
		r.addLead(r, byName, before)
		if r.MaxOn > 0 && r.MaxOn <= r.Settle {
			l.complain(l.railOrigin(r, "max-on"), "rail "+r.Name, "max-on", fmt.Errorf("%s is no longer than settle, %s: it would be switched off before anything is read", sensors.FormatDuration(r.MaxOn), sensors.FormatDuration(r.Settle)))
		}
	}
}

// addLead adds up the settling times of all that of waits for, each once.
func (r *Rail) addLead(of *Rail, byName map[string]*Rail, seen map[*Rail]bool) {
	for _, name := range of.After {
		if other := byName[name]; other != nil && !seen[other] {
			seen[other] = true
			r.Lead += other.Settle
			r.addLead(other, byName, seen)
		}
	}
}

// railCircle is the error of rails each of which waits for the next.
func (l *loader) railCircle(circle []*Rail) error {
	var b strings.Builder
	for _, r := range circle {
		fmt.Fprintf(&b, "%s (%s) after ", r.Name, l.railOrigin(r, "after"))
	}
	return fmt.Errorf("the rails wait for each other in a circle, %s%s: one of them must come first", b.String(), circle[0].Name)
}

// railOrigin is where a rail's key was written.
func (l *loader) railOrigin(r *Rail, key string) Origin {
	if o, ok := l.railKeys[r][key]; ok {
		return o
	}
	return r.Origin
}

// named checks a stanza's name.
func (l *loader) named(s *stanza, first map[string]Origin) bool {
	if s.name == "" {
		if s.origin.File != "" {
			l.complain(s.origin, s.subject(), "name", errors.New("is missing: give it one, such as name: garden"))
		} else if s.is != "" {
			l.complain(s.origin, s.subject(), "", errors.New("has no name before the =: give it one, such as garden"))
		}
		return false
	}
	if !sensors.ValidName(s.name) {
		if s.origin.File != "" || s.is != "" {
			l.complain(s.origin, s.subject(), "", fmt.Errorf("%q can't be a name: letters, digits, _ . - and at most 64 of them", s.name))
		}
		return false
	}
	if o, ok := first[s.name]; ok {
		l.complain(s.origin, s.subject(), "", fmt.Errorf("there are two of this name, the first at %s: rename one", o))
		return true
	}
	first[s.name] = s.origin
	return true
}

// twice complains of a key that was there before.
func (l *loader) twice(s *stanza, set setting, keys map[string]Origin) bool {
	o, twice := keys[set.key]
	keys[set.key] = set.origin
	if twice {
		where := ""
		if o.File != "" {
			where = fmt.Sprintf(", first in line %d", o.Line)
		}
		l.complain(set.origin, s.subject(), set.key, fmt.Errorf("is given twice%s", where))
	}
	return twice
}

func (l *loader) sensors(stanzas []*stanza) {
	for _, s := range stanzas {
		if s.kind == "sensor" && l.named(s, l.names) {
			if c := l.sensor(s); c != nil {
				l.cfg.Sensors = append(l.cfg.Sensors, c)
			}
		}
	}
}

// raw is what is said of the processing of one channel, or of them all, before
// it is known in which units.
type raw map[string]setting

// sensor reads one sensor; nil where its driver is unknown.
func (l *loader) sensor(s *stanza) *Sensor {
	driver := l.driver(s)
	common := map[string]setting{}
	labels := map[string]sensors.Label{}
	for key, set := range l.defaults {
		if name, ok := strings.CutPrefix(key, "label."); ok {
			if slices.Contains(labelNames(driver), name) {
				continue // the driver's own label wins over a general one
			}
			labels[name] = sensors.Label{Name: name, Value: set.text}
			continue
		}
		common[key] = set
	}
	own := map[string]setting{}
	entries := map[string][]string{} // of map options
	texts := map[string]string{}
	origins := map[string]Origin{}
	channels := map[string]raw{}
	keys := map[string]Origin{}
	bad := map[string]bool{} // keys that are complained of already
	for _, set := range s.settings {
		set.key = canonical(set.key)
		if head, rest, ok := strings.Cut(set.key, "."); ok && isChannel(driver, head) && slices.Contains([]string{"offset", "scale", "points"}, rest) {
			set.key = head + ".calibrate." + rest
		}
		if l.twice(s, set, keys) {
			continue
		}
		if err := l.file(driver, s, set, own, labels, entries, texts, channels); err != nil {
			l.complain(set.origin, s.subject(), set.key, err)
			bad[set.key] = true
		}
		head, _, _ := strings.Cut(set.key, ".")
		origins[set.key] = set.origin
		if _, ok := origins[head]; !ok {
			origins[head] = set.origin
		}
	}
	_, every := own["every"]
	if at, ok := own["at"]; every && ok {
		l.complain(at.origin, s.subject(), "at", errEveryAndAt)
	}
	if _, at := own["at"]; at {
		delete(common, "every")
		delete(common, "phase")
	} else if every {
		delete(common, "at")
	}
	for key, set := range own {
		common[key] = set
	}
	c := &Sensor{Name: s.name, Driver: driver, Origin: s.origin, Channels: map[string]Processing{}}
	l.schedule(c, s, common)
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		c.Labels = append(c.Labels, labels[name])
	}
	if driver == nil {
		return nil
	}
	for key, list := range entries {
		texts[key] = sensors.JoinList(list...)
	}
	for _, o := range driver.Options {
		if set, ok := common[o.Name]; ok && o.OverridesCommon() {
			shared, _ := sensors.CommonOption(o.Name)
			if _, err := shared.Parse(set.text); err == nil { // else schedule has complained
				texts[o.Name] = set.text
			}
		}
	}
	l.processing(c, s, channels)
	opts, err := sensors.DraftOptions(driver, texts, slices.Collect(maps.Keys(channels)), bad)
	for _, e := range unjoin(err) {
		var oe *sensors.OptionError
		if !errors.As(e, &oe) {
			l.complain(s.origin, s.subject(), "", e)
			continue
		}
		origin, ok := origins[oe.Key]
		if !ok {
			origin = s.origin
		}
		l.complain(origin, s.subject(), oe.Key, oe.Err)
	}
	c.Options = opts
	l.origins[c] = origins
	return c
}

func unjoin(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	if err != nil {
		return []error{err}
	}
	return nil
}

func (l *loader) driver(s *stanza) *sensors.Driver {
	if s.is == "" {
		if s.origin.File != "" {
			l.complain(s.origin, s.subject(), "driver", errors.New("is missing: `dormouse drivers` lists them"))
		}
		return nil
	}
	if d, ok := sensors.DriverByName(s.is); ok {
		return d
	}
	l.complain(s.origin, s.subject(), "driver", sensors.UnknownDriver(s.is))
	return nil
}

// file puts a setting where it belongs.
func (l *loader) file(d *sensors.Driver, s *stanza, set setting, own map[string]setting, labels map[string]sensors.Label,
	entries map[string][]string, texts map[string]string, channels map[string]raw) error {
	head, rest, dotted := strings.Cut(set.key, ".")
	if set.null && isChannel(d, set.key) {
		choose(channels, set.key)
		return nil
	}
	if set.key == "channels" {
		return chooseChannels(d, set, channels)
	}
	if d != nil {
		if opt, err := d.Option(set.key); err == nil {
			if opt.OverridesCommon() {
				own[set.key] = set
				return nil
			}
			text, err := optionText(opt, set)
			if err != nil {
				return err
			}
			texts[set.key] = text
			return nil
		}
		if opt, err := d.Option(head); dotted && err == nil && opt.Type == sensors.MapOption {
			text, err := plain(set)
			if err != nil {
				return err
			}
			if _, ok := texts[head]; ok {
				return fmt.Errorf("%s is given as a whole too: give either", head)
			}
			entries[head] = append(entries[head], rest+"="+text)
			return nil
		}
	}
	switch {
	case head == "label" && dotted:
		if label := l.label(s, set, rest, d); label != nil {
			labels[label.Name] = *label
		}
		return nil
	case head == "calibrate" || head == "filter" || set.key == "quantity":
		if !slices.Contains(inChannel, set.key) {
			known := inChannel[2:7]
			return fmt.Errorf("is no key%s: %s are", sensors.DidYouMean(set.key, known), strings.Join(known, ", "))
		}
		put(channels, "", set, set.key)
		return nil
	case !dotted:
		if _, ok := sensors.CommonOption(set.key); ok {
			own[set.key] = set
			return nil
		}
	case isChannel(d, head):
		if !slices.Contains(inChannel, rest) {
			return l.notOfChannel(d, set, head, rest)
		}
		put(channels, head, set, rest)
		return nil
	}
	return l.unknown(d, set, head, rest, dotted)
}

// choose notes that a channel is in use.
func choose(channels map[string]raw, channel string) {
	if channels[channel] == nil {
		channels[channel] = raw{}
	}
}

func put(channels map[string]raw, channel string, set setting, key string) {
	choose(channels, channel)
	channels[channel][key] = set
}

// chooseChannels reads channels="a0 a1", which says nothing more of them.
func chooseChannels(d *sensors.Driver, set setting, channels map[string]raw) error {
	list, err := words(set)
	for _, c := range list {
		if d != nil && !slices.Contains(d.Channels, c) {
			return noChannel(d, c)
		}
		choose(channels, c)
	}
	return err
}

func noChannel(d *sensors.Driver, name string) error {
	inputs := append(slices.Clone(d.Channels), measured(d)...)
	if len(inputs) == 0 {
		return fmt.Errorf("driver %s has no channels", d.Name)
	}
	return fmt.Errorf("driver %s has no channel %s%s: it has %s", d.Name, name, sensors.DidYouMean(name, append(inputs, "label", "calibrate", "filter")), strings.Join(inputs, ", "))
}

// optionText is the text that Option.Parse takes: lists joined.
func optionText(o sensors.Option, set setting) (string, error) {
	if o.Type == sensors.ListOption || o.Type == sensors.MapOption || o.Type == sensors.SensorsOption && set.isList {
		list, err := words(set)
		return sensors.JoinList(list...), err
	}
	text, err := plain(set)
	if err == nil && text == "" && o.Type != sensors.TextOption {
		err = errors.New("has no value")
	}
	return text, err
}

func (l *loader) notOfChannel(d *sensors.Driver, set setting, channel, key string) error {
	if _, ok := sensors.CommonOption(key); ok || strings.HasPrefix(key, "label.") {
		return fmt.Errorf("is a key of the whole sensor, not of a channel: write it as %s", key)
	}
	if o, err := d.Option(key); err == nil && !o.Channel {
		return fmt.Errorf("is a key of the whole sensor, not of a channel: write it as %s", key)
	}
	known := slices.Clone(inChannel)
	for _, o := range d.Options {
		if o.Channel {
			known = append(known, o.Name)
		}
	}
	advice := sensors.DidYouMean(key, known)
	for _, o := range d.Options {
		if o.Type == sensors.MapOption && advice == "" {
			advice = sensors.DidYouMean(channel, []string{o.Name})
		}
	}
	return fmt.Errorf("%q is no key of channel %s%s: %s are", key, channel, advice, strings.Join(known, ", "))
}

// unknown says what might have been meant by a key that nobody knows.
func (l *loader) unknown(d *sensors.Driver, set setting, head, rest string, dotted bool) error {
	if set.null {
		return errors.New("has no value, and no such key is known: if it belongs to the value before it, put that in double quotes, for a comma ends a value between { and }")
	}
	switch set.key {
	case "name", "driver":
		return errors.New("stands before the keys in a flag: NAME=DRIVER,…")
	case "offset", "scale", "points":
		return fmt.Errorf("is a key of a channel; of the whole sensor it is calibrate.%s", set.key)
	case "label", "labels":
		return errors.New("needs the label's name: label.NAME=VALUE, or labels: {NAME: VALUE}")
	}
	var known []string
	for _, o := range sensors.CommonOptions() {
		known = append(known, o.Name)
	}
	if d == nil {
		// An unknown driver's keys can't be judged; those of a known kind were.
		return nil
	}
	for _, o := range d.Options {
		known = append(known, o.Name)
	}
	if dotted {
		if opt, err := d.Option(head); err == nil && !opt.Channel {
			return fmt.Errorf("%s takes one value, without .%s", head, rest)
		}
		return noChannel(d, head)
	}
	return fmt.Errorf("is no key of driver %s%s%s", d.Name, sensors.DidYouMean(set.key, known), ownKeys(d))
}

// keys tells which options the driver has.
func ownKeys(d *sensors.Driver) string {
	if len(d.Options) == 0 {
		return ": it has none of its own"
	}
	names := make([]string, len(d.Options))
	for i, o := range d.Options {
		names[i] = o.Name
	}
	return ": its own are " + strings.Join(names, ", ")
}

// measured are the names of the quantities that the driver is known to measure.
func measured(d *sensors.Driver) []string {
	var names []string
	for _, q := range d.Measures {
		if !slices.Contains(names, q.Name) {
			names = append(names, q.Name)
		}
	}
	return names
}

// isChannel tells whether name is one of the driver's channels or quantities.
// Where only the hardware can tell what those are, any name may be one.
func isChannel(d *sensors.Driver, name string) bool {
	if d == nil {
		return false
	}
	if slices.Contains(d.Channels, name) || slices.Contains(measured(d), name) {
		return true
	}
	_, common := sensors.CommonOption(name)
	_, err := d.Option(name)
	return d.Measures == nil && d.Channels == nil && !common && err != nil && sensors.ValidName(name) &&
		!slices.Contains([]string{"label", "calibrate", "filter"}, name)
}

// labelNames are the labels that the driver's readings carry.
func labelNames(d *sensors.Driver) []string {
	var names []string
	if d != nil {
		for _, q := range d.Measures {
			names = append(names, q.Labels...)
		}
	}
	return names
}

// labelPattern is Prometheus' data model of label names, and of metric names
// without colons.
var labelPattern = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// reservedLabels are those of every reading, of Prometheus' targets, and of
// histograms and summaries.
var reservedLabels = []string{"sensor", "channel", "instance", "job", "le", "quantile"}

// label checks a label: Prometheus' data model, and what the readings have.
func (l *loader) label(s *stanza, set setting, name string, d *sensors.Driver) *sensors.Label {
	text, err := plain(set)
	switch {
	case err != nil:
	case !labelPattern.MatchString(name):
		err = fmt.Errorf("%q can't be the name of a label: letters, digits and _, not a digit first", name)
	case strings.HasPrefix(name, "__"):
		err = fmt.Errorf("%q can't be the name of a label: Prometheus keeps what begins with __ for itself", name)
	case slices.Contains(reservedLabels, name):
		err = fmt.Errorf("%q can't be the name of a label: it is used already (as are %s)", name, strings.Join(reservedLabels, ", "))
	case slices.Contains(labelNames(d), name):
		err = fmt.Errorf("%q can't be the name of a label: driver %s uses it", name, d.Name)
	case text == "":
		err = errors.New("has no value: to Prometheus that is no label")
	default:
		return &sensors.Label{Name: name, Value: text}
	}
	l.complain(set.origin, s.subject(), set.key, err)
	return nil
}

// schedule reads the keys about when, how long and with which supply.
func (l *loader) schedule(c *Sensor, s *stanza, common map[string]setting) {
	value := func(key string) any {
		opt, _ := sensors.CommonOption(key)
		if set, ok := common[key]; ok {
			if v := l.common(s, set); v != nil {
				return v
			}
		} else if c.Driver != nil {
			if own, err := c.Driver.Option(key); err == nil && own.Default != "" {
				opt = own
			}
		}
		v, err := opt.Parse(opt.Default)
		if err != nil {
			panic(fmt.Sprintf("sensors: default of %s: %v", key, err)) // Register and a test have seen to it
		}
		return v
	}
	if _, ok := common["at"]; ok {
		c.Schedule.At, _ = value("at").(*Cron) // nil where it is wrong
		if phase, ok := common["phase"]; ok {
			l.complain(phase.origin, s.subject(), "phase", errPhaseAndAt)
		}
	} else {
		c.Schedule.Every = value("every").(time.Duration)
		c.Schedule.Phase = value("phase").(time.Duration)
		if c.Schedule.Phase >= c.Schedule.Every {
			l.complain(common["phase"].origin, s.subject(), "phase", fmt.Errorf("%s isn't less than every, %s", sensors.FormatDuration(c.Schedule.Phase), sensors.FormatDuration(c.Schedule.Every)))
		}
	}
	c.Schedule.Jitter = value("jitter").(time.Duration)
	l.jitter(c, s, common["jitter"])
	c.Timeout = value("timeout").(time.Duration)
	c.Retries = value("retries").(int)
	c.KeepFailed = value("keep-failed").(int)
	c.Warmup = value("warmup").(time.Duration)
	if set, ok := common["power"]; ok {
		l.power(c, s, set)
	} else if set, ok := common["warmup"]; ok && c.Warmup > 0 && s.has("warmup") {
		l.cfg.Warnings = append(l.cfg.Warnings, &Problem{set.origin, s.subject(), "warmup", errors.New("has no effect without power: the sensor is always on")})
	}
}

func (s *stanza) has(key string) bool {
	return slices.ContainsFunc(s.settings, func(set setting) bool { return set.key == key })
}

// power finds the rail, or makes one from a line.
func (l *loader) power(c *Sensor, s *stanza, set setting) {
	text, err := plain(set)
	if err != nil {
		l.complain(set.origin, s.subject(), "power", err)
		return
	}
	var names []string
	for _, r := range l.cfg.Rails {
		if r.Name == text && !r.Implicit {
			l.supply(c, r)
			return
		}
		if !r.Implicit {
			names = append(names, r.Name)
		}
	}
	ref, err := sensors.ParseLine(text)
	if err != nil {
		l.complain(set.origin, s.subject(), "power", err)
		return
	}
	if ref.Name != "" {
		l.complain(set.origin, s.subject(), "power", fmt.Errorf("there is no rail %q%s: define it with --rail=%s=LINE or in the file under rails, or give a line such as GPIO17", text, sensors.DidYouMean(text, names), text))
		return
	}
	for _, r := range l.cfg.Rails {
		if r.Line.Key() == ref.Key() {
			l.supply(c, r)
			return
		}
	}
	r := &Rail{Rail: sensors.Rail{Name: ref.Key(), Line: ref}, Origin: set.origin, Implicit: true}
	l.cfg.Rails = append(l.cfg.Rails, r)
	l.supply(c, r)
}

func (l *loader) supply(c *Sensor, r *Rail) {
	c.Power, c.Rail = r.Name, r
	l.railUsed[r] = true
}
