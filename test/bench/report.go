package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"example.org/dormouse/daemon/duration"
)

// A figure is the middle of several measurements, with their range.
type figure struct{ mid, low, high float64 }

func figureOf(values []float64) figure {
	if len(values) == 0 {
		return figure{math.NaN(), math.NaN(), math.NaN()}
	}
	v := slices.Sorted(slices.Values(values))
	mid := v[len(v)/2]
	if len(v)%2 == 0 {
		mid = (v[len(v)/2-1] + mid) / 2
	}
	return figure{mid, v[0], v[len(v)-1]}
}

// with prints the range beside the middle.
func (f figure) with(format string) string {
	if math.IsNaN(f.mid) {
		return "–"
	}
	if f.low == f.high {
		return fmt.Sprintf(format, f.mid)
	}
	return fmt.Sprintf(format+" ("+format+"–"+format+")", f.mid, f.low, f.high)
}

// over is how many times g each measurement is, one by one, because they were
// made side by side.
func over(ours, theirs []float64) figure {
	var ratios []float64
	for i := range min(len(ours), len(theirs)) {
		if theirs[i] > 0 {
			ratios = append(ratios, ours[i]/theirs[i])
		}
	}
	return figureOf(ratios)
}

// Costs by the hour and by the wake.

func perHour(l load, v float64) float64 { return v * float64(time.Hour) / float64(l.window) }

