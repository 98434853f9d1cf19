package kernel

import (
	"context"
	"slices"

	"example.org/dormouse/sensors"
)

var powerClass = &class{kind: "power supply", dir: "/sys/class/power_supply", node: "*", below: "power_supply/*",
	identity: "type", others: []string{"model_name"}}

// A powerKind is an attribute: Linux,
// Documentation/ABI/testing/sysfs-class-power and Documentation/power/power_supply_class.rst.
type powerKind struct {
	attribute string
	unit      string // the kernel's, for the documents
	quantity  *sensors.Quantity
	labels    []string
	factor    float64
	words     map[string]float64
}

var powerKinds = []powerKind{
	{"capacity", "%", sensors.Battery, nil, 1e-2, nil},
	{"voltage_now", "µV", sensors.Voltage, nil, 1e-6, nil},
	{"current_now", "µA", sensors.Current, nil, 1e-6, nil},
	{"power_now", "µW", sensors.Power, nil, 1e-6, nil},
	{"temp", "0.1 °C", sensors.Temperature, nil, 0.1, nil},
	{"temp_ambient", "0.1 °C", sensors.Temperature.With("channel"), []string{"ambient"}, 0.1, nil},
	{"charge_now", "µAh", sensors.Charge, nil, 3600e-6, nil},
	{"energy_now", "µWh", sensors.StoredEnergy, nil, 3600e-6, nil},
	{"time_to_empty_now", "s", sensors.RemainingTime.With("channel"), []string{"empty"}, 1, nil},
	{"time_to_full_now", "s", sensors.RemainingTime.With("channel"), []string{"full"}, 1, nil},
	{"status", "a word", sensors.Active.With("channel"), []string{"discharging"}, 0,
		map[string]float64{"Discharging": 1, "Charging": 0, "Not charging": 0, "Full": 0}},
	{"online", "0, 1 or 2", sensors.Active.With("channel"), []string{"online"}, 0, map[string]float64{"0": 0, "1": 1, "2": 1}},
}

func init() {
	sensors.Register(&sensors.Driver{
		Name:      "power_supply",
		Summary:   "batteries and supplies that the kernel drives: UPS HATs with a MAX17040/48, chargers, USB supplies",
		Datasheet: "Linux, Documentation/ABI/testing/sysfs-class-power",
		Reasons:   []sensors.Reason{sensors.NotReady, sensors.Identity},
		Wiring:    "the gauge's overlay in config.txt (dtoverlay=i2c-sensor,max17040), which loads its driver; no bus is touched by Dormouse",
		Timing:    "the kernel's driver reads its registers while a file is read: milliseconds",
		Options:   []sensors.Option{powerClass.deviceOption("its name in " + powerClass.dir + " (battery, BAT0), its model, its address (1-0036), or the path of the device it belongs to"), onlyOption("capacity voltage_now")},
		Check:     checkDevice,
		Notes: []string{
			"current_now: negative while a battery discharges, by the kernel's document; some drivers do otherwise",
			"max17040: reports online and present whatever is connected; online is left out of every battery (drivers/power/supply/max17040_battery.c)",
			"a battery that isn't present, by the attribute of that name, is an error",
		},
		NoRail: noRail,
		New:    newPowerSupply,
	})
}

func newPowerSupply(ctx context.Context, e sensors.Env) (sensors.Sensor, error) {
	d, err := powerClass.find(ctx, e)
	if err != nil {
		return nil, err
	}
	found, err := glob(e, literal(d.dir)+"/*")
	if err != nil {
		return nil, err
	}
	var channels []*channel
	for _, k := range powerKinds {
		file := d.dir + "/" + k.attribute
		if !slices.Contains(found, file) || k.attribute == "online" && d.name == "Battery" {
			continue
		}
		channels = append(channels, &channel{name: k.attribute, quantity: k.quantity, labels: k.labels, factor: k.factor, value: file, words: k.words})
	}
	chosen, err := chosen(e, d, channels, nil)
	if err != nil {
		return nil, err
	}
	s := d.sensor(chosen)
	if !slices.Contains(found, d.dir+"/present") {
		return s, nil
	}
	return &battery{s}, nil
}

// battery is a supply that may be absent while its gauge answers.
type battery struct{ *deviceSensor }

func (b *battery) Sense(ctx context.Context, r *sensors.Report) error {
	file := b.dir + "/present"
	text, err := readText(ctx, b.env.Files(), file)
	switch {
	case err != nil:
		return b.explain(ctx, attributeError(file, err))
	case text == "0":
		return sensors.Errorf(sensors.NoAnswer, "%s %s: there is no battery (%s is 0)", b.class.kind, b.name, file)
	case text != "1":
		return sensors.Errorf(sensors.IO, "%s holds %s where 0 or 1 is expected", file, excerpt(text))
	}
	return b.deviceSensor.Sense(ctx, r)
}
