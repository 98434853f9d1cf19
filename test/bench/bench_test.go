package main

import (
	"errors"
	"math"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestFigures(t *testing.T) {
	for _, tt := range []struct {
		values []float64
		want   figure
		text   string
	}{
		{[]float64{3, 1, 2}, figure{2, 1, 3}, "2.0 (1.0–3.0)"},
		{[]float64{4, 1}, figure{2.5, 1, 4}, "2.5 (1.0–4.0)"},
		{[]float64{7, 7}, figure{7, 7, 7}, "7.0"},
	} {
		got := figureOf(tt.values)
		if got != tt.want || got.with("%.1f") != tt.text {
			t.Errorf("%v: %v, %q; want %v, %q", tt.values, got, got.with("%.1f"), tt.want, tt.text)
		}
	}
	if none := figureOf(nil); !math.IsNaN(none.mid) || none.with("%.1f") != "–" {
		t.Errorf("of nothing: %v", none)
	}
	if got, want := over([]float64{2, 9}, []float64{1, 3}), (figure{2.5, 2, 3}); got != want {
		t.Errorf("ratios: %v, want %v", got, want)
	}
}

func TestCostIsBasePlusWakes(t *testing.T) {
	b := &benchmark{plan: plan{every: 2 * time.Second}}
	minute := func(wakeups int, cpu time.Duration) load {
		return load{window: time.Minute, wakeups: wakeups, cpu: cpu}
	}
	// 2 wake-ups and 0.1 ms a minute at rest; 30 wakes of 3 wake-ups and 0.2 ms.
	c := b.costOf(&row{program: &program{}, rest: []load{minute(1, 50*time.Microsecond), minute(3, 150*time.Microsecond)}, wakes: []load{minute(92, 6100*time.Microsecond)}})
	near := func(name string, got, want float64) {
		if math.Abs(got-want) > 1e-6 {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	near("wake-ups an hour at rest", c.wakeups, 120)
	near("wake-ups of a wake", c.perWakeups.mid, 3)
	near("µs of a wake", c.perWake.mid, 200)
	wakeups, cpu := c.at(5 * time.Minute)
	near("wake-ups an hour at 5 min", wakeups, 120+12*3)
	near("ms an hour at 5 min", cpu, 6+12*0.2)
}

func TestUsageOfAProcess(t *testing.T) {
	cat := exec.Command("/bin/cat")
	in, err := cat.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cat.Start(); err != nil {
		t.Fatal(err)
	}
	before, err := usageOf(cat.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	for before.cpu == 0 && err == nil { // until it has run
		before, err = usageOf(cat.Process.Pid)
	}
	if err != nil || len(before.threads) != 1 {
		t.Errorf("a process that began has %+v, %v", before, err)
	}
	f, err := footprintOf(cat.Process.Pid)
	if err != nil || f.own <= 0 || f.rss < f.own || f.threads != 1 || f.fds < 3 {
		t.Errorf("its memory is %+v, %v", f, err)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	for err == nil { // until it has ended, and is a zombie that nobody waited for
		_, err = usageOf(cat.Process.Pid)
	}
	if !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("of a zombie: %v", err)
	}
	if err := cat.Wait(); err != nil {
		t.Fatal(err)
	}
	if after := (usage{at: before.at, threads: map[string]bool{}}); !after.since(before).lost {
		t.Error("a thread that ended goes unnoticed")
	}
}

// A peer that ends at its start, or serves no page, is left out; the others
// go on. One of ours that does ends the benchmark.
func TestPeerThatCannotStart(t *testing.T) {
	broken := &program{name: "broken", peer: true, polls: true, sleeps: true, page: true, args: func(int, time.Duration) []string {
		return []string{"/bin/sh", "-c", "echo no such plugin >&2; exit 3"}
	}}
	absent := &program{name: "absent", peer: true, polls: true, args: func(int, time.Duration) []string { return []string{"/nowhere/peer"} }}
	sleeper := &program{name: "sleeper", polls: true, sleeps: true, args: func(int, time.Duration) []string { return []string{"/bin/sleep", "1000"} }}
	b := &benchmark{}
	defer b.stop()
	if err := b.startAll([]*program{broken, sleeper, absent}); err != nil {
		t.Fatal(err)
	}
	if len(b.rows) != 1 || b.rows[0].name != "sleeper" || b.rows[0].sleeping == nil {
		t.Errorf("%d programs are left", len(b.rows))
	}
	err := (&row{program: broken}).start(time.Second)
	if err == nil || !strings.Contains(err.Error(), "broken ended: exit status 3") || !strings.Contains(err.Error(), "no such plugin") {
		t.Errorf("the error is %v", err)
	}
	ours := *broken
	ours.peer = false
	if err := b.startAll([]*program{&ours}); err == nil {
		t.Error("ours that can't start was left out")
	}
}

func TestAims(t *testing.T) {
	second := []load{{window: time.Second, wakeups: 1, cpu: time.Millisecond}}
	r := func(name string, own, rss int) *row {
		return &row{program: &program{name: name}, rest: []load{{window: time.Hour}}, restPast: []load{{window: time.Hour}}, wakes: second, scrapes: second,
			growth: []footprint{{own: 4000, rss: 15000}, {own: own, rss: rss}}}
	}
	b := &benchmark{plan: plan{every: time.Second}, rows: []*row{r("floor", 50, 700), r("dormouse, release", 4300, 18000)}}
	verdicts := func() string {
		text := ""
		for _, a := range b.aims() {
			text += a.verdict() + "; "
		}
		return text
	}
	if got, want := verdicts(), "met; met; met; met; met; met; NOT MET; met; not measured; "; got != want {
		t.Errorf("without node_exporter: %s\nwant %s", got, want)
	}
	b.rows = append(b.rows, r("node_exporter", 7000, 17000))
	if got, want := verdicts(), "met; met; met; met; met; met; NOT MET; met; NOT MET; "; got != want {
		t.Errorf("beside a smaller node_exporter: %s\nwant %s", got, want)
	}
}
