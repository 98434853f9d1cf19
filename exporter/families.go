package exporter

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.org/dormouse/daemon/duration"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/families"
)

// The families about the sensors, the board and the daemon. Those of the
// process itself are measured for a page and not at each wake: that takes as
// long as everything else that a wake does for the page.
var (
	sensorInfo = newFamily("dormouse_sensor_info", sensors.Gauge,
		"What the sensor is and how it is connected; always 1.", "sensor", "driver", "wiring")
	sensorUp = newFamily("dormouse_sensor_up", sensors.Gauge,
		"Whether the sensor's last due read gave readings (1) or not (0); absent before the first.", "sensor")
	channelUp = newFamily("dormouse_sensor_channel_up", sensors.Gauge,
		"Whether the sensor's last read gave a reading of the channel (1) or not (0); absent before the first.", "sensor", "channel")
	sensorReads = newFamily("dormouse_sensor_reads_total", sensors.Counter,
		"Due reads of the sensor that were attempted; retries are not counted.", "sensor")
	sensorTries = newFamily("dormouse_sensor_extra_tries_total", sensors.Counter,
		"Further reads between the due ones while the sensor was down.", "sensor")
	sensorErrors = newFamily("dormouse_sensor_read_errors_total", sensors.Counter,
		"Failed due reads of the sensor or of one of its channels, by reason; a read that a retry saved is not counted.", "sensor", "reason")
	skippedRuns = newFamily("dormouse_skipped_runs_total", sensors.Counter,
		"Planned runs of the program that were not made, by cause.", "sensor", "cause")
	sensorSuccess = newFamily("dormouse_sensor_last_success_timestamp_seconds", sensors.Gauge,
		"Unix time of the sensor's last good read.", "sensor")
	sensorNext = newFamily("dormouse_sensor_next_read_timestamp_seconds", sensors.Gauge,
		"Unix time of the sensor's next planned read.", "sensor")
	sensorTook = newFamily("dormouse_sensor_last_read_duration_seconds", sensors.Gauge,
		"How long the sensor's last read took, retries and waits included.", "sensor")

	railActive = newFamily("dormouse_rail_active", sensors.Gauge,
		"Whether the supply rail was on (1) or off (0) at the end of the last wake.", "rail", "line")
	railOn = newFamily("dormouse_rail_on_seconds_total", sensors.Counter,
		"How long the supply rail has been on since the daemon's start.", "rail", "line")

	buildInfo = newFamily("dormouse_build_info", sensors.Gauge,
		"Version of dormouse and what it was built with and for; always 1.", "branch", "goarch", "goos", "goversion", "revision", "tags", "version")
	rejectedSeries = newFamily("dormouse_rejected_series", sensors.Gauge,
		"Series dropped from /metrics because they contradict others; the log names them.")
	wakeups = newFamily("dormouse_wakeups_total", sensors.Counter,
		"Wakes of the daemon to read sensors, by cause.", "cause")
	awake = newFamily("dormouse_awake_seconds_total", sensors.Counter,
		"Time spent in wakes.")
	clockJumps = newFamily("dormouse_clock_jumps_total", sensors.Counter,
		"Steps of the wall clock that were noticed.")
	reloadOK = newFamily("dormouse_config_last_reload_successful", sensors.Gauge,
		"Whether the last reading of the configuration succeeded (1) or the earlier one was kept (0).")
	reloadTime = newFamily("dormouse_config_last_reload_success_timestamp_seconds", sensors.Gauge,
		"Unix time of the last successful reading of the configuration.")

	switches = newFamily("dormouse_context_switches_total", sensors.Counter,
		"Context switches of all threads as the kernel counts them, as of the first scrape after the last wake; a voluntary one is a wake-up.", "kind")
	cpuSeconds = newFamily("process_cpu_seconds_total", sensors.Counter,
		"User and system CPU time spent, as of the first scrape after the last wake.")
	residentBytes = newFamily("process_resident_memory_bytes", sensors.Gauge,
		"Resident memory size, as of the first scrape after the last wake.")
	startTime = newFamily("process_start_time_seconds", sensors.Gauge,
		"Unix time of the process's start.")
)

// Wake causes and kinds of context switch, each a series from the start.
var wakeCauses = []string{sensors.WakeStart, sensors.WakeTimer, sensors.WakeRequest, sensors.WakeReload, sensors.WakeClock, sensors.WakeEdge}

// A family is one metric family of ours.
type family struct {
	name string
	kind sensors.Kind
	help string
	desc *prometheus.Desc
}

func newFamily(name string, kind sensors.Kind, help string, labels ...string) *family {
	return &family{name, kind, help, prometheus.NewDesc(name, help, labels, nil)}
}

