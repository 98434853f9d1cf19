package families

import (
	"strings"
	"testing"

	"example.org/dormouse/sensors"
)

func TestFamilies(t *testing.T) {
	program := func(name, help string, kind sensors.Kind) *sensors.Quantity {
		return &sensors.Quantity{Name: name, Metric: name, Help: help, Kind: kind}
	}
	f := New()
	for _, tt := range []struct {
		q     *sensors.Quantity
		owner string
		help  string // of the family; or
		err   string
	}{
		{sensors.Temperature, "sensor a", "Temperature.", ""},
		{program("sensor_temperature_celsius", "Warmth.", sensors.Gauge), "sensor b", "Temperature.", ""},
		{program("sensor_temperature_celsius", "Temperature.", sensors.Counter), "sensor b", "", "sensor_temperature_celsius has the type counter here, but dormouse exports it with the type gauge: give it the same type or another name"},
		{program("jobs", "Jobs.", sensors.Gauge), "sensor b", "Jobs.", ""},
		{program("jobs", "Tasks.", sensors.Gauge), "sensor c", "Jobs.", ""},
		{program("jobs", "Jobs.", sensors.Untyped), "sensor c", "", "jobs has the type untyped here, but sensor b exports it with the type gauge"},
		{program("size", "", sensors.Histogram), "sensor c", "", ""},
		{program("size_bucket", "", sensors.Gauge), "sensor d", "", "size_bucket: its series size_bucket would be taken for one of size, which sensor c exports"},
		{program("jobs_total", "", sensors.Counter), "sensor d", "", "jobs_total: its series jobs would be taken for one of jobs, which sensor b exports"},
		{program("runs_total", "", sensors.Counter), "sensor d", "", ""},
		{program("runs", "", sensors.Gauge), "sensor e", "", "would be taken for one of runs_total"},
		{program("dormouse_up", "", sensors.Gauge), "sensor e", "", "reserved"},
		{program("process_cpu_seconds_total", "", sensors.Counter), "sensor e", "", "reserved"},
		{program("go_goroutines", "", sensors.Gauge), "sensor e", "", "reserved"},
		{program(sensors.ExitStatus.Metric, sensors.ExitStatus.Help, sensors.Gauge), "sensor e", "", "reserved"},
		{sensors.ExitStatus, "sensor e", sensors.ExitStatus.Help, ""},
	} {
		help, err := f.Admit(tt.q, tt.owner)
		switch {
		case tt.err == "" && (err != nil || help != tt.help):
			t.Errorf("%s by %s: %q, %v", tt.q.MetricName(), tt.owner, help, err)
		case tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)):
			t.Errorf("%s by %s: %v, want an error with %q", tt.q.MetricName(), tt.owner, err, tt.err)
		}
	}
	c := f.Clone()
	if _, err := c.Define("dormouse_up", sensors.Gauge, "Up.", "dormouse"); err != nil {
		t.Error(err)
	}
	if _, err := f.Define("dormouse_up", sensors.Counter, "Up.", "dormouse"); err != nil {
		t.Errorf("a copy shares its families: %v", err)
	}
}
