//go:build system

package sleep

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
	_ "time/tzdata" // the machine may have no zoneinfo

	"example.org/dormouse/test/crontab"
	"example.org/dormouse/test/kit"
	"example.org/dormouse/test/rig"
)

// The night from 30 to 31 October 2027 in Berlin, in which the hour from 2 to 3
// comes twice. At 22:00 the clock is set. At 02:10, the second one, the power is
// cut. At 04:00 the machine boots again, with its clock in 1970; it is set at
// 04:05. At 07:00 the daemon is stopped.
var lives = []life{
	{unset: 10 * time.Minute, set: time.Unix(1824926400, 0), last: time.Unix(1824945020, 0)},
	{unset: 5 * time.Minute, set: time.Unix(1824951900, 0), last: time.Unix(1824962415, 0)},
}

// A life is from the machine's boot to its end.
type life struct {
	unset     time.Duration // how long the clock isn't set
	set, last time.Time     // when it is set; when the page is taken, and the end follows
}

// startsWithin is how long a run may take to begin, with a dozen others.
const startsWithin = 10 * time.Second

// aSecond is how much too early date(1) may tell the time: it tells whole seconds,
// of a clock that is behind by up to a tick (CLOCK_REALTIME_COARSE).
const aSecond = time.Second

// A nightTask is a task of the night.
type nightTask struct {
	name            string
	at              string
	every, phase    time.Duration // without at
	lasts           time.Duration
	catchUp, jitter time.Duration
	status          int
	timeout         time.Duration // 0: the usual
	reason          string        // of its failures
}

var nightTasks = []nightTask{
	{name: "quarter", at: "*/15 * * * *", lasts: 2 * time.Second, catchUp: 24 * time.Hour},
	{name: "hourly", at: "0 * * * *", lasts: 5 * time.Second},
	{name: "once", at: "30 2 * * *", lasts: time.Second, catchUp: 24 * time.Hour},
	{name: "spread", at: "45 3 * * *", lasts: time.Second, catchUp: 24 * time.Hour, jitter: 20 * time.Minute},
	{name: "lost", at: "15 3 * * *", lasts: time.Second},
	{name: "late", at: "30 3 * * *", lasts: time.Second, catchUp: 10 * time.Minute},
	{name: "long", at: "*/10 * * * *", lasts: 24 * time.Minute, catchUp: 24 * time.Hour, timeout: 40 * time.Minute},
	{name: "fails", at: "5,35 * * * *", lasts: time.Second, status: 3, reason: "command"},
	{name: "hangs", at: "20 1-6/2 * * *", lasts: time.Hour, timeout: time.Minute, reason: "timeout"},
	{name: "soon", at: "7 4 * * *", lasts: time.Second, catchUp: 24 * time.Hour},
	{name: "stopped", at: "0 7 * * *", lasts: time.Minute},
	{name: "sunday", at: "0 5 * * 0", lasts: time.Second},
	{name: "monday", at: "0 5 * * 1", lasts: time.Second, catchUp: 24 * time.Hour},
	{name: "either", at: "0 23 31 * 6", lasts: time.Second},
	{name: "grid", every: 15 * time.Minute, lasts: time.Second},
	{name: "moved", every: time.Hour, phase: 7 * time.Minute, jitter: 3 * time.Minute, lasts: time.Second},
}

// config is the configuration of the night.
func nightConfig() string {
	text := "stop-tasks: wait\nsensors:\n  - {name: cpu, driver: thermal, every: 5m}\ntasks:\n"
	for _, n := range nightTasks {
		text += fmt.Sprintf("  - {name: %s, argv: [/usr/bin/task, %s, %q, %q]", n.name, n.name, fmt.Sprint(n.lasts.Seconds()), fmt.Sprint(n.status))
		if n.at != "" {
			text += fmt.Sprintf(", at: %q", n.at)
		}
		for key, d := range map[string]time.Duration{"every": n.every, "phase": n.phase, "catch-up": n.catchUp, "jitter": n.jitter, "timeout": n.timeout} {
			if d > 0 {
				text += fmt.Sprintf(", %s: %s", key, d)
			}
		}
		if n.status != 0 {
			text += `, on-failure: [/bin/sh, -c, 'echo "$DORMOUSE_NAME told $(date +%s) 0 $$" >>/evidence/runs']`
		}
		text += "}\n"
	}
	return text
}