var own = []*family{sensorInfo, sensorUp, channelUp, sensorReads, sensorTries, sensorErrors, skippedRuns, sensorSuccess, sensorNext, sensorTook,
	railActive, railOn, buildInfo, rejectedSeries, wakeups, awake, clockJumps, reloadOK, reloadTime,
	switches, cpuSeconds, residentBytes, startTime}

// A view is the facts as they look at one moment.
type view struct {
	facts
	build Build
	now   sensors.Instant
	clock Clock
	// textfile leaves out what the process says of itself: node_exporter,
	// which reads the file, has families of the same names about itself.
	textfile bool
	usage    usage // of a page only
}

// expired tells whether r should have been read again by now. Its readings are
// then no longer true: the daemon is late, stopped or suspended.
func (v *view) expired(r *sensors.Result) bool {
	return !r.Expires.IsZero() && !v.now.Before(r.Expires)
}

// readings are those of r that have not expired.
func (v *view) readings(r *sensors.Result) []sensors.Reading {
	if v.expired(r) {
		return nil
	}
	return r.Readings
}

// up is the state of r; err and reason tell why it is down.
func (v *view) up(r *sensors.Result) (up bool, reason sensors.Reason, err error) {
	switch {
	case r.Up && v.expired(r):
		return false, sensors.Timeout, fmt.Errorf("the daemon is late: the next read should have ended %s ago", duration.Format(v.now.Sub(r.Expires).Round(time.Second)))
	case r.Up:
		return true, "", nil
	}
	return false, r.Reason, r.Err
}

// problem is a series that is dropped from the page.
type problem struct {
	sensor, metric string
	err            error
}

// collector emits a view's series in order. It describes nothing beforehand:
// the families of the readings are known only when they are read. It is used
// for one Gather.
type collector struct {
	view
	out      chan<- prometheus.Metric
	families *families.Families
	series   map[string]bool
	problems []problem
}

// builtinFamilies are the families of the quantities and of the daemon.
var builtinFamilies = sync.OnceValue(func() *families.Families {
	all := families.New()
	for _, f := range own {
		if _, err := all.Define(f.name, f.kind, f.help, "dormouse"); err != nil {
			panic("exporter: " + err.Error()) // a mistake in the table above
		}
	}
	return all
})

// Describe makes an unchecked collector.
func (*collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	c.out = out
	c.families = builtinFamilies().Clone()
	c.series = make(map[string]bool)
	refused := 0 // already, by poll
	if c.snapshot != nil {
		for i := range c.snapshot.Results {
			c.sensor(&c.snapshot.Results[i])
			refused += c.snapshot.Results[i].Refused
		}
		c.board()
	}
	c.daemon()
	if !c.textfile {
		c.processItself()
	}
	c.one(rejectedSeries, float64(len(c.problems)+refused))
}

func (c *collector) sensor(r *sensors.Result) {
	for i := range r.Readings {
		if c.expired(r) {
			break
		}
		if err := c.reading(r, &r.Readings[i]); err != nil {
			c.problems = append(c.problems, problem{r.Name, r.Readings[i].Quantity.MetricName(), err})
		}
	}
	c.one(sensorInfo, 1, r.Name, r.Driver, r.Wiring)
	if r.Tried {
		up, _, _ := c.up(r)
		c.one(sensorUp, truth(up), r.Name)
		for _, ch := range r.Channels {
			c.one(channelUp, truth(up && ch.Up), r.Name, ch.Name)
		}
		c.one(sensorTook, r.Took.Seconds(), r.Name)
	}
	c.one(sensorReads, float64(r.Reads), r.Name)
	c.one(sensorTries, float64(r.ExtraTries), r.Name)
	for _, reason := range slices.Sorted(maps.Keys(r.Errors)) {
		c.one(sensorErrors, float64(r.Errors[reason]), r.Name, string(reason))
	}
	for _, cause := range slices.Sorted(maps.Keys(r.Skipped)) {
		c.one(skippedRuns, float64(r.Skipped[cause]), r.Name, cause)
	}
	c.time(sensorSuccess, r.LastSuccess, r.Name)
	c.time(sensorNext, r.NextRead, r.Name)
}