func sum(loads []load) load {
	var s load
	for _, l := range loads {
		s = s.plus(l)
	}
	return s
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// cost is a program's consumption, by the hour: at rest, and of one wake.
type cost struct {
	wakeups, cpu         float64 // an hour at rest; CPU in ms
	perWakeups, perWake  figure  // of one wake; CPU in µs
	perWakeEach          []float64
	restWakeupsPerMinute float64
}

func (b *benchmark) costOf(r *row) cost {
	var c cost
	rest := sum(r.rest)
	if rest.window > 0 {
		c.wakeups, c.cpu = perHour(rest, float64(rest.wakeups)), perHour(rest, ms(rest.cpu))
		c.restWakeupsPerMinute = c.wakeups / 60
	}
	var wakeups []float64
	every := b.every
	if r.every != 0 {
		every = r.every
	}
	for _, l := range r.wakes {
		hours := l.window.Hours()
		n := float64(l.window) / float64(every)
		wakeups = append(wakeups, (float64(l.wakeups)-c.wakeups*hours)/n)
		c.perWakeEach = append(c.perWakeEach, (ms(l.cpu)-c.cpu*hours)/n*1000)
	}
	c.perWakeups, c.perWake = figureOf(wakeups), figureOf(c.perWakeEach)
	return c
}

// at is what an hour costs at an interval: base plus wakes.
func (c cost) at(every time.Duration) (wakeups, cpu float64) {
	n := float64(time.Hour) / float64(every)
	return c.wakeups + n*c.perWakeups.mid, c.cpu + n*c.perWake.mid/1000
}

func scrapeCPU(r *row) []float64 {
	var each []float64
	for _, l := range r.scrapes {
		each = append(each, ms(l.cpu)*1000/perRound)
	}
	return each
}

func scrapeWakeups(r *row) []float64 {
	var each []float64
	for _, l := range r.scrapes {
		each = append(each, float64(l.wakeups)/perRound)
	}
	return each
}

func (b *benchmark) row(name string) *row {
	for _, r := range b.rows {
		if strings.HasPrefix(r.name, name) {
			return r
		}
	}
	return nil
}

func (b *benchmark) print(w io.Writer, starts []start, activations activation) {
	b.printCosts(w)
	b.printScrapes(w)
	b.printMemory(w)
	printStarts(w, starts)
	wake := b.costOf(b.row("dormouse, release")).perWake.mid / 1000
	fmt.Fprintf(w, "\nNothing resident: a run of read --textfile takes %s ms and %s ms of CPU, that of %.0f wakes of the daemon\n",
		figureOf(activations.took).with("%.0f"), figureOf(activations.cpu).with("%.1f"), figureOf(activations.cpu).mid/wake)
	b.printAims(w)
}

func table(w io.Writer, title string, fill func(io.Writer)) {
	fmt.Fprintf(w, "\n%s\n", title)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fill(t)
	t.Flush() // w is the terminal
}

func (b *benchmark) printCosts(w io.Writer) {
	floor := b.costOf(b.row("floor"))
	table(w, fmt.Sprintf("Asleep: what an hour costs. Measured: rest over %s, and wakes at one every %s; an interval is base plus wakes.",
		duration.Format(time.Duration(b.windows)*b.window), duration.Format(b.every)), func(w io.Writer) {
		fmt.Fprintln(w, "program\trest: wake-ups/h\tCPU ms/h\tone wake: wake-ups\tCPU µs\t× floor\tevery 300 s: wake-ups/h\tCPU ms/h\tevery 10 s: wake-ups/h\tCPU ms/h")
		for _, r := range b.rows {
			c := b.costOf(r)
			if !r.sleeps || r.memory {
				continue
			}
			fmt.Fprintf(w, "%s\t%.0f%s\t%.2f", r.name, c.wakeups, lost(r.rest), c.cpu)
			if !r.polls {
				fmt.Fprintln(w, "\tpolls when it is scraped\t\t\t\t\t\t")
				continue
			}
			fmt.Fprintf(w, "\t%s%s\t%s\t%s", c.perWakeups.with("%.1f"), lost(r.wakes), c.perWake.with("%.0f"), over(c.perWakeEach, floor.perWakeEach).with("%.2f"))
			for _, every := range []time.Duration{300 * time.Second, 10 * time.Second} {
				wakeups, cpu := c.at(every)
				fmt.Fprintf(w, "\t%.0f\t%.1f", wakeups, cpu)
			}
			fmt.Fprintln(w)
		}
	})
}

// lost marks counts that a thread took along when it ended.
func lost(loads []load) string {
	if sum(loads).lost {
		return "+"
	}
	return ""
}

func (b *benchmark) printScrapes(w io.Writer) {
	floor := scrapeCPU(b.row("floor"))
	table(w, "One scrape of 40 series, as Prometheus asks for it", func(w io.Writer) {
		fmt.Fprintln(w, "program\twake-ups\tCPU µs\t× floor")
		for _, r := range b.rows {
			if r.page && !r.memory {
				fmt.Fprintf(w, "%s\t%s%s\t%s\t%s\n", r.name, figureOf(scrapeWakeups(r)).with("%.1f"), lost(r.scrapes), figureOf(scrapeCPU(r)).with("%.0f"), over(scrapeCPU(r), floor).with("%.2f"))
			}
		}
	})
}

func (b *benchmark) printMemory(w io.Writer) {
	table(w, fmt.Sprintf("Memory in kB, anonymous and shared / resident: at first, then after each quarter of %d scrapes (others: a tenth) and %d polls; asleep again", b.scrapes, polls), func(w io.Writer) {
		fmt.Fprintln(w, "program\tthreads\tdescriptors\tat first\t¼\t½\t¾\tall\trest afterwards: wake-ups/h\tCPU ms/h")
		for _, r := range b.rows {
			if !r.sleeps {
				continue
			}
			fmt.Fprintf(w, "%s\t%d\t%d\t%d / %d", r.name, r.fresh.threads, r.fresh.fds, r.fresh.own, r.fresh.rss)
			if !r.page {
				fmt.Fprintln(w, "\t\t\t\t\t\t")
				continue
			}
			for _, f := range r.growth {
				fmt.Fprintf(w, "\t%d / %d", f.own, f.rss)
			}
			past := sum(r.restPast)
			fmt.Fprintf(w, "\t%.0f%s\t%.2f\n", perHour(past, float64(past.wakeups)), lost(r.restPast), perHour(past, ms(past.cpu)))
		}
	})
}

func printStarts(w io.Writer, starts []start) {
	table(w, "From the command that is typed until the daemon is ready", func(w io.Writer) {
		fmt.Fprintln(w, "--release-executable\tms\tresident kB\tof it shared memory\tanonymous and shared")
		for _, s := range starts {
			fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\n", s.release, figureOf(s.took).with("%.0f"), s.after.rss, s.after.shmem, s.after.own)
		}
	})
}

// printAims compares what was measured with the aims.
func (b *benchmark) printAims(w io.Writer) {
	table(w, "Compared with the aims", func(w io.Writer) {
		for _, a := range b.aims() {
			fmt.Fprintf(w, "%s\t≤ "+a.format+"\t"+a.format+"\t%s\n", a.what, a.most, a.measured, a.verdict())
		}
	})
}

// An aim is a figure that a release should not exceed.
type aim struct {
	what, format   string
	measured, most float64
}

func (a aim) verdict() string {
	switch {
	case math.IsNaN(a.measured) || math.IsNaN(a.most):
		return "not measured"
	case a.measured <= a.most:
		return "met"
	}
	return "NOT MET"
}

func (b *benchmark) aims() []aim {
	floor, release := b.row("floor"), b.row("dormouse, release")
	ours, lowest := b.costOf(release), b.costOf(floor)
	past := sum(release.restPast)
	memory := release.growth[len(release.growth)-1]
	flat := 0.0 // from the first quarter on: 5,000 of 20,000 scrapes
	for _, f := range release.growth {
		flat = max(flat, math.Abs(float64(f.own)/float64(release.growth[0].own)-1)*100)
	}
	theirs := math.NaN()
	if n := b.row("node_exporter"); n != nil {
		theirs = float64(n.growth[len(n.growth)-1].rss)
	}
	return []aim{
		{"wake-ups a minute at rest", "%.2f", ours.restWakeupsPerMinute, 0},
		{"wake-ups a minute at rest, after scrapes", "%.2f", perHour(past, float64(past.wakeups)) / 60, 0},
		{"wake-ups of a kept-alive scrape", "%.2f", figureOf(scrapeWakeups(release)).mid, 1.3},
		{"CPU of a wake, × floor", "%.2f", over(ours.perWakeEach, lowest.perWakeEach).mid, 2.5},
		{"CPU of a scrape, × floor", "%.2f", over(scrapeCPU(release), scrapeCPU(floor)).mid, 6},
		{"own memory after scrapes, kB", "%.0f", float64(memory.own), 7 << 10},
		{"its change from a quarter of the scrapes to all, %", "%.1f", flat, 5},
		{"resident memory after scrapes, kB", "%.0f", float64(memory.rss), 20 << 10},
		{"resident memory after scrapes, kB; node_exporter's", "%.0f", float64(memory.rss), theirs},
	}
}
