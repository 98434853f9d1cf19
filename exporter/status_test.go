package exporter

import (
	"html"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.org/dormouse/sensors"
)

// statusPages are pages with all that can be on them, and with nothing.
func statusPages() map[string]statusPage {
	yes, no := true, false
	return map[string]statusPage{
		"empty": {Version: "1.2", Telemetry: "/metrics", Summary: "The sensors have not been read yet."},
		"full": {
			Host: "shed", Version: "1.2", Telemetry: "/metrics", Summary: "4 sensors, 1 of them down; last wake just now, next in 5m.",
			Sensors: []statusSensor{
				{SensorJSON: SensorJSON{Name: "greenhouse", Driver: "bme280", Wiring: "I2C bus 1, address 0x76", Up: &yes}, State: "up",
					Last: "just now", Next: "in 5m", Rows: []statusRow{{"temperature", "21.5 °C"}, {"relative_humidity", "53 %"}, {"pressure", "1013.2 hPa"}}},
				{SensorJSON: SensorJSON{Name: "soil", Driver: "ads1115", Wiring: "I2C bus 1, address 0x48", Up: &yes,
					Failures: []FailureJSON{{Labels: []string{"ain1"}, Error: "clipped"}, {Error: "no labels"}, {Labels: []string{"a", "b"}, Error: "two"}}},
					State: "up", Last: "1m ago", Rows: []statusRow{{"voltage ain0", "1.2 V"}}},
				{SensorJSON: SensorJSON{Name: "cellar", Driver: "sht4x", Wiring: "I2C bus 1, address 0x44", Up: &no}, State: "down: no answer",
					Down: true, Last: "just now", Next: "overdue since 2s", Rows: []statusRow{{"", ""}}},
				{SensorJSON: SensorJSON{Name: "later", Driver: "tmp102", Wiring: "I2C bus 1, address 0x49"}, State: "not read yet",
					Next: "in 1h", Rows: []statusRow{{"", ""}}},
			},
			Wires: []sensors.Wire{{Name: "probes", Kind: "rail", Where: "GPIO17", Active: true}, {Name: "rain", Kind: "line", Where: "GPIO22"}},
		},
	}
}

func TestStatusHTML(t *testing.T) {
	for name, page := range statusPages() {
		golden(t, "status-"+name+".html", string(page.html()))
	}
}

// Whatever a sensor, a program, the operator or the host is called, it is text:
// the page has the same elements as with harmless names.
func TestStatusEscapes(t *testing.T) {
	const hostile = `<script>"'&amp;`
	harmless, nasty := statusPages()["full"], statusPages()["full"]
	fields := replaceStrings(reflect.ValueOf(&harmless).Elem(), "x") + replaceStrings(reflect.ValueOf(&nasty).Elem(), hostile)
	if fields < 100 {
		t.Fatalf("%d strings were replaced: where are the others?", fields)
	}
	got := string(nasty.html())
	if n := strings.Count(got, html.EscapeString(hostile)); n < 40 {
		t.Errorf("the strings are on the page %d times:\n%s", n, got)
	}
	got = strings.ReplaceAll(got, html.EscapeString(hostile), "x")
	got = strings.ReplaceAll(got, "%3cscript%3e%22%27&amp;amp;", "x") // the link
	if want := string(harmless.html()); got != want {
		t.Errorf("a hostile string makes another page (-want +got):\n%s", cmp.Diff(want, got))
	}
}

// replaceStrings sets every string in v, and tells how many there are.
func replaceStrings(v reflect.Value, to string) (n int) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(to)
		return 1
	case reflect.Struct:
		for i := range v.NumField() {
			n += replaceStrings(v.Field(i), to)
		}
	case reflect.Slice:
		for i := range v.Len() {
			n += replaceStrings(v.Index(i), to)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			n += replaceStrings(v.Elem(), to)
		}
	}
	return n
}
