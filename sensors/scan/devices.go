package scan

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
)

// A class is one of the kernel's lists of devices that it measures with, and
// the driver that reads them.
type class struct {
	driver string
	list   string // a pattern of the devices
	below  string // the same below the device that each belongs to
	// name is the attribute that names the device; empty: its directory does.
	name string
	// channels are patterns of which one must be there: a device without any
	// has nothing to read.
	channels []string
}

var classes = []class{
	{"iio", "/sys/bus/iio/devices/iio:device*", "iio:device*", "name", []string{"in_*_input", "in_*_raw"}},
	{"hwmon", "/sys/class/hwmon/hwmon*", "hwmon/hwmon*", "name", []string{"temp*_input", "in*_input", "curr*_input", "power*_input", "fan*_input", "humidity*_input"}},
	{"power_supply", "/sys/class/power_supply/*", "power_supply/*", "", []string{"capacity", "voltage_now", "current_now", "online", "status"}},
}

// scanDevices lists what the kernel's own drivers measure. Each gets a flag
// with the address of the device that it belongs to, where a bus lists that:
// it stays, while names may be there twice.
func (s *scanner) scanDevices(ctx context.Context) {
	for _, c := range classes {
		dirs, err := s.Board.Files().Glob(c.list)
		if err != nil {
			s.problem("the kernel's devices for driver %s are not known: %v", c.driver, err)
			continue
		}
		places := s.places(c)
		for _, dir := range dirs {
			name := path.Base(dir)
			if c.name != "" {
				data, err := s.Board.Files().ReadFile(ctx, dir+"/"+c.name)
				if err != nil {
					s.problem("what %s is can't be read: %v", dir, err)
					continue
				}
				name = strings.TrimSpace(string(data))
			}
			if !s.measures(c, dir) || s.isZone(name) || name == w1Thermometer {
				continue
			}
			place := places[path.Base(dir)]
			device := place
			if device == "" {
				place, device = dir, name
			}
			label := strings.Map(nameRune, name+"-"+path.Base(place))
			s.found.Devices = append(s.found.Devices, Find{What: fmt.Sprintf("%s at %s", name, place), Flag: flag(label + "=" + c.driver + ",device=" + device)})
		}
	}
	if nodes, err := s.Board.Files().Glob("/dev/vcio"); err == nil && len(nodes) > 0 {
		s.found.Devices = append(s.found.Devices, Find{What: "the Pi's firmware", Flag: flag("throttled=throttled")})
	}
}

// nameRune keeps what a sensor's name may contain.
func nameRune(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_.-", r) {
		return r
	}
	return '-'
}

// places are the addresses of the devices that those of the class belong to.
func (s *scanner) places(c class) map[string]string {
	places := map[string]string{}
	found, err := s.Board.Files().Glob("/sys/bus/*/devices/*/" + c.below)
	if err != nil {
		s.problem("where the kernel's devices for driver %s are is not known: %v", c.driver, err)
	}
	for _, p := range found {
		places[path.Base(p)] = strings.Split(p, "/")[5] // /sys/bus/i2c/devices/1-0076/…
	}
	return places
}

func (s *scanner) measures(c class, dir string) bool {
	return slices.ContainsFunc(c.channels, func(pattern string) bool {
		found, err := s.Board.Files().Glob(dir + "/" + pattern)
		return err == nil && len(found) > 0 // the pattern is our own
	})
}

// w1Thermometer is a hwmon device that only repeats a 1-Wire thermometer, which
// the driver hwmon leaves to w1.
const w1Thermometer = "w1_slave_temp"

// isZone tells of a hwmon device that only repeats a thermal zone.
func (s *scanner) isZone(name string) bool {
	return slices.ContainsFunc(s.found.Zones, func(z Find) bool { return strings.ReplaceAll(z.What, "-", "_") == name })
}