// reading emits one reading. An error means that it contradicts what is on the
// page already, or can't be a series at all.
func (c *collector) reading(r *sensors.Result, g *sensors.Reading) error {
	q := g.Quantity
	name := q.MetricName()
	shown := *g
	if !g.At.IsZero() {
		t, ok := c.clock.Wall(g.At)
		if !ok {
			return nil
		}
		shown.Value = unixTime(t)
	}
	help, err := c.families.Admit(q, "sensor "+r.Name)
	if err != nil {
		return err
	}
	if len(g.Labels) != len(q.Labels) {
		return fmt.Errorf("%d label values for the labels %v", len(g.Labels), q.Labels)
	}
	names := make([]string, 0, 1+len(r.Labels)+len(q.Labels))
	values := make([]string, 0, cap(names))
	names, values = append(names, "sensor"), append(values, r.Name)
	for _, l := range r.Labels {
		names, values = append(names, l.Name), append(values, l.Value)
	}
	names, values = append(names, q.Labels...), append(values, g.Labels...)

	m, err := metric(prometheus.NewDesc(name, help, names, nil), q.Kind, &shown, values)
	if err != nil {
		return err
	}
	key := name + "\xff" + strings.Join(names, "\xff") + "\xff" + strings.Join(values, "\xff")
	if c.series[key] {
		return fmt.Errorf("it has the same labels as an earlier reading")
	}
	c.series[key] = true
	c.out <- m
	return nil
}

func metric(desc *prometheus.Desc, kind sensors.Kind, g *sensors.Reading, labels []string) (prometheus.Metric, error) {
	d := g.Dist
	if (kind == sensors.Histogram || kind == sensors.Summary) != (d != nil) {
		return nil, fmt.Errorf("a %s was reported as something else", kind)
	}
	switch kind {
	case sensors.Histogram:
		return prometheus.NewConstHistogram(desc, d.Count, d.Sum, d.Buckets, labels...)
	case sensors.Summary:
		return prometheus.NewConstSummary(desc, d.Count, d.Sum, d.Quantiles, labels...)
	}
	return prometheus.NewConstMetric(desc, valueType[kind], g.Value, labels...)
}

var valueType = map[sensors.Kind]prometheus.ValueType{
	sensors.Gauge:   prometheus.GaugeValue,
	sensors.Counter: prometheus.CounterValue,
	sensors.Untyped: prometheus.UntypedValue,
}

func (c *collector) board() {
	for _, w := range c.snapshot.Wires {
		if w.Kind == "rail" {
			c.one(railActive, truth(w.Active), w.Name, w.Where)
			c.one(railOn, w.OnTime.Seconds(), w.Name, w.Where)
		}
	}
}

func (c *collector) daemon() {
	b := &c.build
	c.one(buildInfo, 1, b.Branch, b.GoArch, b.GoOS, b.GoVersion, b.Revision, b.Tags, b.Version)
	var stats sensors.Stats
	if c.snapshot != nil {
		stats = c.snapshot.Stats
	}
	for _, cause := range wakeCauses {
		c.one(wakeups, float64(stats.Wakes[cause]), cause)
	}
	c.one(awake, stats.Awake.Seconds())
	c.one(clockJumps, float64(stats.ClockJumps))
	c.one(reloadOK, truth(c.reloaded))
	c.time(reloadTime, c.reloadedAt)
}

func (c *collector) processItself() {
	c.one(switches, float64(c.usage.voluntary), "voluntary")
	c.one(switches, float64(c.usage.involuntary), "involuntary")
	c.one(cpuSeconds, c.usage.cpu.Seconds())
	if c.usage.resident != 0 {
		c.one(residentBytes, float64(c.usage.resident))
	}
	c.time(startTime, c.started)
}

// one emits a series of a family of ours. That fails only where a label isn't
// UTF-8, and is a problem then like any other.
func (c *collector) one(f *family, v float64, labels ...string) {
	m, err := prometheus.NewConstMetric(f.desc, valueType[f.kind], v, labels...)
	if err != nil {
		sensor := ""
		if len(labels) > 0 {
			sensor = labels[0]
		}
		c.problems = append(c.problems, problem{sensor, f.name, err})
		return
	}
	c.out <- m
}

// time emits an instant as Unix time, or nothing while the wall clock is wrong.
func (c *collector) time(f *family, at sensors.Instant, labels ...string) {
	if t, ok := c.clock.Wall(at); ok {
		c.one(f, unixTime(t), labels...)
	}
}

// unixTime is Unix time to the nearest millisecond. The offset between two clocks,
// which are read one after the other, is nanoseconds off: cut, a run planned for
// 03:30 would be shown a millisecond earlier.
func unixTime(t time.Time) float64 { return float64(t.Round(time.Millisecond).UnixMilli()) / 1000 }

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// logProblems logs each dropped series once, when it is first dropped.
func logProblems(log *slog.Logger, known map[string]bool, problems []problem) map[string]bool {
	next := make(map[string]bool, len(problems))
	for _, p := range problems {
		key := p.sensor + "\xff" + p.metric + "\xff" + p.err.Error()
		if !known[key] && !next[key] {
			log.Warn("series dropped from /metrics", "sensor", p.sensor, "metric", p.metric, "err", p.err)
		}
		next[key] = true
	}
	return next
}
