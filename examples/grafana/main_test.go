package main

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"

	"example.org/dormouse/sensors"
)

var update = flag.Bool("update", false, "write dormouse.json")

func TestTheFileIsWhatIsGenerated(t *testing.T) {
	var b bytes.Buffer
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("dormouse.json", b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.ReadFile("dormouse.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(file, b.Bytes()) {
		t.Error("dormouse.json isn't what the registry's quantities give: go test ./examples/grafana -update")
	}
}

func TestEachQuantityIsOnAPanel(t *testing.T) {
	var b bytes.Buffer
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	for _, name := range sensors.QuantityNames() {
		q, _ := sensors.QuantityByName(name)
		if metric := q.MetricName(); !strings.Contains(b.String(), metric) && !strings.HasSuffix(metric, "_timestamp_seconds") {
			t.Errorf("no panel shows %s", metric)
		}
	}
}

func TestEachUnitHasAName(t *testing.T) {
	for _, p := range panels() {
		if name := grafanaUnit(p.unit); name == "suffix: " {
			t.Errorf("the unit %q has no symbol and no name in Grafana", p.unit.Suffix)
		}
	}
}