// bootNight boots the machine with the two disks of the night. Its time is that
// of its instructions: what nobody does anything in passes at once. The disks
// are memory to it, since a disk's answer would come after any length of time.
func bootNight(t *testing.T, files map[string]string, disks [2]string) (m *rig.Machine, cutPower func() error) {
	t.Helper()
	qemu := []string{"-icount", "shift=2,sleep=off", "-rtc", "base=1970-01-01T00:00:00,clock=vm", "-machine", "nvdimm=on", "-m", "slots=2,maxmem=1G"}
	for i, disk := range disks {
		qemu = append(qemu, "-object", fmt.Sprintf("memory-backend-file,id=disk%d,share=on,size=32M,mem-path=%s", i, disk), "-device", fmt.Sprintf("nvdimm,memdev=disk%d", i))
	}
	m, err := rig.Boot(t.Context(), rig.Options{Files: files, Append: "tsc=reliable", QEMU: qemu})
	kit.Must(t, err)
	cutPower = sync.OnceValue(m.Close)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("console:\n%s", m.Console())
		}
		kit.Must(t, cutPower())
	})
	for _, module := range []string{"nfit", "nd_pmem", "crc32c_generic", "ext4"} {
		kit.Must(t, m.Modprobe(t.Context(), module, ""))
	}
	return m, cutPower
}

// A night is what was found of one.
type night struct {
	*testing.T
	zone  *time.Location
	runs  map[string][]run
	told  map[string]int      // by a task's on-failure
	notes map[string][]moment // of the machine
	pages []kit.Page          // of each life, at its last moment
	tasks []string            // the records, then
	log   string
}

// A moment is on the machine's two clocks.
type moment struct {
	wall time.Time
	up   time.Duration
}

// A run is one of a task's: it ended at zero if it was ended.
type run struct {
	life       int
	begin, end moment
	planned    bool // it is accounted for
}

// passNight lets the night pass in machines, one after the other.
func passNight(t *testing.T) *night {
	kit.Must(t, rig.Install(t.Context(), "tzdata", "e2fsprogs"))
	dir := t.TempDir()
	var disks [2]string
	for i := range disks {
		disks[i] = filepath.Join(dir, fmt.Sprint("disk", i))
		if out, err := exec.Command("mkfs.ext4", "-q", disks[i], "32M").CombinedOutput(); err != nil {
			t.Fatalf("mkfs.ext4: %v\n%s", err, out)
		}
	}
	config := filepath.Join(dir, "night.yml")
	kit.Must(t, os.WriteFile(config, []byte(nightConfig()), 0o644))
	files := map[string]string{"usr/bin/dormouse": kit.Executable(t, "./cmd/dormouse"), "etc/night.yml": config, "etc/localtime": "/usr/share/zoneinfo/Europe/Berlin",
		"usr/bin/task": kit.Source("test/sleep/testdata/task.sh"), "usr/bin/night": kit.Source("test/sleep/testdata/night.sh")}
	n := &night{T: t}
	var err error
	n.zone, err = time.LoadLocation("Europe/Berlin")
	kit.Must(t, err)
	// The machine's own time-out is by its clock.
	ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
	defer cancel()
	for i, l := range lives {
		m, cutPower := bootNight(t, files, disks)
		began := time.Now()
		exit, err := m.Exec(ctx, "night", fmt.Sprint(i+1), fmt.Sprint(l.unset.Seconds()), fmt.Sprint(l.set.Unix()), fmt.Sprint(l.last.Unix()))
		if err != nil || exit.Status != 0 {
			t.Fatalf("life %d: %v, exit status %d\n%s%s", i+1, err, exit.Status, exit.Stdout, exit.Stderr)
		}
		t.Logf("life %d took %s", i+1, time.Since(began).Round(time.Second))
		if i < len(lives)-1 {
			kit.Must(t, cutPower())
			continue
		}
		n.collect(m)
	}
	return n
}

// collect reads what is on the evidence's disk.
func (n *night) collect(m *rig.Machine) {
	n.Helper()
	read := func(name string) string {
		text, err := m.ReadFile(n.Context(), "/evidence/"+name)
		kit.Must(n, err)
		return string(text)
	}
	for i := range lives {
		n.pages = append(n.pages, kit.Page(read(fmt.Sprint("page", i+1))))
		n.tasks = append(n.tasks, read(fmt.Sprint("tasks", i+1)))
	}
	n.log = read("log")
	n.parse(read("runs"))
}

