// Package families decides which metric families may stand on one page together.
package families

import (
	"fmt"
	"maps"
	"strings"

	"example.org/dormouse/sensors"
)

// Families are the metric families of one page, and the one place that decides
// which series may stand on it together:
//
//   - A family has one type. A later series of another type is refused: it is
//     an error of its sensor and counted in dormouse_rejected_series.
//   - A family has one HELP, that of its first series. A later series with
//     another text is exported under the first: no reading is lost by it.
//   - A family's name is not the name of another family's series in one of the
//     exposition formats: a gauge x_bucket and a histogram x exclude each other.
//   - The names that begin with dormouse_, process_ and go_ are the daemon's.
type Families struct {
	byName map[string]*family // and by the names of its series
}

type family struct {
	name  string
	kind  sensors.Kind
	help  string
	owner string
}

// New has the families of the built-in quantities.
func New() *Families {
	f := &Families{byName: make(map[string]*family, 2*len(sensors.QuantityNames()))}
	for _, name := range sensors.QuantityNames() {
		q, _ := sensors.QuantityByName(name)
		if _, err := f.Define(q.MetricName(), q.Kind, q.Help, "dormouse"); err != nil {
			panic("families: " + err.Error()) // a mistake in the table of quantities
		}
	}
	return f
}

// Clone returns a copy to which more may be added.
func (f *Families) Clone() *Families { return &Families{maps.Clone(f.byName)} }

// reservedPrefixes begin the names of the daemon's own families.
var reservedPrefixes = []string{"dormouse_", "process_", "go_"}

// Admit is asked before a reading of q is exported. It returns the HELP of q's
// family, which is new unless it was there, or an error that says why the
// series is refused. owner is who exports it, for messages: "sensor a".
func (f *Families) Admit(q *sensors.Quantity, owner string) (help string, err error) {
	for _, prefix := range reservedPrefixes {
		if strings.HasPrefix(q.Metric, prefix) && !q.AboutRead() {
			return "", fmt.Errorf("%s: the names that begin with %s are reserved: give it another name", q.Metric, strings.Join(reservedPrefixes, ", "))
		}
	}
	return f.Define(q.MetricName(), q.Kind, q.Help, owner)
}

// Define is Admit for the daemon's own families: no name is reserved.
func (f *Families) Define(name string, kind sensors.Kind, help, owner string) (string, error) {
	if o := f.byName[name]; o != nil && o.name == name {
		if o.kind != kind {
			return "", fmt.Errorf("%s has the type %s here, but %s exports it with the type %s: give it the same type or another name", name, kind, o.owner, o.kind)
		}
		return o.help, nil
	}
	names := seriesNames(name, kind)
	for _, n := range names {
		if o := f.byName[n]; o != nil {
			return "", fmt.Errorf("%s: its series %s would be taken for one of %s, which %s exports: give it another name", name, n, o.name, o.owner)
		}
	}
	o := &family{name, kind, help, owner}
	for _, n := range names {
		f.byName[n] = o
	}
	return help, nil
}

// seriesNames are the names that a family's series have in the text format and
// in OpenMetrics, and so the names that it takes.
func seriesNames(name string, kind sensors.Kind) []string {
	switch kind {
	case sensors.Counter:
		base := strings.TrimSuffix(name, "_total")
		return []string{base, base + "_total"}
	case sensors.Histogram:
		return []string{name, name + "_bucket", name + "_sum", name + "_count"}
	case sensors.Summary:
		return []string{name, name + "_sum", name + "_count"}
	}
	return []string{name}
}
