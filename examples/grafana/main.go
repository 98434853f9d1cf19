// Command grafana prints a Grafana dashboard for the metrics of Dormouse:
//
//	go run ./examples/grafana > examples/grafana/dormouse.json
//
// The panels are made from the registry's quantities, one for each unit, so
// that a new quantity is on the dashboard as soon as it exists; a test holds
// dormouse.json against what this program prints.
package main

// The second version of the dashboard's schema is imported by Grafana 12 and
// later only; the first by all.
//
//lint:file-ignore SA1019 see above

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	grafana "github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/units"
)

func main() {
	if err := write(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func write(w io.Writer) error {
	board, err := build()
	if err != nil {
		return err
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(board)
}

// selected are the series that the dashboard's variables choose; daemon those
// of no sensor.
const (
	selected = `instance=~"$instance", sensor=~"$sensor"`
	daemon   = `instance=~"$instance"`
)

func build() (dashboard.Dashboard, error) {
	b := dashboard.NewDashboardBuilder("Dormouse").Uid("dormouse").
		Description("Sensors read by Dormouse, and the daemon itself. Made by examples/grafana of its repository.").
		Tags([]string{"dormouse", "sensors"}).
		Timezone(grafana.TimeZoneBrowser).Time("now-24h", "now").Refresh("1m").
		WithVariable(dashboard.NewDatasourceVariableBuilder("datasource").Label("Prometheus").Type("prometheus")).
		WithVariable(choice("instance", `label_values(dormouse_build_info, instance)`)).
		WithVariable(choice("sensor", `label_values(dormouse_sensor_info{instance=~"$instance"}, sensor)`))
	overview(b)
	readings(b)
	itself(b)
	return b.Build()
}

// choice is a variable whose values are those of a label.
func choice(name, query string) *dashboard.QueryVariableBuilder {
	return dashboard.NewQueryVariableBuilder(name).Label(strings.ToUpper(name[:1]) + name[1:]).
		Datasource(source()).Query(dashboard.StringOrMap{String: &query}).
		Refresh(dashboard.VariableRefreshOnTimeRangeChanged).Sort(dashboard.VariableSortAlphabeticalAsc).
		Multi(true).IncludeAll(true).AllValue(".*")
}

func source() grafana.DataSourceRef {
	kind, uid := "prometheus", "${datasource}"
	return grafana.DataSourceRef{Type: &kind, Uid: &uid}
}

func query(expr, legend string) *prometheus.DataqueryBuilder {
	return prometheus.NewDataqueryBuilder().Datasource(source()).Expr(expr).LegendFormat(legend)
}

// overview is what somebody wants to see first: does all of it work?
func overview(b *dashboard.DashboardBuilder) {
	b.WithRow(dashboard.NewRowBuilder("Overview"))
	b.WithPanel(stat.NewPanelBuilder().Title("Sensors up").Datasource(source()).Height(5).Span(6).
		WithTarget(query(`sum(dormouse_sensor_up{`+selected+`})`, "").Instant()))
	b.WithPanel(stat.NewPanelBuilder().Title("Sensors down").Datasource(source()).Height(5).Span(6).
		WithTarget(query(`count(dormouse_sensor_info{`+selected+`}) - sum(dormouse_sensor_up{`+selected+`})`, "").Instant()).
		Thresholds(dashboard.NewThresholdsConfigBuilder().Mode(dashboard.ThresholdsModeAbsolute).
			Steps([]dashboard.Threshold{{Color: "green"}, {Value: new(1.0), Color: "red"}})))
	b.WithPanel(table.NewPanelBuilder().Title("Sensors").Description("1: up, 0: down.").Datasource(source()).Height(5).Span(12).
		WithTarget(query(`dormouse_sensor_info{`+selected+`} * on (instance, sensor) group_left () dormouse_sensor_up`, "").
			Instant().Format(prometheus.PromQueryFormatTable)))
}

// A panel shows all quantities of one unit.
type panel struct {
	unit       *units.Unit
	quantities []*sensors.Quantity
}

// panels groups the quantities; counters stand apart, because what is looked at
// is their increase.
func panels() []panel {
	var all []panel
	for _, name := range sensors.QuantityNames() {
		q, _ := sensors.QuantityByName(name)
		if strings.HasSuffix(q.MetricName(), "_timestamp_seconds") {
			continue // a moment, which is no curve
		}
		i := slices.IndexFunc(all, func(p panel) bool {
			return p.quantities[0].Kind == q.Kind && title(p.unit) == title(q.BaseUnit())
		})
		if i < 0 {
			all = append(all, panel{unit: q.BaseUnit()})
			i = len(all) - 1
		}
		all[i].quantities = append(all[i].quantities, q)
	}
	return all
}

func (p panel) counter() bool { return p.quantities[0].Kind == sensors.Counter }

// names are the metrics of the panel, as an alternation.
func (p panel) names() string {
	names := make([]string, len(p.quantities))
	for i, q := range p.quantities {
		names[i] = q.MetricName()
	}
	return strings.Join(names, "|")
}

func (p panel) title() string {
	words := make([]string, len(p.quantities))
	for i, q := range p.quantities {
		words[i] = strings.ReplaceAll(q.Name, "_", " ")
	}
	text := strings.Join(words, ", ")
	if len(words) > 3 {
		text = strings.Join(words[:3], ", ") + ", …"
	}
	if p.counter() {
		text += ", per hour"
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// title tells units apart as people see them: two units of meters may be shown
// in different ways.
func title(u *units.Unit) string { return u.Suffix + " " + u.Shown }

// The names that Grafana has for units; of others the symbol is shown.
var grafanaUnits = map[string]string{
	"celsius": "celsius", "kelvin": "kelvin", "ratio": "percentunit", "pascals": "pressurepa", "lux": "lux",
	"ppm": "ppm", "ppb": "conppb", "volts": "volt", "amperes": "amp", "watts": "watt", "joules": "joule", "ohms": "ohm",
	"meters": "lengthm", "grams": "massg", "hertz": "hertz", "seconds": "s", "meters_per_second": "velocityms",
	"grams_per_cubic_meter": "congm3", "cubic_meters": "m3", "degrees": "degree", "decibels": "dB", "farads": "farad",
	"sieverts_per_hour": "radsvh", "meters_per_second_squared": "accMS2", "radians_per_second": "rotrads", "": "short",
}

func grafanaUnit(u *units.Unit) string {
	if name, ok := grafanaUnits[u.Suffix]; ok {
		return name
	}
	return "suffix: " + u.Symbol
}

// common are the quantities that most people measure. Their panels are seen at
// once; the others are in a row that is folded up.
var common = []*sensors.Quantity{sensors.Temperature, sensors.Humidity, sensors.Pressure, sensors.Illuminance, sensors.Active,
	sensors.CarbonDioxide, sensors.ParticulateMatter, sensors.Voltage, sensors.Current, sensors.Power, sensors.Precipitation}

func readings(b *dashboard.DashboardBuilder) {
	b.WithRow(dashboard.NewRowBuilder("Readings"))
	others := dashboard.NewRowBuilder("Readings of other kinds").Collapsed(true)
	for _, p := range panels() {
		if slices.ContainsFunc(p.quantities, func(q *sensors.Quantity) bool { return slices.Contains(common, q) }) {
			b.WithPanel(graph(p))
		} else {
			others.WithPanel(graph(p))
		}
	}
	b.WithRow(others)
}

func graph(p panel) *timeseries.PanelBuilder {
	graph := timeseries.NewPanelBuilder().Title(p.title()).Datasource(source()).Height(8).Span(12).Unit(grafanaUnit(p.unit)).
		// A gap is a gap: what is absent isn't drawn.
		SpanNulls(grafana.BoolOrFloat64{Bool: new(false)}).ShowPoints(grafana.VisibilityModeAuto)
	if !p.counter() {
		return graph.WithTarget(query(`{__name__=~"`+p.names()+`", `+selected+`}`, "{{sensor}} {{channel}} {{__name__}}"))
	}
	for _, q := range p.quantities {
		graph.WithTarget(query(`increase(`+q.MetricName()+`{`+selected+`}[1h])`, "{{sensor}} {{channel}} "+q.MetricName()))
	}
	return graph
}

// itself is the daemon: does it sleep, what does it cost, what goes wrong?
func itself(b *dashboard.DashboardBuilder) {
	b.WithRow(dashboard.NewRowBuilder("Daemon"))
	for _, g := range []struct{ title, unit, expr, legend string }{
		{"Failed reads, per hour", "short", `sum by (instance, sensor, reason) (increase(dormouse_sensor_read_errors_total{` + selected + `}[1h])) > 0 or vector(0)`, "{{sensor}} {{reason}}"},
		{"Duration of the last read", "s", `dormouse_sensor_last_read_duration_seconds{` + selected + `}`, "{{sensor}}"},
		{"Time to the next read", "s", `dormouse_sensor_next_read_timestamp_seconds{` + selected + `} - time()`, "{{sensor}}"},
		{"Wake-ups of the process, per hour", "short", `3600 * rate(dormouse_context_switches_total{kind="voluntary", ` + daemon + `}[1h])`, "{{instance}}"},
		{"Share of time awake", "percentunit", `rate(dormouse_awake_seconds_total{` + daemon + `}[1h])`, "{{instance}}"},
		{"Processor time", "percentunit", `rate(process_cpu_seconds_total{` + daemon + `}[1h]) and on (instance) dormouse_build_info`, "{{instance}}"},
		{"Memory", "bytes", `process_resident_memory_bytes{` + daemon + `} and on (instance) dormouse_build_info`, "{{instance}}"},
		{"Rejected series", "short", `dormouse_rejected_series{` + daemon + `}`, "{{instance}}"},
	} {
		b.WithPanel(timeseries.NewPanelBuilder().Title(g.title).Datasource(source()).Height(8).Span(12).Unit(g.unit).
			WithTarget(query(g.expr, g.legend)))
	}
}
