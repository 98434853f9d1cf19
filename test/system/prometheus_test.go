//go:build system

package system

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"example.org/dormouse/test/kit"
	"example.org/dormouse/test/rig"
)

// background starts a program of the host and ends it with the test. What it
// says goes to a file, whose content the returned function tells.
func background(t *testing.T, argv ...string) (said func() string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "output")
	output, err := os.Create(path)
	kit.Must(t, err)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	kit.Must(t, cmd.Start())
	said = func() string {
		t.Helper()
		text, err := os.ReadFile(path)
		kit.Must(t, err)
		return string(text)
	}
	later(t, func(context.Context) error {
		err := errors.Join(cmd.Process.Signal(syscall.SIGTERM), cmd.Wait(), output.Close())
		if err != nil || t.Failed() {
			t.Logf("%s said:\n%s", argv[0], said())
		}
		return err
	})
	return said
}

// program is the path of one of Prometheus' programs.
func program(t *testing.T, name string) string {
	t.Helper()
	root, err := rig.DebianPackage(t.Context(), "prometheus")
	kit.Must(t, err)
	return filepath.Join(root, "usr/bin", name)
}

// prometheus is a running one.
type prometheus struct {
	*testing.T
	url string
}

var prometheusListens = regexp.MustCompile(`msg="Listening on" address=(\S+)\s`)

// startPrometheus has one scrape targets, by job.
func startPrometheus(t *testing.T, every string, targets map[string]string) *prometheus {
	t.Helper()
	dir := t.TempDir()
	config := fmt.Sprintf("global: {scrape_interval: %s, scrape_timeout: %[1]s}\nscrape_configs:\n", every)
	for job, target := range targets {
		config += fmt.Sprintf("  - {job_name: %s, static_configs: [{targets: [%q]}]}\n", job, target)
	}
	file := filepath.Join(dir, "prometheus.yml")
	kit.Must(t, os.WriteFile(file, []byte(config), 0o644))
	said := background(t, program(t, "prometheus"), "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address=127.0.0.1:0")
	return &prometheus{t, "http://" + kit.Address(t, said, prometheusListens)}
}

// query asks for an instant vector: value by the label sensor, or, where there
// is none, by job.
func (p *prometheus) query(expression string) (map[string]float64, error) {
	request, err := http.NewRequestWithContext(p.Context(), http.MethodGet, p.url+"/api/v1/query?"+url.Values{"query": {expression}}.Encode(), nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var answer struct {
		Status, Error string
		Data          struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any // time, and the value as text
			}
		}
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return nil, err
	}
	if answer.Status != "success" {
		return nil, fmt.Errorf("%s: %s", expression, answer.Error)
	}
	values := map[string]float64{}
	for _, r := range answer.Data.Result {
		text, _ := r.Value[1].(string)
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, err
		}
		key := r.Metric["sensor"]
		if key == "" {
			key = r.Metric["job"]
		}
		values[key] = v
	}
	return values, nil
}

// answers waits until a query's answer is as it should be.
func (p *prometheus) answers(expression string, want func(map[string]float64) bool) {
	p.Helper()
	kit.Eventually(p.T, func() error {
		got, err := p.query(expression)
		if err == nil && !want(got) {
			err = fmt.Errorf("%s: %v", expression, got)
		}
		return err
	})
}

// checkMetrics has promtool look at a page.
func checkMetrics(t *testing.T, url string) {
	t.Helper()
	page, err := kit.Fetch(t.Context(), http.DefaultTransport, url)
	kit.Must(t, err)
	cmd := exec.Command(program(t, "promtool"), "check", "metrics")
	cmd.Stdin = strings.NewReader(string(page))
	if out, err := cmd.CombinedOutput(); err != nil || len(out) != 0 {
		t.Errorf("promtool check metrics: %v\n%s\n%s", err, out, page)
	}
}

// all answers whether there are n values that are all the same.
func all(n int, value float64) func(map[string]float64) bool {
	return func(got map[string]float64) bool {
		for _, v := range got {
			if v != value {
				return false
			}
		}
		return len(got) == n
	}
}

// one answers whether there is one value, between two.
func one(sensor string, low, high float64) func(map[string]float64) bool {
	return func(got map[string]float64) bool {
		v, ok := got[sensor]
		return ok && len(got) == 1 && low <= v && v <= high
	}
}

func none(got map[string]float64) bool { return len(got) == 0 }

