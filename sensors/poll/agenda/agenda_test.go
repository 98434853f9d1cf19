package agenda

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
	_ "time/tzdata" // the machine may have no zoneinfo

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/config"
)

// cron parses an expression that is right.
func cron(expr string) *config.Cron {
	c, err := config.ParseCron(expr)
	if err != nil {
		panic(err)
	}
	return c
}

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	l, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// A grid is moved by phase and jitter together, around its interval.
func TestMovedGrid(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		phase, moved, after, want time.Duration
	}{
		{0, 7 * s, 0, 7 * s},
		{0, 7 * s, 7 * s, 67 * s},
		{10 * s, 7 * s, 60 * s, 77 * s},
		{50 * s, 7 * s, 0, 57 * s},
		{50 * s, 10 * s, 0, 60 * s},
		{50 * s, 15 * s, 0, 5 * s},
		{50 * s, 15 * s, 5 * s, 65 * s},
		{59 * s, 59 * s, 0, 58 * s},
	} {
		e := NewEntry(0, config.Schedule{Every: time.Minute, Phase: c.phase, Moved: c.moved})
		if got := e.slot(alarm.Instant(c.after)); got != alarm.Instant(c.want) {
			t.Errorf("%+v: %v", c, time.Duration(got))
		}
	}
}

func TestSlots(t *testing.T) {
	for _, c := range []struct {
		every, phase, after, want time.Duration
	}{
		{time.Minute, 0, 0, time.Minute},
		{time.Minute, 0, time.Minute - 1, time.Minute},
		{time.Minute, 0, time.Minute, 2 * time.Minute},
		{time.Minute, 10 * time.Second, 0, 10 * time.Second},
		{time.Minute, 10 * time.Second, 10 * time.Second, 70 * time.Second},
		{time.Minute, 59 * time.Second, time.Second, 59 * time.Second},
	} {
		e := Entry[int]{every: c.every, phase: c.phase}
		if got := e.slot(alarm.Instant(c.after)); got != alarm.Instant(c.want) {
			t.Errorf("%+v: %v", c, time.Duration(got))
		}
	}
}

