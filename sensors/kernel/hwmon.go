package kernel

import (
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"example.org/dormouse/sensors"
)

var hwmonClass = &class{kind: "hwmon device", dir: "/sys/class/hwmon", node: "hwmon*", below: "hwmon/hwmon*",
	numbered: true, identity: "name", others: []string{"label"}}

// A hwmonKind is a type of channel: Linux,
// Documentation/ABI/testing/sysfs-class-hwmon and Documentation/hwmon/sysfs-interface.rst.
type hwmonKind struct {
	kind     string
	unit     string // the kernel's, for the documents
	quantity *sensors.Quantity
	factor   float64 // from that unit to the quantity's
	// endings of the attribute that holds the value; the first that is there
	// counts.
	endings []string
}

var hwmonKinds = []hwmonKind{
	{"temp", "m°C", sensors.Temperature.With("channel"), 1e-3, []string{"_input"}},
	{"humidity", "m%", sensors.Humidity.With("channel"), 1e-5, []string{"_input"}},
	{"in", "mV", sensors.Voltage.With("channel"), 1e-3, []string{"_input", "_average"}},
	{"curr", "mA", sensors.Current.With("channel"), 1e-3, []string{"_input", "_average"}},
	{"power", "µW", sensors.Power.With("channel"), 1e-6, []string{"_input", "_average"}},
	{"energy", "µJ", sensors.Energy.With("channel"), 1e-6, []string{"_input"}},
	{"fan", "revolutions/min", sensors.Frequency.With("channel"), 1. / 60, []string{"_input"}},
	{"freq", "Hz", sensors.Frequency.With("channel"), 1, []string{"_input"}},
	{"pwm", "1/255", sensors.Duty.With("channel"), 1. / 255, []string{""}},
}

func init() {
	sensors.Register(&sensors.Driver{
		Name:      "hwmon",
		Summary:   "what the kernel's hardware monitoring reads: thermometers, voltages, currents, fans",
		Datasheet: "Linux, Documentation/ABI/testing/sysfs-class-hwmon",
		Reasons:   []sensors.Reason{sensors.NotReady, sensors.Identity},
		Wiring:    "the chip's overlay in config.txt (dtoverlay=i2c-sensor,…), which loads its driver; no bus is touched by Dormouse",
		Timing:    "the kernel's driver measures, or waits for its chip, while a file is read: milliseconds; some serve what they read before, see the notes",
		Options:   []sensors.Option{hwmonClass.deviceOption("the name in its file name (lm75), its label, its address (1-0048), or the path of the device it belongs to"), onlyOption("temp1 fan1")},
		Check:     checkDevice,
		Notes: []string{
			"sht3x, sht4x, aht10: a value is up to 2 s old: the driver measures again only when its update_interval has passed (drivers/hwmon/sht4x.c)",
			"sht21, shtc1: no checksum is checked, and a value is up to 0.5 s (sht21) or 0.1 s old (drivers/hwmon/sht21.c, shtc1.c)",
			"lm75, tmp102, jc42, ina219, ina226: the chip measures all the time; Dormouse's drivers measure once a read",
			"w1_slave_temp: a 1-Wire thermometer, refused: only the driver w1 tells the 85 °C of a failed conversion from a temperature (drivers/w1/slaves/w1_therm.c)",
			"rpi_volt: has an alarm and no voltage: use the driver throttled",
			"fan: revolutions per minute are exported as sensor_frequency_hertz, revolutions per second",
		},
		NoRail: noRail,
		New:    newHwmon,
	})
}

// hwmonW1 is what the kernel calls every 1-Wire thermometer (drivers/w1/w1.c,
// w1_family_notify).
const hwmonW1 = "w1_slave_temp"

func newHwmon(ctx context.Context, e sensors.Env) (sensors.Sensor, error) {
	d, err := hwmonClass.find(ctx, e)
	if err != nil {
		return nil, err
	}
	if d.name == hwmonW1 {
		// Its file has the 85 °C of a lost conversion and the 0 °C of a shorted
		// wire, and not the memory that tells them from measured ones.
		return nil, sensors.Errorf(sensors.Identity, "%s is a 1-Wire thermometer, of which hwmon can't tell a failed conversion (85 °C) from a temperature: use the driver w1, with the address that /sys/bus/w1/devices lists as id", d.name)
	}
	var files []string
	for _, k := range hwmonKinds {
		found, err := glob(e, literal(d.dir)+"/"+k.kind+"[0-9]*")
		if err != nil {
			return nil, err
		}
		files = append(files, found...)
	}
	chosen, err := chosen(e, d, hwmonChannels(d.dir, files), nil)
	if err != nil {
		return nil, err
	}
	return d.sensor(chosen), nil
}

// hwmonName is a channel's name and the ending of one of its attributes.
var hwmonName = regexp.MustCompile(`^([a-z]+)(\d+)(|_[a-z_]+)$`)

func hwmonChannels(dir string, files []string) []*channel {
	endings := map[string][]string{} // by channel
	for _, f := range files {
		if parts := hwmonName.FindStringSubmatch(strings.TrimPrefix(f, dir+"/")); parts != nil {
			name := parts[1] + parts[2]
			endings[name] = append(endings[name], parts[3])
		}
	}
	var channels []*channel
	for _, k := range hwmonKinds {
		for _, name := range byNumber(endings, k.kind) {
			i := slices.IndexFunc(k.endings, func(end string) bool { return slices.Contains(endings[name], end) })
			if i < 0 {
				continue // limits or alarms only
			}
			c := &channel{name: name, quantity: k.quantity, labels: []string{name}, factor: k.factor, value: dir + "/" + name + k.endings[i]}
			if slices.Contains(endings[name], "_fault") {
				c.fault = dir + "/" + name + "_fault"
			}
			channels = append(channels, c)
		}
	}
	return channels
}

// byNumber lists the channels of a kind, temp2 before temp10.
func byNumber(endings map[string][]string, kind string) []string {
	var numbers []int
	for name := range endings {
		if digits, ok := strings.CutPrefix(name, kind); ok {
			if n, err := strconv.Atoi(digits); err == nil { // else of another kind: "in" and "intrusion0"
				numbers = append(numbers, n)
			}
		}
	}
	slices.Sort(numbers)
	names := make([]string, len(numbers))
	for i, n := range numbers {
		names[i] = kind + strconv.Itoa(n)
	}
	return names
}
