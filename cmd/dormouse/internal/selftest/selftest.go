// Package selftest makes a report of what this machine, its wires and the
// daemon's sleep are like, to be pasted into a report. It requests no line,
// writes to no chip but what a scan does, and leaves out what identifies a
// person or a machine: names, addresses on a network, serial numbers, paths of
// a home directory.
package selftest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/daemon/duration"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/scan"
)

// Options are what is reported on.
type Options struct {
	Version string
	Clock   *alarm.Clock
	Scan    *scan.Document // what is connected
	// Read reads the configured sensors once. nil: there is no configuration, or
	// a daemon reads them, as NotRead says.
	Read    func(context.Context) (*sensors.Snapshot, error)
	NotRead string
	// Asleep is how long wake-ups are counted while nothing is done.
	Asleep time.Duration
}

// A Report is a list of sections.
type Report struct {
	Sections []Section
	Wrong    bool // something failed
	private  *strings.Replacer
}

// A Section is a list of facts under a title.
type Section struct {
	Title string
	Facts [][2]string
}

// Run makes the report. It takes Asleep and some seconds; where ctx ends early
// the error is its.
func Run(ctx context.Context, o Options) (*Report, error) {
	r := &Report{private: privateWords()}
	r.machine(o.Version)
	r.figures()
	r.wires(o.Scan)
	r.sensors(ctx, o)
	r.timers(ctx, o.Clock)
	r.asleep(ctx, o)
	return r, ctx.Err()
}

func (r *Report) section(title string) {
	r.Sections = append(r.Sections, Section{Title: title})
}

// add adds a fact to the last section; one without a value is left out.
func (r *Report) add(what, value string) {
	if value = r.private.Replace(strings.TrimSpace(value)); value != "" {
		s := &r.Sections[len(r.Sections)-1]
		s.Facts = append(s.Facts, [2]string{what, value})
	}
}

func (r *Report) addf(what, format string, args ...any) { r.add(what, fmt.Sprintf(format, args...)) }

// wrongf adds a fact that is a failure.
func (r *Report) wrongf(what, format string, args ...any) {
	r.Wrong = true
	r.addf(what, format, args...)
}

// privateWords replaces what identifies this machine or its user.
func privateWords() *strings.Replacer {
	var pairs []string
	hide := func(word, by string) {
		if len(word) > 2 && word != "root" && word != "/root" { // shorter ones are in other words
			pairs = append(pairs, word, by)
		}
	}
	if home, err := os.UserHomeDir(); err == nil {
		hide(home, "HOME")
	}
	hide(os.Getenv("USER"), "USER")
	if host, err := os.Hostname(); err == nil {
		hide(host, "HOST")
	}
	return strings.NewReplacer(pairs...)
}

// text is the content of a small file of the kernel's, empty where there is none.
func text(name string) string {
	data, err := os.ReadFile(name)
	if err != nil {
		return ""
	}
	return strings.TrimRight(string(data), "\x00\n")
}

func (r *Report) machine(version string) {
	r.section("This machine")
	r.add("dormouse", version)
	r.addf("built for", "%s/%s, %s", runtime.GOOS, runtime.GOARCH, runtime.Version())
	r.add("model", text("/proc/device-tree/model"))
	var u unix.Utsname
	if err := unix.Uname(&u); err == nil {
		r.addf("kernel", "%s %s", unix.ByteSliceToString(u.Release[:]), unix.ByteSliceToString(u.Machine[:]))
	}
	for line := range strings.Lines(text("/etc/os-release")) {
		if name, ok := strings.CutPrefix(line, "PRETTY_NAME="); ok {
			r.add("distribution", strings.Trim(name, "\"\n"))
		}
	}
	r.add("process 1", text("/proc/1/comm"))
	r.addf("processors", "%d", runtime.NumCPU())
	if os.Geteuid() == 0 {
		r.add("runs as", "root")
	} else {
		r.add("runs as", "an ordinary user")
	}
}

func (r *Report) figures() {
	r.section("The kernel's figures")
	up, _, _ := strings.Cut(text("/proc/uptime"), ".")
	if d, err := time.ParseDuration(up + "s"); err == nil {
		r.add("running for", duration.Format(d))
	}
	r.add("load", text("/proc/loadavg"))
	for line := range strings.Lines(text("/proc/meminfo")) {
		if name, value, ok := strings.Cut(line, ":"); ok && slices.Contains([]string{"MemTotal", "MemAvailable"}, name) {
			r.add(name, value)
		}
	}
	zones, err := filepath.Glob("/sys/class/thermal/thermal_zone*")
	if err != nil {
		return // of a constant pattern it can't fail
	}
	for _, zone := range zones {
		r.add(text(zone+"/type"), text(zone+"/temp")+" m°C")
	}
	r.add("throttled", text("/sys/devices/platform/soc/soc:firmware/get_throttled"))
	r.add("clock source", text("/sys/devices/system/clocksource/clocksource0/current_clocksource"))
	if _, ok := alarm.Now().Wall(); !ok {
		r.add("wall clock", "not set yet")
	}
}

