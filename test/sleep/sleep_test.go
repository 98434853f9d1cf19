//go:build system

package sleep

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.org/dormouse/test/kit"
	"example.org/dormouse/test/rig"
)

// boot starts a machine with dormouse on it.
func boot(t *testing.T, o rig.Options) *rig.Machine {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "dormouse")
	build := exec.Command("make", "-s", "-C", kit.Source(""), "executable", "OUT="+binary)
	build.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("make executable: %v\n%s", err, out)
	}
	o.Files = map[string]string{"usr/bin/dormouse": binary}
	return rig.Start(t, o)
}

// A sleeper is a daemon in the guest, with a sensor that is read at an interval
// and one that is read at the full hour.
type sleeper struct {
	*testing.T
	m *rig.Machine
}

func start(t *testing.T, m *rig.Machine, every time.Duration, flags ...string) *sleeper {
	t.Helper()
	argv := append([]string{"dormouse", "run", "--web.listen-address=127.0.0.1:9367", "--state.directory=/tmp",
		"--sensor=often=thermal,every=" + every.String(), `--sensor=hourly=thermal,at="0 * * * *"`}, flags...)
	p, err := m.Start(t.Context(), rig.Command{Argv: argv}, nil)
	kit.Must(t, err)
	s := &sleeper{T: t, m: m}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		kit.Must(t, p.Kill(ctx, syscall.SIGTERM))
		exit, err := p.Wait(ctx)
		if err != nil || exit.Status != 0 {
			t.Errorf("dormouse ended with %v", err)
		}
		if t.Failed() {
			t.Logf("dormouse said:\n%s", exit.Stderr)
		}
	})
	kit.Eventually(t, func() error { _, err := s.sample(); return err })
	return s
}

// A sample is /metrics, and the clocks before and after it.
type sample struct {
	kit.Page
	before rig.Clocks
	rig.Clocks
}

func (s *sleeper) sample() (l sample, err error) {
	if l.before, err = s.m.Clocks(s.Context()); err != nil {
		return l, err
	}
	if l.Page, err = kit.Fetch(s.Context(), s.m.Transport(""), "http://127.0.0.1:9367/metrics"); err != nil {
		return l, err
	}
	l.Clocks, err = s.m.Clocks(s.Context())
	return l, err
}

func (s *sleeper) see() sample {
	s.Helper()
	l, err := s.sample()
	kit.Must(s.T, err)
	return l
}

// get is a series, NaN where there is none.
func (l sample) get(name string) float64 {
	v, ok := l.Value(name)
	if !ok {
		return math.NaN()
	}
	return v
}

const jumps = "dormouse_clock_jumps_total"

func reads(sensor string) string {
	return fmt.Sprintf("dormouse_sensor_reads_total{sensor=%q}", sensor)
}

func (l sample) age(sensor string) float64 {
	return seconds(l.Realtime) - l.get(fmt.Sprintf("dormouse_sensor_last_success_timestamp_seconds{sensor=%q}", sensor))
}

func (l sample) next(sensor string) float64 {
	return l.get(fmt.Sprintf("dormouse_sensor_next_read_timestamp_seconds{sensor=%q}", sensor)) - seconds(l.Realtime)
}

func seconds(t time.Time) float64 { return float64(t.UnixNano()) / 1e9 }

// set sets the guest's wall clock, and returns when the daemon has noticed.
func (s *sleeper) set(to time.Time) sample {
	s.Helper()
	before := s.see()
	setClock(s.T, s.m, to)
	var after sample
	kit.Eventually(s.T, func() (err error) {
		if after, err = s.sample(); err == nil && after.get(jumps) != before.get(jumps)+1 {
			err = fmt.Errorf("%v clock jumps after %v", after.get(jumps), before.get(jumps))
		}
		return err
	})
	return after
}

func setClock(t *testing.T, m *rig.Machine, to time.Time) {
	t.Helper()
	kit.Do(t, m, "date", "-u", "-s", "@"+strconv.FormatInt(to.Unix(), 10))
}

// half is half past an hour: no hour ends while the test runs.
var half = time.Date(2027, time.March, 3, 12, 30, 0, 0, time.UTC)

