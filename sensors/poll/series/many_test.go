package series

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/config"
	"golang.org/x/sys/unix"
)

// A many is a sensor with many series, as a program may have.
type many struct {
	table    *Table
	families Families
	report   sensors.Report
	read     uint64
}

func newMany(t testing.TB) *many {
	m := &many{table: NewTable(&config.Sensor{Name: "a", Driver: &sensors.Driver{Name: "fake"}})}
	if err := m.families.Reset([]*Table{m.table}); err != nil {
		t.Fatal(err)
	}
	return m
}

// sense processes a report, as poll does with one.
func (m *many) sense() Outcome {
	m.read++
	out := m.table.Process(m.read, &m.report, nil)
	if m.families.Check(m.table) {
		out = m.table.Withdraw()
	}
	return out
}

// cpu is the processor time of this thread, which doesn't depend on what else the
// machine does.
func cpu(t testing.TB) time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		t.Fatal(err)
	}
	return time.Duration(ts.Nano())
}

// perRead is the least processor time that a read of n series takes, in another
// order at each.
func perRead(t testing.TB, n int) time.Duration {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	m := newMany(t)
	q := &sensors.Quantity{Name: "x", Metric: "x", Labels: []string{"of"}}
	least := time.Hour
	for range 3 {
		m.report.Reset()
		for _, i := range rand.Perm(n) {
			m.report.Set(q, float64(i), fmt.Sprint("series number ", i))
		}
		began := cpu(t)
		if out := m.sense(); len(out.Readings) != n || len(out.Failures) > 0 {
			t.Fatalf("%d readings, %d failures of %d series", len(out.Readings), len(out.Failures), n)
		}
		least = min(least, cpu(t)-began)
	}
	return least
}

// What many series cost is in proportion to their number: 20,000 take some
// milliseconds. With a search for each they take seconds.
func TestManySeriesCostInProportion(t *testing.T) {
	took := perRead(t, 20_000)
	t.Logf("20,000 series take %v", took)
	if took > time.Second {
		t.Errorf("20,000 series in another order take %v of processor time", took)
	}
}

// A program that names its series differently at each run doesn't fill the
// memory, neither with series nor with families.
func TestNewNamesAreForgotten(t *testing.T) {
	m := newMany(t)
	const names = 1500 // at each read
	heap := func() int {
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return int(s.HeapAlloc)
	}
	run := func(reads int) {
		for range reads {
			m.report.Reset()
			for i := range names {
				name := fmt.Sprintf("x_%d_%d", m.read, i)
				m.report.Set(&sensors.Quantity{Name: name, Metric: name, Help: "One of many."}, 1)
			}
			if out := m.sense(); len(out.Readings) != names || len(out.Failures) > 0 {
				t.Fatalf("%d readings, %d failures", len(out.Readings), len(out.Failures))
			}
		}
	}
	run(5)
	before := heap()
	run(60)
	if grown := heap() - before; grown > 3<<20 {
		t.Errorf("the memory has grown by %d bytes over 60 reads with %d new names each", grown, names)
	}
	if n := m.table.Len(); n > 3*names {
		t.Errorf("%d series are remembered", n)
	}
}

// A series that contradicted another one is published once that is forgotten.
func TestAConflictWithWhatIsGone(t *testing.T) {
	m := newMany(t)
	gauge := &sensors.Quantity{Name: "x", Metric: "x", Kind: sensors.Gauge}
	counter := &sensors.Quantity{Name: "x", Metric: "x", Kind: sensors.Counter}
	m.report.Set(gauge, 1)
	m.report.Set(counter, 2)
	if out := m.sense(); len(out.Readings) != 1 || out.Refused != 1 || !strings.Contains(out.Failures[0].Err.Error(), "exports it with the type gauge") {
		t.Fatalf("%+v", out)
	}
	for i := range 5 * mostForgotten {
		name := fmt.Sprint("y_", i)
		m.report.Reset()
		m.report.Set(counter, 2)
		m.report.Set(&sensors.Quantity{Name: name, Metric: name}, 1)
		m.sense()
	}
	m.report.Reset()
	m.report.Set(counter, 2)
	if out := m.sense(); len(out.Readings) != 1 || out.Readings[0].Value != 2 {
		t.Errorf("%+v", out)
	}
}

// The author of a program corrects its TYPE line: the next run is published. While
// another sensor still exports the old type, the new one is refused.
func TestAProgramCorrectsItsType(t *testing.T) {
	untyped := &sensors.Quantity{Name: "x", Metric: "x", Kind: sensors.Untyped}
	gauge := &sensors.Quantity{Name: "x", Metric: "x", Kind: sensors.Gauge}
	// Without its TYPE line a histogram is three families.
	bucket := &sensors.Quantity{Name: "h_bucket", Metric: "h_bucket", Kind: sensors.Untyped}
	histogram := &sensors.Quantity{Name: "h", Metric: "h", Kind: sensors.Histogram}
	var all Families
	var tables []*Table
	for _, name := range []string{"a", "b"} {
		tables = append(tables, NewTable(&config.Sensor{Name: name, Driver: &sensors.Driver{Name: "fake"}}))
	}
	if err := all.Reset(tables); err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct {
		table *Table
		as    *sensors.Quantity
		want  string // error
	}{
		{tables[0], untyped, ""},
		{tables[1], untyped, ""},
		{tables[0], gauge, "x has the type gauge here, but sensor b exports it with the type untyped"},
		{tables[1], gauge, ""},
		{tables[0], gauge, ""},
		{tables[1], untyped, "x has the type untyped here, but sensor a exports it with the type gauge"},
		{tables[1], gauge, ""},
		{tables[0], bucket, ""},
		{tables[0], histogram, ""},
		{tables[1], bucket, "h_bucket: its series h_bucket would be taken for one of h, which sensor a exports"},
	} {
		var report sensors.Report
		report.Set(c.as, 1)
		out := c.table.Process(uint64(i+1), &report, nil)
		if all.Check(c.table) {
			out = c.table.Withdraw()
		}
		switch {
		case c.want == "" && (len(out.Readings) != 1 || out.Readings[0].Quantity.Kind != c.as.Kind):
			t.Errorf("run %d: %+v", i, out)
		case c.want != "" && (out.Refused != 1 || !strings.Contains(out.Failures[0].Err.Error(), c.want)):
			t.Errorf("run %d: %+v, want %s", i, out, c.want)
		}
	}
}