// A year of schedules, against a plan made in another way: moment by moment,
// with no heap, no cron library and no grid arithmetic.
func TestAYear(t *testing.T) {
	const year = 366 * 24 * 3600 // seconds
	const step = 5 * time.Second // of all intervals and phases
	rnd := rand.New(rand.NewPCG(1, 2))
	var entries []*Entry[int]
	var texts []string
	var schedules []config.Schedule
	add := func(s config.Schedule) {
		e := NewEntry(0, s)
		entries = append(entries, &e)
		texts = append(texts, fmt.Sprintf("%+v", s))
		schedules = append(schedules, s)
	}
	for i := range 30 {
		n := 12 + rnd.IntN(1440)
		s := config.Schedule{Every: time.Duration(n) * step, Phase: time.Duration(rnd.IntN(n)) * step}
		if i%3 == 0 {
			s.Moved = time.Duration(rnd.IntN(n)) * step
		}
		add(s)
	}
	for _, expr := range []string{"30 3 * * *", "0 */6 * * *", "5 4 * * 0", "0 12 1 * *", "15 2 * * *"} {
		add(config.Schedule{At: cron(expr)})
		add(config.Schedule{At: cron(expr), Moved: step * time.Duration(rnd.IntN(int(24*time.Hour/step)))})
	}
	berlin := zone(t, "Europe/Berlin")
	start := time.Date(2027, 1, 1, 0, 0, 0, 0, berlin)
	wall := func(at sensors.Instant) time.Time { return start.Add(time.Duration(at)) }

	// Ours.
	a := New[int]()
	for _, e := range entries {
		if e.cron != nil {
			e.Replan(0, wall(0))
		} else {
			e.PlanAfter(0)
		}
		a.Add(e)
	}
	reads := make([][]int64, len(entries)) // in seconds
	wakes := 0
	index := map[*Entry[int]]int{}
	for i, e := range entries {
		index[e] = i
	}
	for a.Next() <= alarm.Instant(year*time.Second) {
		now := a.Next()
		wakes++
		var due []*Entry[int]
		for e := a.Pop(now); e != nil; e = a.Pop(now) {
			due = append(due, e)
		}
		for _, e := range due {
			reads[index[e]] = append(reads[index[e]], int64(now)/1e9)
			e.Plan(now, now, wall(now))
			a.Add(e)
		}
	}

	// Naively: what is moved has its point that much earlier; who has a point now is due; whoever has one within the slack
	// is read too.
	want := make([][]int64, len(entries))
	next := make([]int64, len(entries))
	naiveWakes := 0
	for i, e := range entries {
		next[i] = 1 << 60
		if e.cron == nil {
			s := schedules[i]
			next[i] = int64((s.Phase + s.Moved) / time.Second)
			for next[i] > int64(s.Every/time.Second) {
				next[i] -= int64(s.Every / time.Second)
			}
			if next[i] == 0 {
				next[i] = int64(s.Every / time.Second)
			}
		}
	}
	hit := func(expr string, at time.Time) bool {
		switch expr {
		case "30 3 * * *":
			return at.Hour() == 3 && at.Minute() == 30
		case "0 */6 * * *":
			return at.Hour()%6 == 0 && at.Minute() == 0
		case "5 4 * * 0":
			return at.Weekday() == time.Sunday && at.Hour() == 4 && at.Minute() == 5
		case "0 12 1 * *":
			return at.Day() == 1 && at.Hour() == 12 && at.Minute() == 0
		case "15 2 * * *":
			if at.Month() == time.March && at.Day() == 28 {
				return at.Hour() == 3 && at.Minute() == 0 // there is no 02:15
			}
			_, offset := at.Zone()
			again := at.Month() == time.October && at.Day() == 31 && offset == 3600
			return at.Hour() == 2 && at.Minute() == 15 && !again
		}
		panic(expr)
	}
	for s := int64(5); s <= year; s += 5 {
		due := false
		var cronDue []int
		for i, e := range entries {
			if e.cron == nil {
				due = due || next[i] == s
			} else if point := s - int64(schedules[i].Moved/time.Second); point%60 == 0 && hit(e.cron.String(), start.Add(time.Duration(point)*time.Second)) {
				due = true
				cronDue = append(cronDue, i)
			}
		}
		if !due {
			continue
		}
		naiveWakes++
		for _, i := range cronDue {
			want[i] = append(want[i], s)
		}
		for i, e := range entries {
			if e.cron == nil && float64(next[i]-s) <= e.slack.Seconds() {
				want[i] = append(want[i], s)
				for float64(next[i]-s) <= e.slack.Seconds() {
					next[i] += int64(e.every / time.Second)
				}
			}
		}
	}
	if wakes != naiveWakes {
		t.Errorf("%d wakes, the plan has %d", wakes, naiveWakes)
	}
	for i := range entries {
		if !slices.Equal(reads[i], want[i]) {
			t.Errorf("%s: read %d times, the plan has %d", texts[i], len(reads[i]), len(want[i]))
		}
		if len(want[i]) < 12 {
			t.Errorf("%s: only %d times", texts[i], len(want[i]))
		}
	}
}

// The fewest wakes that serve every point of every grid within its slack: a
// set of windows is pierced by the fewest moments if each is the earliest end
// of a window not pierced yet.
func fewestWakes(entries []*Entry[int], until time.Duration) int {
	type window struct{ from, to time.Duration }
	var all []window
	for _, e := range entries {
		for at := e.phase; at <= until; at += e.every {
			if at > 0 {
				all = append(all, window{at - e.slack, at})
			}
		}
	}
	slices.SortFunc(all, func(a, b window) int { return cmp.Compare(a.to, b.to) })
	wakes, last := 0, time.Duration(-1)
	for _, w := range all {
		if last < w.from {
			last = w.to
			wakes++
		}
	}
	return wakes
}

func mixed(n int) []*Entry[int] {
	rnd := rand.New(rand.NewPCG(3, 4))
	intervals := []time.Duration{30 * time.Second, time.Minute, 90 * time.Second, 5 * time.Minute, 7 * time.Minute, 15 * time.Minute, time.Hour}
	entries := make([]*Entry[int], n)
	for i := range entries {
		s := config.Schedule{Every: intervals[rnd.IntN(len(intervals))]}
		if i%4 == 0 {
			s.Phase = time.Duration(rnd.Int64N(int64(s.Every)))
		}
		e := NewEntry(0, s)
		entries[i] = &e
	}
	return entries
}

// turn reads who is due and plans them again.
func turn(a *Agenda[int], due []*Entry[int]) []*Entry[int] {
	now := a.Next()
	due = due[:0]
	for e := a.Pop(now); e != nil; e = a.Pop(now) {
		due = append(due, e)
	}
	for _, e := range due {
		e.Plan(now, now, time.Time{})
		a.Add(e)
	}
	return due
}

