package all

import (
	"os"
	"strings"
	"testing"

	"example.org/dormouse/sensors"
)

// docs/metrics.md names the metric of every built-in quantity.
func TestEveryQuantityIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range sensors.QuantityNames() {
		q, _ := sensors.QuantityByName(name)
		if !strings.Contains(string(text), "`"+q.MetricName()+"`") && !strings.Contains(string(text), "`"+q.MetricName()+"{") {
			t.Errorf("docs/metrics.md lacks %s, the metric of the quantity %s", q.MetricName(), name)
		}
	}
}