// TestPrometheusScrapesTheDaemon: one daemon on the host's simulated board, and
// one on the guest's real wires, scraped through a proxy.
func TestPrometheusScrapesTheDaemon(t *testing.T) {
	dormouse, err := binary()
	kit.Must(t, err)
	dir := t.TempDir()
	well := filepath.Join(dir, "well")
	kit.Must(t, os.WriteFile(well, []byte("4.5\n"), 0o644))
	said := background(t, dormouse, "run", "--board=sim", "--every=1s", "--web.listen-address=127.0.0.1:0",
		"--state.directory="+dir,
		"--sensor=greenhouse=bme280,power=GPIO17,warmup=10ms", "--sensor=office=sht4x", "--sensor=cellar=tmp102",
		"--sensor=beds=ads1115,addr=0x4a", "--sensor=door=switch,pin=GPIO27", "--sensor=rain=pulse,pin=GPIO22,quantity=precipitation,per-pulse=0.2794mm",
		"--sensor=well=command,argv=/bin/cat "+well+",output=number", "--sensor=nobody=bme280,addr=0x77")
	host := kit.Address(t, said, kit.Listening)

	b := newBench(t)
	d := b.Daemon(t, b.wiringFlags()...)
	d.Read()
	proxy := httptest.NewServer(&httputil.ReverseProxy{
		Transport: b.Transport(""),
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: d.Address}) },
	})
	defer proxy.Close()

	p := startPrometheus(t, "1s", map[string]string{"sim": host, "rig": strings.TrimPrefix(proxy.URL, "http://")})
	p.answers(`up`, all(2, 1))

	p.answers(`sensor_temperature_celsius{job="rig", sensor="greenhouse", room="greenhouse"}`, one("greenhouse", 25.08, 25.08))
	p.answers(`floor(sensor_pressure_pascals{job="rig"})`, one("greenhouse", 100653, 100653))
	p.answers(`sensor_temperature_celsius{job="rig", sensor="frost"}`, one("frost", -10.125, -10.125))
	p.answers(`dormouse_sensor_up{job="rig"}`, all(5, 1))

	p.answers(`sensor_temperature_celsius{job="sim", sensor="cellar"}`, one("cellar", -10, 40))
	p.answers(`sensor_humidity_ratio{job="sim", sensor="office"}`, one("office", 0, 1))
	p.answers(`dormouse_sensor_up{job="sim"} == 1`, all(7, 1))
	p.answers(`dormouse_sensor_up{job="sim"} == 0`, one("nobody", 0, 0))
	p.answers(`sensor_value{sensor="well"}`, one("well", 4.5, 4.5))
	p.answers(`count by (job) (count_over_time(dormouse_build_info[1m]) > 2)`, all(2, 1))
	checkMetrics(t, "http://"+host+"/metrics")
	checkMetrics(t, proxy.URL+"/metrics")

	// A sensor that is gone has no last value.
	kit.Must(t, os.Remove(well))
	p.answers(`sensor_value{sensor="well"}`, none)
	p.answers(`dormouse_sensor_up{sensor="well"}`, one("well", 0, 0))
	p.answers(`dormouse_sensor_read_errors_total{sensor="well", reason="command"}`, one("well", 1, 1000))
	checkMetrics(t, "http://"+host+"/metrics")
	p.answers(`dormouse_sensor_up{job="sim"} == 1`, all(6, 1))

	t.Run("the queries of docs/metrics.md", func(t *testing.T) {
		queries := documentedQueries(t)
		if len(queries) < 5 {
			t.Errorf("only %d queries were found: %q", len(queries), queries)
		}
		for _, q := range queries {
			if _, err := p.query(q); err != nil {
				t.Error(err)
			}
		}
	})
}

// blocks are the fenced blocks of a language in a document of this project.
func blocks(t *testing.T, document, language string) []string {
	t.Helper()
	text, err := os.ReadFile(kit.Source("docs/" + document))
	kit.Must(t, err)
	var found []string
	for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		found = append(found, m[1])
	}
	return found
}

// documentedQueries are separated by line, where an indented line goes on with
// the one before it.
func documentedQueries(t *testing.T) []string {
	t.Helper()
	var queries []string
	for _, block := range blocks(t, "metrics.md", "promql") {
		for line := range strings.Lines(block) {
			switch {
			case strings.HasPrefix(line, " ") && len(queries) > 0:
				queries[len(queries)-1] += line
			case !strings.HasPrefix(line, "#") && strings.TrimSpace(line) != "":
				queries = append(queries, line)
			}
		}
	}
	return queries
}

func TestDocumentedAlertsAreValid(t *testing.T) {
	checked := 0
	for _, block := range blocks(t, "metrics.md", "yaml") {
		if !strings.HasPrefix(block, "groups:") {
			continue
		}
		checked++
		file := filepath.Join(t.TempDir(), "rules.yml")
		kit.Must(t, os.WriteFile(file, []byte(block), 0o644))
		if out, err := exec.Command(program(t, "promtool"), "check", "rules", "--lint-fatal", file).CombinedOutput(); err != nil {
			t.Errorf("promtool check rules: %v\n%s\n%s", err, out, block)
		}
	}
	if checked == 0 {
		t.Error("docs/metrics.md has no rules")
	}
}
