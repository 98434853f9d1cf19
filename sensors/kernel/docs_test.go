package kernel

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"example.org/dormouse/sensors/sensortest"
)

var update = flag.Bool("update", false, "write the tables of docs/kernel.md")

// tables are what docs/kernel.md takes from the drivers, by the name of the
// place where it stands there.
func tables(t *testing.T) map[string]string {
	var iio, hwmon, power strings.Builder
	for _, k := range iioKinds {
		if k.quantity == nil {
			fmt.Fprintf(&iio, "| `%s` | – | isn't read: it %s |\n", k.kind, k.why)
			continue
		}
		metric := "`" + k.quantity.MetricName() + "`"
		if k.kind == "concentration" {
			metric = "`sensor_carbon_dioxide_ppm` (co2), `sensor_volatile_organic_compounds_ppb` (voc), " + metric
		}
		fmt.Fprintf(&iio, "| `%s` | %s | %s |\n", k.kind, k.unit, metric)
	}
	for _, k := range hwmonKinds {
		attribute := k.kind + "N" + strings.Join(k.endings, ", else "+k.kind+"N")
		if len(k.endings) == 1 {
			attribute = k.kind + "N" + k.endings[0]
		}
		fmt.Fprintf(&hwmon, "| `%s` | %s | `%s` |\n", strings.ReplaceAll(attribute, ", else ", "`, else `"), k.unit, k.quantity.MetricName())
	}
	for _, k := range powerKinds {
		labels := ""
		if len(k.labels) > 0 {
			labels = fmt.Sprintf(`{channel="%s"}`, k.labels[0])
		}
		fmt.Fprintf(&power, "| `%s` | %s | `%s%s` |\n", k.attribute, k.unit, k.quantity.MetricName(), labels)
	}
	all := map[string]string{"iio": iio.String(), "hwmon": hwmon.String(), "power_supply": power.String()}
	for _, name := range []string{"iio", "hwmon", "power_supply", "throttled", "w1"} {
		var notes strings.Builder
		for _, note := range sensortest.Driver(t, name).Notes {
			fmt.Fprintf(&notes, "- %s\n", note)
		}
		all[name+" notes"] = notes.String()
	}
	return all
}

// TestDocument holds docs/kernel.md against the drivers: each table stands
// between a comment with its name and one that ends it, after its head.
func TestDocument(t *testing.T) {
	const file = "../../docs/kernel.md"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for name, table := range tables(t) {
		place := regexp.MustCompile(`(?s)<!-- ` + name + ` -->\n(?:\|[^\n]*\n\|---[^\n]*\n)?(.*?)<!-- end -->`).FindStringSubmatchIndex(text)
		if place == nil {
			t.Errorf("there is no place for %s", name)
			continue
		}
		if is := text[place[2]:place[3]]; is != table && !*update {
			t.Errorf("%s: the document has\n%s\nand the driver\n%s", name, is, table)
		}
		text = text[:place[2]] + table + text[place[3]:]
	}
	if *update {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