const every = 2 * time.Second

func TestClockIsSetDuringASleep(t *testing.T) {
	t.Parallel() // each has a machine of its own, which mostly sleeps
	m := boot(t, rig.Options{})
	setClock(t, m, time.Unix(600, 0)) // a Pi boots in 1970
	s := start(t, m, every)
	kit.Eventually(t, func() error {
		if l := s.see(); l.get(reads("often")) < 2 {
			return fmt.Errorf("%v reads", l.get(reads("often")))
		}
		return nil
	})
	first := s.see()
	for line := range strings.Lines(string(first.Page)) {
		if name := line[:strings.IndexAny(line, "{ ")]; strings.HasSuffix(name, "_timestamp_seconds") {
			t.Errorf("in 1970 the page has %s", name)
		}
	}
	if n := first.get(reads("hourly")); n != 0 {
		t.Errorf("in 1970, %v reads at full hours", n)
	}

	hourly := 0.0
	for _, step := range []struct {
		name string
		to   func(now time.Time) time.Time
		due  float64 // reads at full hours: one where the step passes over any
		next float64 // minutes to the next one
	}{
		{"from 1970 to 12:30", func(time.Time) time.Time { return half }, 0, 30},
		{"an hour forward", func(now time.Time) time.Time { return now.Add(time.Hour) }, 1, 30},
		// 13 h was read, and isn't read again.
		{"an hour back", func(now time.Time) time.Time { return now.Add(-time.Hour) }, 0, 90},
		{"a day forward", func(now time.Time) time.Time { return now.Add(24 * time.Hour) }, 1, 30},
		// What was read late a moment ago was meant for 14 h of this day.
		{"a day back", func(now time.Time) time.Time { return now.Add(-24 * time.Hour) }, 0, 150},
	} {
		t.Run(step.name, func(t *testing.T) {
			s.T = t
			before := s.see()
			after := s.set(step.to(before.Realtime))
			hourly += step.due
			kit.Eventually(t, func() (err error) {
				if after, err = s.sample(); err == nil && after.get(reads("hourly")) != hourly {
					err = fmt.Errorf("%v reads at full hours, want %v", after.get(reads("hourly")), hourly)
				}
				return err
			})
			after = s.oftenSince(before)
			if n := after.get(reads("hourly")); n != hourly {
				t.Errorf("%v reads at full hours, want %v", n, hourly)
			}
			if n := after.get(jumps) - before.get(jumps); n != 1 {
				t.Errorf("%v clock jumps for one", n)
			}
			// Between the page and the clocks time passes; a time of before the step would be hours off.
			const minutes = 10 * 60
			if age := after.age("often"); !(age >= 0 && age < minutes) {
				t.Errorf("the last success is %.3f s old", age)
			}
			if next := after.next("often"); !(next > -minutes && next <= every.Seconds()+1) {
				t.Errorf("the next read is in %.3f s", next)
			}
			if next := after.next("hourly") / 60; !(next > step.next-10 && next <= step.next) {
				t.Errorf("the next read at a full hour is in %.1f min, want %v at most", next, step.next)
			}
		})
		s.T = t
	}
}

// oftenSince checks that the interval has gone on since a sample as if nothing had
// happened, for three reads; where the machine stood still meanwhile, for the next
// three.
func (s *sleeper) oftenSince(from sample) (to sample) {
	s.Helper()
	kit.Eventually(s.T, func() error {
		kit.Eventually(s.T, func() (err error) {
			if to, err = s.sample(); err == nil && to.get(reads("often")) < from.get(reads("often"))+3 {
				err = fmt.Errorf("%v reads after %v", to.get(reads("often")), from.get(reads("often")))
			}
			return err
		})
		n := to.get(reads("often")) - from.get(reads("often"))
		least, most := (to.before.Boottime-from.Boottime).Seconds()/every.Seconds(), (to.Boottime-from.before.Boottime).Seconds()/every.Seconds()
		if n > most+2 { // one was late, and one is due at the end
			s.Errorf("%v reads in the time of %.1f", n, most)
		}
		if n < least-1.5 {
			from = to
			return fmt.Errorf("%v reads in the time of %.1f", n, least)
		}
		return nil
	})
	return to
}

