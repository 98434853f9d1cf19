package kernel

import (
	"context"
	"math"
	"regexp"
	"slices"
	"strings"

	"example.org/dormouse/sensors"
)

var iioClass = &class{kind: "IIO device", dir: "/sys/bus/iio/devices", node: "iio:device*", below: "iio:device*",
	numbered: true, identity: "name", others: []string{"label"}}

// An iioKind is a type of channel, with what its number means once offset and
// scale are applied: Linux, Documentation/ABI/testing/sysfs-bus-iio.
type iioKind struct {
	kind     string
	unit     string            // the kernel's, for the documents
	quantity *sensors.Quantity // nil: isn't read
	factor   float64           // from that unit to the quantity's
	why      string            // why it isn't read
	// unscaled numbers have no unit, and what stands in _scale is a gain.
	unscaled bool
}

// iioKinds are all types of channels of Linux 6.12, in the order of its
// drivers/iio/industrialio-core.c.
var iioKinds = []iioKind{
	{kind: "voltage", unit: "mV", quantity: sensors.Voltage, factor: 1e-3},
	{kind: "current", unit: "mA", quantity: sensors.Current, factor: 1e-3},
	{kind: "power", unit: "mW", quantity: sensors.Power, factor: 1e-3},
	{kind: "accel", unit: "m/s²", quantity: sensors.Acceleration, factor: 1},
	{kind: "anglvel", unit: "rad/s", quantity: sensors.AngularVelocity, factor: 1},
	{kind: "magn", unit: "Gauss", quantity: sensors.MagneticField, factor: 1e-4},
	{kind: "illuminance", unit: "lx", quantity: sensors.Illuminance, factor: 1},
	{kind: "intensity", unit: "none", quantity: sensors.LightIntensity, factor: 1, unscaled: true},
	{kind: "proximity", unit: "none", quantity: sensors.Proximity, factor: 1, unscaled: true},
	{kind: "temp", unit: "m°C", quantity: sensors.Temperature, factor: 1e-3},
	{kind: "incli", unit: "°", quantity: sensors.Angle, factor: 1},
	{kind: "rot", unit: "°", quantity: sensors.Angle, factor: 1},
	{kind: "angl", unit: "rad", quantity: sensors.Angle, factor: 180 / math.Pi},
	{kind: "timestamp", why: "is no measurement"},
	{kind: "capacitance", unit: "nF", quantity: sensors.Capacitance, factor: 1e-9},
	{kind: "altvoltage", why: "is an output"},
	{kind: "cct", unit: "K", quantity: sensors.ColorTemperature, factor: 1},
	{kind: "pressure", unit: "kPa", quantity: sensors.Pressure, factor: 1e3},
	{kind: "humidityrelative", unit: "m%", quantity: sensors.Humidity, factor: 1e-5},
	{kind: "activity", why: "is a pedometer's guess"},
	{kind: "steps", why: "is a pedometer's count since it was switched on"},
	{kind: "energy", unit: "J", quantity: sensors.Energy, factor: 1},
	{kind: "distance", unit: "m", quantity: sensors.Distance, factor: 1},
	{kind: "velocity", why: "is a pedometer's guess"},
	{kind: "concentration", unit: "%", quantity: sensors.Concentration, factor: 1e4},
	{kind: "resistance", unit: "Ω", quantity: sensors.Resistance, factor: 1},
	{kind: "ph", unit: "pH", quantity: sensors.PH, factor: 1},
	{kind: "uvindex", unit: "UV index", quantity: sensors.UVIndex, factor: 1},
	{kind: "electricalconductivity", unit: "S/m", quantity: sensors.Conductivity, factor: 1},
	{kind: "count", why: "is deprecated in favour of the counter subsystem"},
	{kind: "index", why: "is deprecated in favour of the counter subsystem"},
	{kind: "gravity", unit: "m/s²", quantity: sensors.Acceleration, factor: 1},
	{kind: "positionrelative", why: "is a position on a touch pad"},
	{kind: "phase", unit: "rad", quantity: sensors.Angle, factor: 180 / math.Pi},
	{kind: "massconcentration", unit: "µg/m³", quantity: sensors.ParticulateMatter, factor: 1e-6},
	{kind: "deltaangl", why: "is a difference between two samples of a buffer"},
	{kind: "deltavelocity", why: "is a difference between two samples of a buffer"},
	{kind: "colortemp", unit: "K", quantity: sensors.ColorTemperature, factor: 1},
	{kind: "chromaticity", why: "is a coordinate, which no quantity stands for"},
}

// particleSizes are the modifiers of a mass concentration.
var particleSizes = map[string]string{"pm1": "1", "pm2p5": "2.5", "pm4": "4", "pm10": "10"}

func init() {
	sensors.Register(&sensors.Driver{
		Name:      "iio",
		Summary:   "what a driver of the kernel's Industrial I/O reads: ADCs, light, pressure, humidity, gas, motion",
		Datasheet: "Linux, Documentation/ABI/testing/sysfs-bus-iio",
		Reasons:   []sensors.Reason{sensors.NotReady, sensors.Identity},
		Wiring:    "the chip's overlay in config.txt (dtoverlay=i2c-sensor,…), which loads its driver; no bus is touched by Dormouse",
		Timing:    "the kernel's driver measures while its file is read: milliseconds to a second for each channel",
		Options:   []sensors.Option{iioClass.deviceOption("the name in its file name (bmp280), its label, its address (1-0076), or the path of the device it belongs to"), onlyOption("temp pressure")},
		Check:     checkDevice,
		Notes:     iioNotes(),
		NoRail:    noRail,
		New:       newIIO,
	})
}

