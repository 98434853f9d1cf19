package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"example.org/dormouse/sensors"
)

// labelPattern is Prometheus' data model of label names.
var labelPattern = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// reservedLabels are those of every reading, of Prometheus' targets, and of
// histograms and summaries.
var reservedLabels = []string{"sensor", "channel", "instance", "job", "le", "quantile"}

// errNoLabelName is the error of the key label or labels by itself.
var errNoLabelName = errors.New("needs the label's name: label.NAME=VALUE, or labels: {NAME: VALUE}")

// parseLabel reads a label: its name follows Prometheus' data model and is none
// that the readings of the driver, which may be nil, have already.
func parseLabel(set setting, name string, d *sensors.Driver) (sensors.Label, error) {
	text, err := set.Plain()
	switch {
	case err != nil:
	case !labelPattern.MatchString(name):
		err = fmt.Errorf("%q is not a valid label name: use letters, digits and _, not a digit first", name)
	case strings.HasPrefix(name, "__"):
		err = fmt.Errorf("%q is not a valid label name: names that begin with __ are reserved by Prometheus", name)
	case slices.Contains(reservedLabels, name):
		err = fmt.Errorf("%q can't be used as a label name: it is reserved (reserved are %s)", name, strings.Join(reservedLabels, ", "))
	case slices.Contains(labelNames(d), name):
		err = fmt.Errorf("%q can't be used as a label name: driver %s uses it", name, d.Name)
	case text == "":
		err = errors.New("has no value: to Prometheus an empty label is no label")
	}
	return sensors.Label{Name: name, Value: text}, err
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
