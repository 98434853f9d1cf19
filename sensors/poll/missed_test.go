package poll

import (
	"context"
	"testing"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/config"
)

// skipped checks the counts of planned runs that weren't made.
func (w *world) skipped(name string, missed, overlapped uint64) {
	w.Helper()
	if got := w.result(name).Skipped; got[sensors.SkipMissed] != missed || got[sensors.SkipOverlap] != overlapped {
		w.Errorf("%s: %v were left out, want %d missed and %d overlapped", name, got, missed, overlapped)
	}
}

// The clock is set five hours ahead: one run stands for the five that were
// planned. The others were missed; they overlap nothing, and aren't caught up
// when the daemon is started again.
func TestRunsThatTheClockPassesAreMissed(t *testing.T) {
	for _, change := range [][]func(*fake){nil, {catchingUp(24 * time.Hour)}} {
		dir := t.TempDir()
		inAt(t, noon, func(w *world) {
			w.dir = dir
			task := w.task("a", append(change, at("0 * * * *"))...)
			task.lasts = 10 * time.Second
			times := w.times(task.fake)
			w.run(task.cfg)
			w.passAndStep("30m 5h 10m 0s")
			equal(t, "runs", *times, []string{"01T17:30:00"})
			w.skipped("a", 4, 0)
			for _, c := range []struct {
				words []string
				lines int
			}{
				{[]string{"the wall clock was set", `to="2027-06-01 17:30:00" by=5h`}, 1},
				{[]string{"set past them", "runs=4"}, 1},
				{[]string{"ran longer"}, 0},
			} {
				if lines := w.lines(c.words...); len(lines) != c.lines {
					t.Errorf("logged %q, want %d lines with %q", lines, c.lines, c.words)
				}
			}
		})
		inAt(t, noon.Add(5*time.Hour+50*time.Minute), func(w *world) {
			w.dir = dir
			task := w.task("a", append(change, at("0 * * * *"))...)
			times := w.times(task.fake)
			w.run(task.cfg)
			w.pass(30 * time.Minute)
			equal(t, "runs after a restart", *times, []string{"01T18:00:00"})
			w.skipped("a", 0, 0)
		})
	}
}

// What a long run kept away is told, and isn't caught up after a restart.
func TestOverlappedRunsAreNotCaughtUp(t *testing.T) {
	dir := t.TempDir()
	for i, want := range [][]string{{"01T12:10:00"}, {"01T12:40:00"}} {
		inAt(t, noon.Add(time.Duration(i)*37*time.Minute), func(w *world) {
			w.dir = dir
			task := w.task("a", at("*/10 * * * *"), catchingUp(24*time.Hour))
			task.lasts = 25 * time.Minute // over 12:20 and 12:30
			times := w.times(task.fake)
			w.run(task.cfg)
			w.pass(30 * time.Minute)
			if i == 0 {
				w.pass(7 * time.Minute)
				w.skipped("a", 0, 2)
			}
			equal(t, "runs", *times, want)
		})
	}
}

// Labels are changed during a run of the calendar: it is neither made a second
// time nor are the times that it kept away forgotten.
func TestReloadDuringARunOfTheCalendar(t *testing.T) {
	for _, change := range [][]func(*fake){nil, {catchingUp(24 * time.Hour)}} {
		in(t, func(w *world) {
			task := w.task("a", append(change, at("*/10 * * * *"))...)
			task.lasts = 25 * time.Minute
			times := w.times(task.fake)
			w.run(task.cfg)
			w.pass(15 * time.Minute)
			w.reload(task.again(func(c *config.Sensor) { c.Labels = []sensors.Label{{Name: "room", Value: "hall"}} }))
			w.pass(24 * time.Minute)
			equal(t, "runs", *times, []string{"01T12:10:00"})
			w.skipped("a", 0, 2)
			w.pass(2 * time.Minute)
			equal(t, "runs", *times, []string{"01T12:10:00", "01T12:40:00"})
		})
	}
}

// The clock is set while the task is run because somebody asked for it: what it
// missed is caught up when that run has ended.
func TestClockIsSetDuringARunThatWasAskedFor(t *testing.T) {
	dir := t.TempDir()
	inAt(t, noon, func(w *world) { // it becomes known
		w.dir = dir
		w.run(w.task("a", at("30 3 * * *"), catchingUp(24*time.Hour)).cfg)
	})
	past := time.Date(1970, 1, 1, 0, 0, 10, 0, time.UTC)
	inAt(t, past, func(w *world) {
		w.dir = dir
		task := w.task("a", at("30 3 * * *"), catchingUp(24*time.Hour))
		task.lasts = 10 * time.Minute
		w.run(task.cfg)
		go w.poll.ReadNow(context.Background(), "a")
		w.pass(time.Minute)
		w.clock.StepWall(noon.Add(20*time.Hour - time.Minute).Sub(past))
		w.pass(time.Hour)
		equal(t, "runs", task.moments(), []time.Duration{0, 10 * time.Minute})
		w.skipped("a", 0, 0)
	})
}

// An end before a run is caught up doesn't have those counted again that are
// missed for good.
func TestMissedRunsAreCountedOnce(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		begin, lasts time.Duration
		missed       uint64
		want         []string
	}{{0, time.Minute, 0, nil}, {68 * time.Hour, 20 * time.Minute, 2, nil}, {69 * time.Hour, time.Hour, 0, []string{"04T09:40:00"}}} {
		inAt(t, noon.Add(c.begin), func(w *world) {
			w.dir = dir
			task := w.task("a", at("30 3 * * *"), catchingUp(24*time.Hour), moved(40*time.Minute))
			times := w.times(task.fake)
			w.run(task.cfg)
			w.pass(c.lasts)
			equal(t, "runs", *times, c.want)
			w.skipped("a", c.missed, 0)
		})
	}
}

// A clock that is a day ahead at the start has a run caught up too early, and is set
// right, before that run or during it: the run of the day itself is made all the
// same, in this life or, where the machine is off by then, in the next.
func TestClockIsSetBackByADay(t *testing.T) {
	day := func(d, h int) time.Time { return time.Date(2027, 6, d, h, 0, 0, 0, time.UTC) }
	for _, c := range []struct {
		name   string
		jitter time.Duration
		lasts  time.Duration // from 2 June, 8:00
		second []string      // runs, by the clock then
		third  []string      // from 3 June, 10:00
	}{
		{"before it", 20 * time.Minute, time.Hour, nil, []string{"03T10:20:00"}},
		{"during it", 0, time.Hour, []string{"03T08:00:00"}, []string{"03T10:00:00"}},
		{"during it, and goes on", 0, 25 * time.Hour, []string{"03T08:00:00", "03T03:30:00"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			live := func(wall time.Time, lasts time.Duration, ahead bool, want []string) {
				inAt(t, wall, func(w *world) {
					w.dir = dir
					task := w.task("a", at("30 3 * * *"), catchingUp(24*time.Hour), moved(c.jitter))
					task.lasts = 10 * time.Minute
					times := w.times(task.fake)
					w.run(task.cfg)
					w.pass(time.Minute)
					if ahead {
						w.clock.StepWall(-24 * time.Hour)
					}
					w.pass(lasts - time.Minute)
					equal(t, "runs", *times, want)
				})
			}
			live(day(1, 12), time.Hour, false, nil)
			live(day(3, 8), c.lasts, true, c.second)
			live(day(3, 10), time.Hour, false, c.third)
		})
	}
}