// What a machine's jitter moves, it moves together: as many wakes as without.
func TestJitterKeepsSensorsTogether(t *testing.T) {
	wakes := func(moved time.Duration) int {
		a := New[int]()
		for _, every := range []time.Duration{time.Minute, time.Minute, 2 * time.Minute, 5 * time.Minute, time.Hour} {
			e := NewEntry(0, config.Schedule{Every: every, Jitter: 30 * time.Second, Moved: moved})
			e.PlanAfter(0)
			a.Add(&e)
		}
		var due []*Entry[int]
		n := 0
		for ; a.Next() <= alarm.Instant(24*time.Hour); n++ {
			due = turn(&a, due)
		}
		return n
	}
	const day = 24 * 60
	if still, moved := wakes(0), wakes(12345*time.Millisecond); still != day || moved != day {
		t.Errorf("%d wakes in a day, %d when moved, want %d", still, moved, day)
	}
}

func TestThousandSensorsShareTheirWakes(t *testing.T) {
	const until = 24 * time.Hour
	entries := mixed(1000)
	a := New[int]()
	for _, e := range entries {
		e.PlanAfter(0)
		a.Add(e)
	}
	wakes := 0
	var due []*Entry[int]
	for ; a.Next() <= alarm.Instant(until); wakes++ {
		due = turn(&a, due)
	}
	least := fewestWakes(entries, until)
	if float64(wakes) > 1.1*float64(least) || wakes < least || least < 1000 {
		t.Errorf("%d wakes in a day, %d are possible", wakes, least)
	}
	t.Logf("%d wakes in a day, %d are possible", wakes, least)
}

func TestAgendaUnderChange(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	a := New[int]()
	var in, out []*Entry[int]
	for range 50 {
		e := &Entry[int]{slack: time.Duration(rnd.Int64N(100))}
		out = append(out, e)
	}
	for range 5000 {
		if len(out) > 0 && (len(in) == 0 || rnd.IntN(2) == 0) {
			e := out[0]
			out = out[1:]
			e.Next = alarm.Instant(1 + rnd.Int64N(1000))
			a.Add(e)
			a.Add(e) // changes nothing
			in = append(in, e)
		} else {
			i := rnd.IntN(len(in))
			e := in[i]
			in = slices.Delete(in, i, i+1)
			a.Remove(e)
			a.Remove(e)
			out = append(out, e)
		}
		least := alarm.Instant(0)
		for _, e := range in {
			if least == 0 || e.Next < least {
				least = e.Next
			}
		}
		if a.Next() != least || len(a.early.entries) != len(in) {
			t.Fatalf("next is %v, want %v of %d", a.Next(), least, len(in))
		}
	}
}

// One wake's planning, for so many sensors: an operation is one wake, and
// "reads/op" tells how many sensors it had to plan again.
func BenchmarkSchedule(b *testing.B) {
	for _, n := range []int{10, 100, 1000, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			a := New[int]()
			for i, e := range mixed(n) {
				e.phase = e.every / time.Duration(n) * time.Duration(i) // few at a time
				e.PlanAfter(0)
				a.Add(e)
			}
			var due []*Entry[int]
			reads := 0
			b.ReportAllocs()
			for b.Loop() {
				due = turn(&a, due)
				reads += len(due)
			}
			b.ReportMetric(float64(reads)/float64(b.N), "reads/op")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(reads), "ns/read")
		})
	}
}

// The wall clock was set back and nobody has been told yet: the alarm rings a
// little early by it.
func TestAlarmRingsEarly(t *testing.T) {
	boot, noon := alarm.Instant(time.Hour), time.Date(2027, 6, 1, 12, 0, 0, 0, time.UTC)
	e := NewEntry(0, config.Schedule{At: cron("30 3 * * *")})
	e.Replan(boot, noon)
	rings := e.Next
	slow := noon.Add(rings.Sub(boot) - 2*time.Second)
	e.Replan(rings, slow)
	if e.Next != rings.Add(2*time.Second) {
		t.Errorf("rung 2 s early, it waits %v more", e.Next.Sub(rings))
	}
	e.Replan(e.Next, slow.Add(2*time.Second-time.Microsecond))
	if e.Next != rings.Add(2*time.Second) {
		t.Errorf("a microsecond is waited for: %v", e.Next.Sub(rings))
	}
	e.Plan(e.Next, e.Next, slow.Add(2*time.Second-time.Microsecond))
	if d := e.Next.Sub(rings); d < 24*time.Hour || d > 24*time.Hour+3*time.Second {
		t.Errorf("the next is %v after it", d)
	}
}
