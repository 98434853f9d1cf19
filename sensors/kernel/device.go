package kernel

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"example.org/dormouse/sensors"
)

// A class is a kind of device that the kernel shows in sysfs, and how the
// devices of this kind are told apart. Their own numbers (iio:device0, hwmon1)
// follow the order in which drivers were loaded, so nothing is chosen by them.
type class struct {
	kind  string // "IIO device", for messages
	dir   string // where the kernel lists them
	node  string // a pattern of what they are called there
	below string // where they are below the device that they belong to
	// numbered tells that node's names are numbers.
	numbered bool
	// identity is the attribute that says what the device is; others are
	// further attributes by which it may be chosen.
	identity string
	others   []string
}

// deviceOption is how a device of the class is chosen.
func (c *class) deviceOption(example string) sensors.Option {
	return sensors.Option{Name: "device", Type: sensors.TextOption, Required: true,
		Help: "the " + c.kind + ": " + example}
}

// numbers are names that change.
var numbers = regexp.MustCompile(`^(iio:device|hwmon|iio_hwmon)\d+$`)

// checkDevice refuses what names no device for long.
func checkDevice(o *sensors.Options) error {
	want := o.Text("device")
	switch {
	case want == "":
		return nil
	case numbers.MatchString(path.Base(want)):
		return &sensors.OptionError{Key: "device", Err: fmt.Errorf("%q is a number that changes when drivers are loaded in another order: give the name in its file name, its address (1-0076), or the path of the directory above it", want)}
	case strings.Contains(want, "/") && !strings.HasPrefix(want, "/sys/"):
		return &sensors.OptionError{Key: "device", Err: fmt.Errorf("%q is not a path below /sys: give a name, an address (1-0076), or a path as in /sys/bus/i2c/devices/1-0076", want)}
	}
	return nil
}

// A device is one that was found.
type device struct {
	env      sensors.Env
	class    *class
	dir      string
	name     string // what its identity attribute says
	identity string // path of that attribute
	inode    uint64 // its inode; 0: not known
}

// find looks for the device that the option names: by what its attributes say,
// by the address of the device that it belongs to, or by that device's path.
func (c *class) find(ctx context.Context, e sensors.Env) (*device, error) {
	want := e.Options().Text("device")
	var dirs []string
	var err error
	if strings.HasPrefix(want, "/") {
		dirs, err = c.at(e, path.Clean(want))
	} else {
		dirs, err = c.named(ctx, e, want)
	}
	if err != nil {
		return nil, err
	}
	switch len(dirs) {
	case 0:
		return nil, c.missing(ctx, e, want)
	case 1:
		return c.open(ctx, e, dirs[0])
	}
	return nil, sensors.Errorf(sensors.Identity, "%d %ss are %q: choose one by its address or path (%s)", len(dirs), c.kind, want, strings.Join(c.places(e, dirs), ", "))
}

// at lists the devices that belong to the one at a path, which may be of the
// class itself where its name isn't a number.
func (c *class) at(e sensors.Env, want string) ([]string, error) {
	if !c.numbered {
		if own, err := glob(e, literal(want)+"/"+c.identity); err != nil || len(own) == 1 {
			return []string{want}, err
		}
	}
	return glob(e, literal(want)+"/"+c.below)
}

// literal is the pattern that only name itself matches.
func literal(name string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(name)
}

func glob(e sensors.Env, pattern string) ([]string, error) {
	found, err := e.Files().Glob(pattern)
	if err != nil {
		return nil, fmt.Errorf("look for %s: %w", pattern, err)
	}
	return found, nil
}

// named lists the devices that a name or an address fits, each once.
func (c *class) named(ctx context.Context, e sensors.Env, want string) ([]string, error) {
	dirs, err := glob(e, "/sys/bus/*/devices/"+literal(want)+"/"+c.below)
	if err != nil {
		return nil, err
	}
	all, err := glob(e, c.dir+"/"+c.node)
	if err != nil {
		return nil, err
	}
	for _, dir := range all {
		if slices.ContainsFunc(dirs, func(d string) bool { return path.Base(d) == path.Base(dir) }) {
			continue // by its address already
		}
		fits, err := c.fits(ctx, e, dir, want)
		if err != nil {
			return nil, err
		}
		if fits {
			dirs = append(dirs, dir)
		}
	}
	return dirs, nil
}

// fits tells whether one of a device's names is want.
func (c *class) fits(ctx context.Context, e sensors.Env, dir, want string) (bool, error) {
	if !c.numbered && path.Base(dir) == want {
		return true, nil
	}
	attributes := c.others
	if c.numbered {
		attributes = append([]string{c.identity}, c.others...)
	}
	for _, attribute := range attributes {
		text, err := readText(ctx, e.Files(), dir+"/"+attribute)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue // it has none, or went away meanwhile
		case err != nil:
			return false, err
		case text == want:
			return true, nil
		}
	}
	return false, nil
}

func (c *class) open(ctx context.Context, e sensors.Env, dir string) (*device, error) {
	d := &device{env: e, class: c, dir: dir, identity: dir + "/" + c.identity}
	var err error
	if d.name, d.inode, err = readAtOnce(ctx, e.Files(), d.identity); err != nil {
		return nil, err
	}
	if d.name == "" {
		return nil, sensors.Errorf(sensors.IO, "%s is empty: the kernel doesn't name the device", d.identity)
	}
	return d, nil
}

// missing says what is there instead.
func (c *class) missing(ctx context.Context, e sensors.Env, want string) error {
	all, err := glob(e, c.dir+"/"+c.node)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return sensors.Errorf(sensors.NoAnswer, "no %s is %q, and there is no other: put the chip's overlay into config.txt and restart, or load its module", c.kind, want)
	}
	names := make([]string, len(all))
	places := c.places(e, all)
	for i, dir := range all {
		names[i] = places[i]
		text, err := readText(ctx, e.Files(), dir+"/"+c.identity)
		if err != nil {
			continue // its place says enough
		}
		if text != places[i] {
			names[i] = excerpt(text) + " at " + places[i]
		}
	}
	return sensors.Errorf(sensors.NoAnswer, "no %s is %q: there is %s", c.kind, want, strings.Join(names, ", "))
}

// places are the addresses of the devices that dirs belong to, where a bus
// lists them; else their own names.
func (c *class) places(e sensors.Env, dirs []string) []string {
	parents := map[string]string{}
	found, err := glob(e, "/sys/bus/*/devices/*/"+c.below)
	if err == nil { // without them the message is poorer
		for _, p := range found {
			above := strings.Split(strings.TrimPrefix(p, "/sys/bus/"), "/")
			parents[path.Base(p)] = above[2]
		}
	}
	places := make([]string, len(dirs))
	for i, dir := range dirs {
		places[i] = path.Base(dir)
		if parent := parents[path.Base(dir)]; parent != "" {
			places[i] = parent
		}
	}
	return places
}

// check looks whether the device is still the one that was found: its number
// may have become another's. Where another has the same name, the attribute
// was made anew.
func (d *device) check(ctx context.Context) error {
	text, inode, err := readAtOnce(ctx, d.env.Files(), d.identity)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return sensors.Errorf(sensors.NoAnswer, "the %s %s is gone: its driver was unbound from the chip, or the adapter was unplugged; it is looked for at the next read: %w", d.class.kind, d.name, err)
	case err != nil:
		return err
	case text != d.name || inode != d.inode:
		return sensors.Errorf(sensors.Identity, "the %s %s became another one, %s, while it was read: it is looked for at the next read", d.class.kind, d.name, excerpt(text))
	}
	return nil
}