// wires leaves out serial numbers: those of 1-Wire devices, and those in the
// names of USB adapters.
func (r *Report) wires(d *scan.Document) {
	r.section("Wires")
	r.add("board", d.Model)
	for _, bus := range d.Buses {
		what := fmt.Sprintf("I2C bus %d", bus.Bus)
		if !bus.Complete {
			r.wrongf(what, "not all addresses could be examined")
		}
		if len(bus.Addresses) == 0 && bus.Complete {
			r.add(what, "no chip answers")
		}
		for _, a := range bus.Addresses {
			r.addf(what, "%s: %s", a.Address, chipAt(a))
		}
	}
	r.addf("1-Wire", "devices: %d", len(d.OneWire))
	r.addf("SPI", "device nodes: %d", len(d.SPI))
	r.addf("serial", "ports: %d", len(d.Serial))
	for _, c := range d.GPIO {
		r.addf("GPIO", "%s: %d lines, %d of them held", c.Chip, c.Lines, len(c.Held))
	}
	for _, p := range d.Problems {
		r.wrongf("problem", "%s", p)
	}
	for _, a := range d.Advice {
		r.add("advice", a)
	}
}

func chipAt(a scan.Address) string {
	switch {
	case a.Kernel != "":
		return "the kernel's " + a.Kernel
	case a.Daemon != "":
		return "the daemon's"
	}
	var could []string
	for _, f := range a.Could {
		could = append(could, f.What)
	}
	if len(could) == 0 {
		return "answers, and is no chip that a driver knows"
	}
	return "could be " + strings.Join(could, ", ")
}

// sensors reads each configured sensor twice: a wrong first read after power-up
// is a fault that people meet.
func (r *Report) sensors(ctx context.Context, o Options) {
	r.section("Sensors")
	if o.Read == nil {
		r.add("not read", o.NotRead)
		return
	}
	for _, round := range []string{"first read", "second read"} {
		snapshot, err := o.Read(ctx)
		if err != nil {
			r.wrongf(round, "%v", err)
			return
		}
		for i := range snapshot.Results {
			s := &snapshot.Results[i]
			what := fmt.Sprintf("%s, sensor %d (%s)", round, i+1, s.Driver)
			if s.Up {
				r.addf(what, "%d readings in %s", len(s.Readings), s.Took.Round(time.Millisecond))
				continue
			}
			err := s.Err
			if err == nil {
				err = errors.New("not read")
			}
			r.wrongf(what, "down (%s): %s", s.Reason, withoutName(err.Error(), s.Name))
		}
	}
}

// withoutName puts NAME for a sensor's name where it stands as a word: one that is
// called "a" leaves the rest readable.
func withoutName(text, name string) string {
	word := regexp.MustCompile(`(^|[^\w-])` + regexp.QuoteMeta(name) + `($|[^\w-])`)
	return word.ReplaceAllString(text, "${1}NAME${2}")
}

// timers waits as drivers do.
func (r *Report) timers(ctx context.Context, clock *alarm.Clock) {
	const waits, wait = 20, 50 * time.Millisecond
	r.section("Timers")
	before := switches()
	var late []time.Duration
	for range waits {
		begun := clock.Now()
		if err := clock.Sleep(ctx, wait); err != nil {
			r.wrongf("wait", "%v", err)
			return
		}
		late = append(late, clock.Now().Sub(begun)-wait)
	}
	after := switches()
	slices.Sort(late)
	r.addf(fmt.Sprintf("%d waits of %s", waits, wait), "late by %s to %s, median %s", late[0].Round(time.Microsecond), late[waits-1].Round(time.Microsecond), late[waits/2].Round(time.Microsecond))
	r.addf("wake-ups for them", "%d", after-before)
	if waking, err := alarm.NewWaking(); err != nil {
		r.addf("waking from suspend", "not possible: %v", err)
	} else {
		r.add("waking from suspend", "possible")
		_ = waking.Close() // nothing waits on it
	}
}

func (r *Report) asleep(ctx context.Context, o Options) {
	r.section("Asleep")
	before := switches()
	if err := o.Clock.Sleep(ctx, o.Asleep); err != nil {
		r.wrongf("wait", "%v", err)
		return
	}
	// One is the end of the wait.
	r.addf("wake-ups in "+duration.Format(o.Asleep), "%d", max(0, switches()-before-1))
	for line := range strings.Lines(text("/proc/self/status")) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			r.add("memory resident", value)
		}
	}
}

// switches are the voluntary context switches of the process: its wake-ups.
func switches() int64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0 // of the process itself it can't fail
	}
	return int64(u.Nvcsw)
}

// WriteText writes the report as lines to paste.
func (r *Report) WriteText(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, s := range r.Sections {
		fmt.Fprintf(tw, "%s\n", s.Title)
		for _, f := range s.Facts {
			fmt.Fprintf(tw, "  %s\t%s\n", f[0], f[1])
		}
	}
	return tw.Flush()
}