// parse reads what the machine and its tasks have told.
func (n *night) parse(text string) {
	n.Helper()
	n.runs, n.told, n.notes = map[string][]run{}, map[string]int{}, map[string][]moment{}
	life, open := -1, map[string]int{} // by the process, its place in runs
	for line := range strings.Lines(text) {
		var name, what string
		var unix, pid int64
		var up float64
		if _, err := fmt.Sscan(line, &name, &what, &unix, &up, &pid); err != nil {
			n.Fatalf("%q: %v", line, err)
		}
		now := moment{time.Unix(unix, 0).In(n.zone), time.Duration(up * float64(time.Second))}
		process := fmt.Sprint(name, " ", pid)
		switch {
		case name == "machine":
			n.notes[what] = append(n.notes[what], now)
			if what == "boots" {
				life++
				clear(open)
			}
		case what == "begins":
			open[process] = len(n.runs[name])
			n.runs[name] = append(n.runs[name], run{life: life, begin: now})
		case what == "ends":
			i, begun := open[process]
			if !begun {
				n.Fatalf("%q: it hasn't begun", line)
			}
			n.runs[name][i].end = now
		case what == "told":
			n.told[name]++
		}
	}
}

// accounted is what became of a task's planned runs in a life, by the files of
// the task alone.
type accounted struct {
	run, caughtUp, overlapped, missed int
	unknown                           int // were missed, and nothing is there to tell it
}

// account finds the run for each of a calendar task's planned times, and why
// there is none for the others. Each run must have a time.
func (n *night) account(c nightTask) [2]accounted {
	n.Helper()
	var a [2]accounted
	for i, l := range lives {
		if i > 0 {
			a[i] = n.accountMissed(c, crontab.Times(n, c.at, lives[i-1].last.In(n.zone), l.set.In(n.zone)), i)
		}
		for _, at := range crontab.Times(n, c.at, l.set.In(n.zone), l.last.In(n.zone)) {
			switch {
			case n.find(c, i, at):
				a[i].run++
			case n.busy(c, i, at):
				a[i].overlapped++
			default:
				n.Errorf("%s, planned for %s, wasn't run, and nothing kept it away", c.name, at)
			}
		}
	}
	for _, r := range n.runs[c.name] {
		if !r.planned {
			n.Errorf("%s was run at %s, for which nothing was planned", c.name, r.begin.wall)
		}
	}
	return a
}

// accountMissed is of the times that came while the machine was off or its clock
// not set.
func (n *night) accountMissed(c nightTask, times []time.Time, i int) (a accounted) {
	n.Helper()
	switch set := lives[i].set; {
	case len(times) == 0:
	case c.catchUp == 0:
		a.unknown = len(times)
	case set.Sub(times[len(times)-1]) > c.catchUp:
		a.missed = len(times)
	case n.find(c, i, set):
		a.caughtUp, a.missed = 1, len(times)-1
	default:
		n.Errorf("%s, planned for %s, wasn't caught up", c.name, times)
	}
	return a
}

// find finds the run that began at a time, or by the jitter later.
func (n *night) find(c nightTask, life int, at time.Time) bool {
	for i := range n.runs[c.name] {
		r := &n.runs[c.name][i]
		if late := r.begin.wall.Sub(at); r.life == life && !r.planned && late >= -aSecond && late <= c.jitter+startsWithin {
			r.planned = true
			return true
		}
	}
	return false
}

// busy tells whether a run was under way.
func (n *night) busy(c nightTask, life int, at time.Time) bool {
	for _, r := range n.runs[c.name] {
		if r.life == life && r.begin.wall.Before(at) && (r.end.up == 0 || r.end.wall.After(at)) {
			return true
		}
	}
	return false
}

// ended counts the runs that had ended by the last moment of a life.
func (n *night) ended(c nightTask, life int) (ended int) {
	for _, r := range n.runs[c.name] {
		end := r.begin.up + c.lasts
		if c.timeout > 0 {
			end = r.begin.up + min(c.lasts, c.timeout)
		}
		if r.life == life && end < n.notes["last"][life].up {
			ended++
		}
	}
	return ended
}

// TestANight is a night of tasks with real processes: the daemon must account for
// each planned run as the files of the tasks do.
func TestANight(t *testing.T) {
	n := passNight(t)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the daemon's log:\n%s", n.log)
		}
	})
	total := accounted{}
	for _, c := range nightTasks {
		if c.at == "" {
			n.checkGrid(c)
			continue
		}
		for life, a := range n.account(c) {
			n.checkDaemon(c, life, a)
			total.run += a.run
			total.caughtUp += a.caughtUp
			total.overlapped += a.overlapped
			total.missed += a.missed
			total.unknown += a.unknown
		}
	}
	t.Logf("of the calendar: %+v", total)
	n.checkLog()
}

