package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"example.org/dormouse/sensors"
)

// notOfInput is the error for a key that channels and quantities don't have.
func (d *sensorDraft) notOfInput(input, key string) error {
	if _, ok := sensors.CommonOption(key); ok || strings.HasPrefix(key, "label.") {
		return fmt.Errorf("is a key of the whole sensor, not of a channel: write it as %s", key)
	}
	if o, err := d.driver.Option(key); err == nil && !o.Channel {
		return fmt.Errorf("is a key of the whole sensor, not of a channel: write it as %s", key)
	}
	known := slices.Clone(ofReadings)
	for _, o := range d.driver.Options {
		if o.Channel {
			known = append(known, o.Name)
		}
	}
	advice := sensors.DidYouMean(key, known)
	for _, o := range d.driver.Options {
		if o.Type == sensors.MapOption && advice == "" {
			advice = sensors.DidYouMean(input, []string{o.Name})
		}
	}
	return fmt.Errorf("%q is not a key of channel %s%s: its keys are %s", key, input, advice, strings.Join(known, ", "))
}

// unknown is the error for a key that neither every sensor nor the driver has.
// It is nil where the driver is unknown: what keys it has isn't known either.
func (d *sensorDraft) unknown(set setting) error {
	switch {
	case set.Key == "label" || set.Key == "labels":
		return errNoLabelName
	case set.Null:
		return errors.New("has no value and is not a known key: if it is part of the previous value, put that value in double quotes, because a comma ends a value between { and }")
	case set.Key == "name" || set.Key == "driver":
		return errors.New("is given at the beginning of a flag: NAME=DRIVER,…")
	case slices.Contains(shortCalibration, set.Key):
		return fmt.Errorf("is a key of a channel; of the whole sensor it is calibrate.%s", set.Key)
	case d.driver == nil:
		return nil
	}
	if head, rest, dotted := strings.Cut(set.Key, "."); dotted {
		if opt, err := d.driver.Option(head); err == nil && !opt.Channel {
			return fmt.Errorf("%s takes one value, without .%s", head, rest)
		}
		return noInput(d.driver, head)
	}
	var known []string
	for _, o := range append(sensors.CommonOptions(), d.driver.Options...) {
		known = append(known, o.Name)
	}
	return fmt.Errorf("is not a key of driver %s%s%s", d.driver.Name, sensors.DidYouMean(set.Key, known), ownKeys(d.driver))
}

// ownKeys tells which options the driver has.
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

// noInput is the error for a channel that the driver doesn't have.
func noInput(d *sensors.Driver, name string) error {
	inputs := append(slices.Clone(d.Channels), measured(d)...)
	if len(inputs) == 0 {
		return fmt.Errorf("driver %s has no channels", d.Name)
	}
	return fmt.Errorf("driver %s has no channel %s%s: it has %s", d.Name, name, sensors.DidYouMean(name, append(slices.Clone(inputs), "label", "calibrate", "filter")), strings.Join(inputs, ", "))
}
