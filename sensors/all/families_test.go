package all

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/exporter"
	"example.org/dormouse/sensors/board/sim"
	"example.org/dormouse/sensors/config"
	"example.org/dormouse/sensors/poll"
)

// Programs print families of the same name: where only HELP differs no reading
// is lost, and where the type differs the later series is refused, counted, and
// an error of its sensor. The whole way, from a program's output to the page.
func TestProgramsThatContradictEachOther(t *testing.T) {
	program := func(name, text string) string {
		return name + `=command,output=prometheus,argv="/usr/bin/printf '` + text + `'"`
	}
	cfg, err := config.Load(config.Source{SensorFlags: []string{
		program("first", `# HELP jobs Jobs that wait.\\n# TYPE jobs gauge\\njobs 1\\n`),
		program("help", `# HELP jobs Tasks in the queue.\\n# TYPE jobs gauge\\njobs 2\\n`),
		program("type", `# TYPE jobs counter\\njobs 3\\nother 4\\n`),
		program("ours", `# TYPE sensor_temperature_celsius counter\\nsensor_temperature_celsius 5\\n`),
	}})
	if err != nil {
		t.Fatal(err)
	}
	clock, err := alarm.New()
	if err != nil {
		t.Fatal(err)
	}
	defer clock.Close()
	p, err := poll.New(poll.Options{Config: cfg, Board: sim.New(clock, 1), Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	shot, err := p.ReadNow(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	e := exporter.New(exporter.Options{Clock: clock})
	e.Publish(shot)
	w := httptest.NewRecorder()
	e.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	page := w.Body.String()
	for _, line := range []string{
		"# HELP jobs Jobs that wait.", "# TYPE jobs gauge", `jobs{sensor="first"} 1`, `jobs{sensor="help"} 2`, `other{sensor="type"} 4`,
		"dormouse_rejected_series 2",
		`dormouse_sensor_up{sensor="first"} 1`, `dormouse_sensor_up{sensor="help"} 1`, `dormouse_sensor_up{sensor="type"} 1`, `dormouse_sensor_up{sensor="ours"} 0`,
		`dormouse_sensor_read_errors_total{reason="io",sensor="type"} 1`, `dormouse_sensor_read_errors_total{reason="io",sensor="ours"} 1`,
	} {
		if strings.Count(page, line+"\n") != 1 {
			t.Errorf("the page lacks %q", line)
		}
	}
	for _, absent := range []string{"Tasks in the queue", `jobs{sensor="type"}`, `celsius{sensor="ours"}`} {
		if strings.Contains(page, absent) {
			t.Errorf("the page has %q", absent)
		}
	}
	for i, want := range []string{"", "", "jobs has the type counter here, but sensor first exports it with the type gauge", "sensor_temperature_celsius has the type counter here, but dormouse exports it with the type gauge"} {
		r := shot.Results[i]
		got := ""
		if len(r.Failures) > 0 {
			got = r.Failures[0].Err.Error()
		}
		if !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("%s: %q, want %q", r.Name, got, want)
		}
	}
	if t.Failed() {
		t.Log(page)
	}
}
