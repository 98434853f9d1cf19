package kernel

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"example.org/dormouse/sensors"
)

// zoneTemperature has the range of silicon that still computes.
var zoneTemperature = sensors.Temperature.Within(-55, 150)

// processorZone is what the device trees of all Pis call the processor's.
const processorZone = "cpu-thermal"

func init() {
	sensors.Register(&sensors.Driver{
		Name:      "thermal",
		Summary:   "temperature of the processor, or of another thermal zone of the kernel",
		Datasheet: "Linux, Documentation/driver-api/thermal/sysfs-api.rst",
		Reasons:   []sensors.Reason{sensors.Identity},
		Wiring:    "none: part of every Pi",
		Timing:    "none: the kernel reads a register",
		Options: []sensors.Option{
			{Name: "zone", Type: sensors.TextOption, Help: "type of the zone, as in /sys/class/thermal/thermal_zone*/type; by default " + processorZone + ", or the only one there is"},
		},
		Measures: []*sensors.Quantity{zoneTemperature},
		New:      newZone,
	})
}

// zone is a thermal zone. It is found by its type: the numbers follow the
// order in which drivers were loaded.
type zone struct {
	env   sensors.Env
	dir   string
	typ   string
	inode uint64 // of its attribute temp, once that is known
}

func newZone(ctx context.Context, e sensors.Env) (sensors.Sensor, error) {
	files, err := e.Files().Glob("/sys/class/thermal/thermal_zone*/type")
	if err != nil {
		return nil, fmt.Errorf("look for thermal zones: %w", err)
	}
	var zones []zone
	var types []string
	for _, file := range files {
		typ, err := readText(ctx, e.Files(), file)
		if err != nil {
			return nil, err
		}
		zones = append(zones, zone{env: e, dir: path.Dir(file), typ: typ})
		types = append(types, typ)
	}
	slices.Sort(types)
	there := "there is " + strings.Join(types, ", ")

	want := e.Options().Text("zone")
	switch {
	case len(zones) == 0:
		return nil, sensors.Errorf(sensors.NoAnswer, "the kernel shows no thermal zone: is /sys mounted, and does this machine have one?")
	case want == "" && slices.Contains(types, processorZone):
		want = processorZone
	case want == "" && len(zones) > 1:
		return nil, sensors.Errorf(sensors.NoAnswer, "no thermal zone is called %s and there are several: choose one with zone (%s)", processorZone, there)
	case want == "":
		want = types[0]
	}
	var found []*zone
	for i := range zones {
		if zones[i].typ == want {
			found = append(found, &zones[i])
		}
	}
	switch len(found) {
	case 0:
		return nil, sensors.Errorf(sensors.NoAnswer, "no thermal zone is called %q: %s", want, there)
	case 1:
		return found[0], nil
	}
	return nil, sensors.Errorf(sensors.Identity, "%d thermal zones are called %q: they can't be distinguished", len(found), want)
}

func (z *zone) Sense(ctx context.Context, r *sensors.Report) error {
	file := z.dir + "/temp"
	text, err := z.read(ctx, file)
	if err != nil {
		return err
	}
	v, err := milli(file, text)
	if err != nil {
		return err
	}
	r.Set(zoneTemperature, float64(v)/1000)
	return nil
}

// read reads the zone's temperature. After a driver was reloaded the directory may
// be that of another zone. Its attributes then have new inodes: so the type is
// checked only where the inode isn't the one for which it was checked before.
func (z *zone) read(ctx context.Context, file string) (string, error) {
	if z.typ != processorZone {
		if err := z.check(ctx); err != nil {
			return "", err
		}
		return readText(ctx, z.env.Files(), file)
	}
	for range 2 {
		// Registers of the processor: bcm2835_thermal, bcm2711_thermal.
		text, inode, err := readAtOnce(ctx, z.env.Files(), file)
		if err != nil || inode != 0 && inode == z.inode {
			return text, err
		}
		if err := z.check(ctx); err != nil || inode == 0 {
			return text, err
		}
		z.inode = inode // and read it again: only now is it known whose it is
	}
	z.inode = 0
	return "", sensors.Errorf(sensors.Identity, "%s became another zone while it was read: read again at the next wake", z.dir)
}

// check looks whether the zone is the one that was found.
func (z *zone) check(ctx context.Context) error {
	typ, _, err := readAtOnce(ctx, z.env.Files(), z.dir+"/type") // a name in memory
	if err == nil && typ != z.typ {
		err = sensors.Errorf(sensors.Identity, "%s was %s and is now %s: it is searched for again at the next read", z.dir, z.typ, excerpt(typ))
	}
	return err
}
