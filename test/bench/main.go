package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"example.org/dormouse/daemon/duration"
	"golang.org/x/sys/unix"
)

// marker says that this process has a mount namespace of its own.
const marker = "DORMOUSE_BENCH_INSIDE"

// Children die with the thread that started them: that must be the main one.
func init() { runtime.LockOSThread() }

func main() {
	if err := inside(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// inside runs the benchmark in a mount namespace of its own.
func inside() error {
	if os.Getenv(marker) != "" {
		return bench(planned())
	}
	if os.Geteuid() != 0 {
		return errors.New("needs root, for a mount namespace of its own: sudo make bench")
	}
	self := exec.Command("/proc/self/exe")
	self.Env = append(os.Environ(), marker+"=1")
	self.Stdout, self.Stderr = os.Stdout, os.Stderr
	self.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	return self.Run()
}

// A plan is how long everything takes.
type plan struct {
	every   time.Duration // between two polls of those that poll
	windows int
	window  time.Duration
	scrapes int // in all, of ours; peers get a tenth
	starts  int
}

// never is the interval of those that sleep: longer than any run, because what
// polls cost is added by calculation.
const never = 24 * time.Hour

// quick has windows long enough for what the Go runtime does each minute and
// each two.
var quick = plan{every: 2 * time.Second, windows: 5, window: 26 * time.Second, scrapes: 20_000, starts: 10}

var long = plan{every: 10 * time.Second, windows: 4, window: 10 * time.Minute, scrapes: 20_000, starts: 30}

func planned() plan {
	if os.Getenv("DORMOUSE_BENCH") == "long" {
		return long
	}
	return quick
}

// polls is how many polls ours makes while it is scraped.
const polls = 300

func bench(p plan) error {
	sensor, err := findSensor()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "dormouse-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	all, err := programs(dir, sensor, pageSize(dir))
	if err != nil {
		return err
	}
	if err := describe(all, sensor); err != nil {
		return err
	}
	b := &benchmark{plan: p, dir: dir}
	defer b.stop()
	for _, step := range []func() error{
		func() error { return b.start(all) },
		b.asleep, b.scrape, b.manyScrapes, b.asleepAgain,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	b.stop()
	starts, err := measureStarts(filepath.Join(dir, "dormouse-release"), dir, p.starts)
	if err != nil {
		return err
	}
	activations, err := measureActivations(filepath.Join(dir, "dormouse-release"), dir, p.starts)
	if err != nil {
		return err
	}
	b.print(os.Stdout, starts, activations)
	return nil
}

// describe says where this is.
func describe(all []*program, sensor string) error {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return err
	}
	fmt.Printf("Linux %s %s, %d processors, %s; the sensor is %s\n",
		unix.ByteSliceToString(u.Release[:]), unix.ByteSliceToString(u.Machine[:]), runtime.NumCPU(), runtime.Version(), sensor)
	var absent []string
	for _, p := range all {
		if p.missing != "" {
			absent = append(absent, p.missing)
		}
	}
	if len(absent) > 0 {
		fmt.Printf("left out, not installed: apt-get install --no-install-recommends %s\n", strings.Join(absent, " "))
	}
	return nil
}

// A row is what was measured of one program.
type row struct {
	*program
	polling, sleeping *instance

	wakes    []load      // windows of the instance that polls
	rest     []load      // windows of the one that sleeps
	restPast []load      // the same after many scrapes
	scrapes  []load      // rounds of scrapes
	fresh    footprint   // asleep, before the first scrape
	growth   []footprint // after each quarter of the many scrapes
}

type benchmark struct {
	plan
	dir  string
	rows []*row
}

// settling is for what programs do after their start and after a strain: Go's
// garbage collector and scavenger, Python's imports.
const settling = 8 * time.Second

// start starts two of each program: one polls; the other sleeps, and is
// scraped later. A peer that can't start is named and left out.
func (b *benchmark) start(all []*program) error {
	if err := b.startAll(all); err != nil {
		return err
	}
	time.Sleep(settling)
	for _, r := range b.rows {
		var err error
		if r.sleeping != nil {
			if r.fresh, err = footprintOf(r.sleeping.pid()); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *benchmark) startAll(all []*program) error {
	for _, p := range all {
		if p.missing != "" {
			continue
		}
		r := &row{program: p}
		err := r.start(b.every)
		if err != nil && !p.peer {
			return errors.Join(err, r.stop())
		}
		if err != nil {
			fmt.Printf("left out, it can't start: %v\n", errors.Join(err, r.stop()))
			continue
		}
		b.rows = append(b.rows, r)
	}
	return nil
}

// start starts the instances of one program.
func (r *row) start(every time.Duration) (err error) {
	if r.every != 0 {
		every = r.every
	}
	if r.polls {
		if r.polling, err = r.program.start(every); err != nil {
			return err
		}
	}
	if r.sleeps {
		r.sleeping, err = r.program.start(never)
	}
	return err
}

// stop ends the instances of one program.
func (r *row) stop() error {
	var errs []error
	for _, i := range []*instance{r.polling, r.sleeping} {
		if i != nil {
			errs = append(errs, i.stop())
		}
	}
	r.polling, r.sleeping = nil, nil
	return errors.Join(errs...)
}

// stop ends all; what can't be ended dies with this process.
func (b *benchmark) stop() {
	for _, r := range b.rows {
		if err := r.stop(); err != nil {
			fmt.Fprintf(os.Stderr, "ending %s: %v\n", r.name, err)
		}
	}
}

// A watched instance and where its windows are noted.
type watched struct {
	*instance
	to *[]load
}

// observe reads the counts of instances at both ends of each window.
func (b *benchmark) observe(what string, all []watched) error {
	for n := range b.windows {
		fmt.Printf("%s: window %d of %d, %s\n", what, n+1, b.windows, duration.Format(b.window))
		before := make([]usage, len(all))
		for n, w := range all {
			var err error
			if before[n], err = w.usage(); err != nil {
				return err
			}
		}
		time.Sleep(b.window)
		for n, w := range all {
			after, err := w.usage()
			if err != nil {
				return err
			}
			*w.to = append(*w.to, after.since(before[n]))
		}
	}
	return nil
}

func (i *instance) usage() (usage, error) {
	u, err := usageOf(i.pid())
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s", i.name, err, i.said.String())
	}
	return u, err
}

// asleep watches those that poll and those that sleep, side by side.
func (b *benchmark) asleep() error {
	var all []watched
	for _, r := range b.rows {
		if r.polling != nil {
			all = append(all, watched{r.polling, &r.wakes})
		}
		if r.sleeping != nil {
			all = append(all, watched{r.sleeping, &r.rest})
		}
	}
	return b.observe("asleep", all)
}

// asleepAgain watches those that were scraped many times.
func (b *benchmark) asleepAgain() error {
	time.Sleep(settling)
	var all []watched
	for _, r := range b.rows {
		if r.sleeping != nil {
			all = append(all, watched{r.sleeping, &r.restPast})
		}
	}
	return b.observe("asleep after scrapes", all)
}

const (
	rounds   = 8
	perRound = 100
	// between lies between two scrapes: programs that are asked again before
	// they have gone to sleep don't show what it costs to wake them.
	between = 4 * time.Millisecond
)

// scrape scrapes all in turn, round after round, over connections that are
// kept alive where the server does.
func (b *benchmark) scrape() error {
	fmt.Printf("%d rounds of %d scrapes\n", rounds, perRound)
	for round := range rounds + 1 {
		for _, r := range b.rows {
			if !r.page || r.memory {
				continue
			}
			s, err := newScraper(r.sleeping.port)
			if err != nil {
				return err
			}
			if err := s.times(3); err != nil { // the connection, and the page rendered
				return fmt.Errorf("%s: %w", r.name, err)
			}
			before, err := r.sleeping.usage()
			if err != nil {
				return err
			}
			for range perRound {
				time.Sleep(between)
				if err := s.times(1); err != nil {
					return fmt.Errorf("%s: %w", r.name, err)
				}
			}
			time.Sleep(between)
			after, err := r.sleeping.usage()
			if err != nil {
				return err
			}
			s.close()
			if round > 0 { // the first warms up
				r.scrapes = append(r.scrapes, after.since(before))
			}
		}
	}
	return nil
}

const quarters = 4

// manyScrapes scrapes ours until its memory has shown what becomes of it, with
// polls in between, so that pages are rendered; peers get a tenth.
func (b *benchmark) manyScrapes() error {
	fmt.Printf("%d scrapes and %d polls of dormouse, a tenth of the scrapes of others\n", b.scrapes, polls)
	for _, r := range b.rows {
		if !r.page {
			continue
		}
		s, err := newScraper(r.sleeping.port)
		if err != nil {
			return err
		}
		for range quarters {
			if err := r.strain(b.dir, s, b.scrapes/quarters); err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
			f, err := footprintOf(r.sleeping.pid())
			if err != nil {
				return err
			}
			r.growth = append(r.growth, f)
		}
		s.close()
	}
	return nil
}

func (r *row) strain(dir string, s *scraper, scrapes int) error {
	if !r.ours {
		return s.times(scrapes / 10)
	}
	const perQuarter = polls / quarters
	for range perQuarter {
		if err := askToPoll(pidFile(dir, r.sleeping.port)); err != nil {
			return err
		}
		if err := s.times((scrapes + perQuarter - 1) / perQuarter); err != nil {
			return err
		}
	}
	return nil
}