func newIIO(ctx context.Context, e sensors.Env) (sensors.Sensor, error) {
	d, err := iioClass.find(ctx, e)
	if err != nil {
		return nil, err
	}
	files, err := glob(e, literal(d.dir)+"/in_*")
	if err != nil {
		return nil, err
	}
	channels, unusable := iioChannels(d, files)
	chosen, err := chosen(e, d, channels, unusable)
	if err != nil {
		return nil, err
	}
	return d.sensor(chosen), nil
}

// iioChannels finds the channels that the attributes are of: _input is the
// value itself, in the kernel's unit; else there is a raw number.
func iioChannels(d *device, files []string) (channels []*channel, unusable map[string]string) {
	quirk := iioQuirkOf(d.name)
	have := map[string]bool{}
	for _, f := range files {
		have[strings.TrimPrefix(f, d.dir+"/")] = true
	}
	unusable = map[string]string{}
	for _, name := range iioNames(have) {
		c, why := newIIOChannel(name, have, quirk)
		if why != "" {
			unusable[name] = why
			continue
		}
		for _, p := range []*string{&c.value, &c.scale, &c.offset} {
			if *p != "" {
				*p = d.dir + "/" + *p
			}
		}
		channels = append(channels, c)
	}
	return channels, unusable
}

// iioNames lists the channels, each once and in order.
func iioNames(have map[string]bool) []string {
	var names []string
	for file := range have {
		name, ok := strings.CutSuffix(strings.TrimPrefix(file, "in_"), "_input")
		if !ok {
			if name, ok = strings.CutSuffix(name, "_raw"); !ok {
				continue
			}
		}
		if !slices.Contains(names, name) && !derived(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// derived tells of attributes beside a channel's value that end as it does:
// its peak, its mean, a correction.
func derived(name string) bool {
	return slices.ContainsFunc([]string{"_peak", "_mean", "_quadrature_correction"}, func(end string) bool { return strings.HasSuffix(name, end) })
}

// iioName takes a channel's name apart: its type, numbers (of a differential
// one both), and modifier or name.
var iioName = regexp.MustCompile(`^([a-z]+)(\d*)(-[a-z]+\d+)?(?:_(.+))?$`)

// newIIOChannel makes the channel of that name; why says what speaks against it.
func newIIOChannel(name string, have map[string]bool, quirk *iioQuirk) (c *channel, why string) {
	parts := iioName.FindStringSubmatch(name)
	if parts == nil {
		return nil, "its name isn't understood"
	}
	i := slices.IndexFunc(iioKinds, func(k iioKind) bool { return k.kind == parts[1] })
	if i < 0 {
		return nil, "its type isn't known"
	}
	kind, index, modifier := iioKinds[i], parts[2]+parts[3], parts[4]
	switch {
	case kind.quantity == nil:
		return nil, kind.why
	case kind.kind == "rot" && modifier != "yaw" && modifier != "pitch" && modifier != "roll":
		return nil, "it isn't one angle in degrees"
	case kind.kind == "massconcentration" && particleSizes[modifier] == "":
		return nil, "the size of its particles isn't known"
	}
	c = &channel{name: name, quantity: kind.quantity, factor: kind.factor}
	c.named(kind.kind, index, modifier)
	quirk.apply(kind.kind, c)

	if have["in_"+name+"_input"] {
		c.value = "in_" + name + "_input"
		return c, ""
	}
	if slices.Contains(quirk.inputOnly, kind.kind) {
		return nil, "its raw number can't be converted: " + quirk.note
	}
	c.value = "in_" + name + "_raw"
	if kind.unscaled {
		return c, ""
	}
	shared := kind.kind
	if parts[3] != "" {
		shared += "-" + kind.kind
	}
	c.scale = sharedAttribute(have, name, shared, "scale")
	c.offset = sharedAttribute(have, name, shared, "offset")
	if c.scale == "" && (kind.kind != "current" || c.offset != "") {
		return nil, "it has no scale, so its unit isn't known"
	}
	return c, ""
}

// sharedAttribute finds a channel's scale or offset: its own, that of all
// channels of its type, or that of all inputs.
func sharedAttribute(have map[string]bool, name, shared, attribute string) string {
	for _, file := range []string{"in_" + name + "_" + attribute, "in_" + shared + "_" + attribute, "in_" + attribute} {
		if have[file] {
			return file
		}
	}
	return ""
}

// named gives the channel its quantity and labels: what is there only once in
// a device needs no label.
func (c *channel) named(kind, index, modifier string) {
	switch {
	case kind == "massconcentration":
		c.labels, modifier = []string{particleSizes[modifier]}, ""
	case kind == "concentration" && modifier == "co2":
		c.quantity, modifier = sensors.CarbonDioxide, ""
	case kind == "concentration" && modifier == "voc":
		c.quantity, c.factor, modifier = sensors.VolatileOrganics, 1e7, ""
	}
	if index+modifier != "" || c.quantity == sensors.Concentration {
		c.quantity, c.labels = c.quantity.With("channel"), append(c.labels, c.name)
	}
}
