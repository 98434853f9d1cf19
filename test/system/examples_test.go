//go:build system

package system

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"example.org/dormouse/sensors"
	"example.org/dormouse/test/kit"
)

// promtool runs it among examples/prometheus.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.Command(program(t, "promtool"), args...)
	cmd.Dir = kit.Source("examples/prometheus")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestPromtoolAcceptsTheExamples(t *testing.T) {
	// The files that it names, with passwords and certificates, are the user's.
	promtool(t, "check", "config", "--syntax-only", "prometheus.yml")
	promtool(t, "check", "rules", "--lint-fatal", "recording.yml", "alerts.yml")
	promtool(t, "test", "rules", "test.yml")
	alerts, err := os.ReadFile(kit.Source("examples/prometheus/alerts.yml"))
	kit.Must(t, err)
	tests, err := os.ReadFile(kit.Source("examples/prometheus/test.yml"))
	kit.Must(t, err)
	for _, m := range regexp.MustCompile(`alert: (\w+)`).FindAllStringSubmatch(string(alerts), -1) {
		if !strings.Contains(string(tests), "alertname: "+m[1]+"\n        exp_alerts:") {
			t.Errorf("no case of test.yml sees the alert %s", m[1])
		}
	}
}

// everyQuantity is a page with a series of each quantity, whose counters rise.
func everyQuantity() http.Handler {
	var scrapes atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := scrapes.Add(1)
		fmt.Fprintln(w, `dormouse_sensor_info{sensor="every",driver="made-up",wiring="none"} 1`)
		fmt.Fprintln(w, `dormouse_sensor_up{sensor="every"} 1`)
		for _, name := range sensors.QuantityNames() {
			q, _ := sensors.QuantityByName(name)
			fmt.Fprintf(w, "%s{sensor=\"every\"} %d\n", q.MetricName(), n)
		}
	})
}

// TestEachQueryOfTheDashboardReturnsData: with the demo alone those of the daemon
// and of what the demo measures; with a page of all quantities the others too.
func TestEachQueryOfTheDashboardReturnsData(t *testing.T) {
	dormouse, err := binary()
	kit.Must(t, err)
	dir := t.TempDir()
	t.Setenv("STATE_DIRECTORY", dir)
	t.Setenv("RUNTIME_DIRECTORY", dir)
	demo := kit.Address(t, background(t, dormouse, "demo", "--web.listen-address=127.0.0.1:0"), kit.Listening)
	page := httptest.NewServer(everyQuantity())
	defer page.Close()
	p := startPrometheus(t, "1s", map[string]string{"demo": demo, "every": strings.TrimPrefix(page.URL, "http://")})

	queries := dashboardQueries(t)
	if len(queries) < 20 {
		t.Errorf("only %d queries were found", len(queries))
	}
	onDemo := 0
	var pending []string
	for _, q := range queries {
		instance := `".*"`
		if !strings.Contains(q, "sensor_") || strings.Contains(q, "dormouse_") || strings.Contains(q, "sensor_temperature_celsius") {
			instance = fmt.Sprintf("%q", demo)
			onDemo++
		}
		// Within what is kept of the demo there are some seconds.
		pending = append(pending, strings.NewReplacer(`"$instance"`, instance, `"$sensor"`, `".*"`, "[1h]", "[30s]").Replace(q))
	}
	kit.Eventually(t, func() error {
		for len(pending) > 0 {
			got, err := p.query(pending[0])
			if err == nil && len(got) == 0 {
				err = errors.New("no data: " + pending[0])
			}
			if err != nil {
				return err
			}
			pending = pending[1:]
		}
		return nil
	})
	t.Logf("%d queries, %d of them of the demo alone", len(queries), onDemo)
}

// dashboardQueries are the expressions of all panels.
func dashboardQueries(t *testing.T) []string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(kit.Source("examples/grafana"), "dormouse.json"))
	kit.Must(t, err)
	type panel struct {
		Panels  []json.RawMessage
		Targets []struct{ Expr string }
	}
	var queries []string
	var walk func(raw []json.RawMessage)
	walk = func(raw []json.RawMessage) {
		for _, r := range raw {
			var p panel
			kit.Must(t, json.Unmarshal(r, &p))
			for _, target := range p.Targets {
				queries = append(queries, target.Expr)
			}
			walk(p.Panels)
		}
	}
	var board panel
	kit.Must(t, json.Unmarshal(data, &board))
	walk(board.Panels)
	return queries
}