// The alarm of a wall-clock time is set on CLOCK_BOOTTIME. A clock that is
// slewed, as NTP does it, takes the other along: adjtimex(2). By the most that
// the kernel does, a tenth, an alarm that weren't slewed would be 2 s off, at each
// full hour. A machine that stands still is late at one of them.
func TestClockIsSlewed(t *testing.T) {
	t.Parallel() // each has a machine of its own, which mostly sleeps
	m := boot(t, rig.Options{})
	setClock(t, m, half)
	s := start(t, m, time.Hour)
	hour := half.Add(-30 * time.Minute)
	for _, tick := range []string{"11000", "9000"} { // µs of wall clock in 10 ms
		t.Run(tick, func(t *testing.T) {
			s.T = t
			var late float64
			for range 3 {
				hour = hour.Add(time.Hour)
				if late = s.lateAt(hour, tick); late < 1 {
					break
				}
			}
			if !(late > -0.01 && late < 1) {
				t.Errorf("read %.3f s after the full hour", late)
			}
		})
		s.T = t
	}
}

// lateAt is how many seconds after a full hour the sensor was read, of a clock
// that is slewed for the 20 s before.
func (s *sleeper) lateAt(hour time.Time, tick string) float64 {
	s.Helper()
	kit.Do(s.T, s.m, "adjtimex", "-t", "10000")
	before := s.set(hour.Add(-20 * time.Second))
	kit.Do(s.T, s.m, "adjtimex", "-t", tick)
	if exit := kit.Exec(s.T, s.m, "adjtimex"); !strings.Contains(string(exit.Stdout), tick) {
		s.Fatalf("the clock isn't slewed: %s", exit.Stdout)
	}
	var l sample
	kit.Eventually(s.T, func() (err error) {
		if l, err = s.sample(); err == nil && l.get(reads("hourly")) != before.get(reads("hourly"))+1 {
			err = fmt.Errorf("not read at the full hour, at %v", l.Realtime)
		}
		return err
	})
	if n := l.get(jumps) - before.get(jumps); n != 0 {
		s.Errorf("%v clock jumps", n)
	}
	return l.Realtime.Sub(hour).Seconds() - l.age("hourly")
}

// The machine is suspended between two reads. Nothing but the alarm wakes it.
func TestAlarmWakesASuspendedMachine(t *testing.T) {
	t.Parallel() // each has a machine of its own, which mostly sleeps
	const every = 20 * time.Second
	m := boot(t, rig.Options{Suspends: true})
	s := start(t, m, every, "--wake-suspended")
	kit.Must(t, m.WriteFile(t.Context(), "/sys/power/mem_sleep", []byte("deep"), 0o644))
	var before sample
	kit.Eventually(t, func() (err error) { // until it has just been read
		if before, err = s.sample(); err == nil && !(before.next("often") > 15) {
			err = fmt.Errorf("the next read is in %.1f s", before.next("often"))
		}
		return err
	})
	kit.Must(t, m.WriteFile(t.Context(), "/sys/power/state", []byte("mem"), 0o644)) // returns when it is awake
	var after sample
	kit.Eventually(t, func() (err error) {
		if after, err = s.sample(); err == nil && after.get(reads("often")) == before.get(reads("often")) {
			err = errors.New("no read since")
		}
		return err
	})
	suspended := (after.Boottime - before.Boottime) - (after.Monotonic - before.Monotonic)
	if suspended < 2*time.Second || suspended >= 2*every { // by then a second read would have been missed
		t.Errorf("the machine was suspended for %v", suspended)
	}
	if n := after.get(reads("often")) - before.get(reads("often")); n != 1 {
		t.Errorf("%v reads in %v", n, after.Boottime-before.Boottime)
	}
	if age := after.age("often"); !(age >= 0 && age < every.Seconds()) {
		t.Errorf("the last success is %.3f s old", age)
	}
	if n := after.get(jumps); n != before.get(jumps) {
		t.Errorf("resuming counted as %v clock jumps", n-before.get(jumps))
	}
	t.Logf("suspended for %v", suspended)
}