// checkDaemon holds the page, the records and the log against what became of the
// planned runs.
func (n *night) checkDaemon(c nightTask, life int, a accounted) {
	n.Helper()
	ended, page := n.ended(c, life), n.pages[life]
	want := map[string]int{
		reads(c.name): ended,
		fmt.Sprintf("dormouse_skipped_runs_total{cause=\"overlap\",sensor=%q}", c.name): a.overlapped,
		fmt.Sprintf("dormouse_skipped_runs_total{cause=\"missed\",sensor=%q}", c.name):  a.missed,
	}
	if c.reason != "" {
		want[fmt.Sprintf("dormouse_sensor_read_errors_total{reason=%q,sensor=%q}", c.reason, c.name)] = ended
	}
	for series, value := range want {
		if got := page.Want(n, series); got != float64(value) {
			n.Errorf("life %d: %s is %v, want %d: %+v", life+1, series, got, value, a)
		}
	}
	if c.catchUp == 0 {
		return
	}
	record := regexp.MustCompile(fmt.Sprintf(`%q:\{"at":"[^"]*","last":"([^"]*)"`, c.name)).FindStringSubmatch(n.tasks[life])
	if record == nil {
		n.Fatalf("life %d: no record of %s: %s", life+1, c.name, n.tasks[life])
	}
	last, err := time.Parse(time.RFC3339, record[1])
	kit.Must(n, err)
	latest := lives[0].set
	if times := crontab.Times(n, c.at, lives[0].set.In(n.zone), lives[life].last.In(n.zone)); len(times) > 0 {
		latest = times[len(times)-1]
	}
	if off := last.Sub(latest); off < 0 || off > startsWithin {
		n.Errorf("life %d: %s is recorded for %s, want %s", life+1, c.name, last, latest)
	}
	if a.caughtUp > 0 {
		n.logged(1, "runs were missed: the latest is caught up", "sensor="+c.name, fmt.Sprintf("missed=%d", a.missed+1))
	} else if a.missed > 0 {
		n.logged(1, "too long ago to be caught up", "sensor="+c.name, fmt.Sprintf("missed=%d", a.missed))
	}
}

// checkGrid checks a task with an interval: at the start, and then at each point
// of its grid, whatever the wall clock does.
func (n *night) checkGrid(c nightTask) {
	n.Helper()
	const slack = 30 * time.Second // how much earlier it may be run, with others
	for life := range lives {
		var got []time.Duration
		for _, r := range n.runs[c.name] {
			if r.life == life {
				got = append(got, r.begin.up)
			}
		}
		if len(got) == 0 {
			n.Fatalf("life %d: %s wasn't run", life+1, c.name)
		}
		from, last := got[0], n.notes["last"][life].up
		if since := from - n.notes["boots"][life].up; since < 0 || since > startsWithin {
			n.Errorf("life %d: %s was first run %s after the start", life+1, c.name, since)
		}
		got = got[1:]
		for point := c.phase; point+c.jitter+startsWithin < last; point += c.every {
			if point+c.jitter <= from+slack || point <= from+slack && len(got) > 0 && got[0] > point+c.jitter+startsWithin {
				continue // the start stands for it
			}
			if len(got) == 0 || got[0] < point-slack || got[0] > point+c.jitter+startsWithin {
				n.Fatalf("life %d: %s wasn't run at %s: next are %s", life+1, c.name, point, got)
			}
			got = got[1:]
		}
		if len(got) > 1 || len(got) == 1 && got[0] < last-c.jitter-startsWithin-slack {
			n.Errorf("life %d: %s was run at %s, besides its grid", life+1, c.name, got)
		}
	}
}

// logged counts the lines of the log with all the words.
func (n *night) logged(want int, words ...string) {
	n.Helper()
	found := 0
lines:
	for line := range strings.Lines(n.log) {
		for _, word := range words {
			if !strings.Contains(line, word) {
				continue lines
			}
		}
		found++
	}
	if found != want {
		n.Errorf("the log has %d lines with %q, want %d", found, words, want)
	}
}

// checkLog checks what the log says of the night.
func (n *night) checkLog() {
	n.Helper()
	n.logged(2, "the wall clock was set", "to=")
	n.logged(1, "waiting for tasks to end", "long", "stopped")
	n.logged(0, "level=ERROR")
	if n.told["fails"] != len(lives) {
		n.Errorf("on-failure was run %d times, want once in each life", n.told["fails"])
	}
	for _, name := range []string{"long", "stopped"} {
		if last := n.runs[name][len(n.runs[name])-1]; last.end.up == 0 || last.end.wall.Before(lives[1].last) {
			n.Errorf("%s wasn't waited for: %+v", name, last)
		}
	}
	if len(n.notes["stopped"]) != 1 {
		n.Error("the daemon wasn't stopped")
	}
	// The cut found a run under way.
	cut := false
	for _, r := range n.runs["long"] {
		cut = cut || r.life == 0 && r.end.up == 0 && r.begin.wall.Before(lives[0].last)
	}
	if !cut {
		n.Error("the power was cut while no task was run")
	}
}
