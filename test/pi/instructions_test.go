//go:build system

package pi

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"

	"example.org/dormouse/test/kit"
	"example.org/dormouse/test/rig"
)

// An instruction takes 2^shift ns of virtual time, and what nobody waits for
// takes none of the host's: so the kernel's CPU clocks count instructions, by
// the 1 µs of the board's timer, and are the same on every host.
const (
	shift  = 2
	icount = "shift=2,sleep=off"
)

// times is how often each is measured; the middle counts.
const times = 9

// A cost is what something costs in thousands of instructions, measured nine
// times.
type cost struct {
	name   string
	values []float64
}

func (c cost) median() float64 { return slices.Sorted(slices.Values(c.values))[len(c.values)/2] }

func (c cost) String() string {
	return fmt.Sprintf("%.0f\t(%.0f–%.0f)", c.median(), slices.Min(c.values), slices.Max(c.values))
}

// TestInstructions counts what a wake, a scrape and a start cost on a Pi Zero,
// of dormouse and of the floor in C, twice: a figure that isn't the same on the
// same commit is of no use.
func TestInstructions(t *testing.T) {
	dir := t.TempDir()
	floor, meter, page := filepath.Join(dir, "floor"), filepath.Join(dir, "meter"), filepath.Join(dir, "forty.prom")
	kit.Must(t, rig.CompileForZero(t.Context(), floor, kit.Source("test/bench/floor/floor.c")))
	kit.Must(t, rig.Zero.Build(t.Context(), meter, "test/pi/meter"))
	kit.Must(t, os.WriteFile(page, fortySeries(), 0o644))
	files := map[string]string{"usr/bin/floor": floor, "usr/bin/meter": meter, "forty.prom": page}
	var runs [2][]cost
	for i := range runs {
		t.Run(fmt.Sprintf("boot %d", i+1), func(t *testing.T) {
			b := newBench(t, rig.Zero, rig.Options{Files: files, QEMU: []string{"-icount", icount}})
			runs[i] = b.costs(t)
		})
		if t.Failed() {
			return
		}
	}
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "thousand instructions on a Pi Zero\tmedian\tof nine\tagain\tof nine\tdiffers")
	for i, c := range runs[0] {
		again := runs[1][i]
		differs := math.Abs(again.median()/c.median() - 1)
		fmt.Fprintf(w, "%s\t%s\t%s\t%.2f %%\n", c.name, c, again, differs*100)
		if differs > 0.02 || again.name != c.name {
			t.Errorf("%s took %v and %s %v: more than 2 %% apart", c.name, c, again.name, again)
		}
	}
	kit.Must(t, w.Flush())
	t.Logf("\n%s", table.String())
}

// fortySeries is a page for the readings that a program prints.
func fortySeries() []byte {
	page := "# HELP bench_reading A reading.\n# TYPE bench_reading gauge\n"
	for i := range 40 {
		page += fmt.Sprintf("bench_reading{number=\"%d\"} %d.5\n", i, i)
	}
	return []byte(page)
}

const zone = "/sys/class/thermal/thermal_zone0/temp"

// costs measures everything once, in one boot.
func (b *bench) costs(t *testing.T) []cost {
	many := "--sensor=many=command,output=prometheus,every=24h,argv=/bin/cat /forty.prom"
	sensors := func(n int, every string) []string {
		args := []string{many}
		for i := range n {
			args = append(args, fmt.Sprintf("--sensor=cpu%d=thermal,every=%s", i, every))
		}
		return args
	}
	const size = "4000" // of the floor's page: about that of dormouse's
	wakes := func(name string, pid int) cost {
		return b.measure(t, name, "wakes", strconv.Itoa(pid), strconv.Itoa(times), "10", "2s")
	}
	scrapes := func(name string, pid int, address string) cost {
		return b.measure(t, name, "scrapes", strconv.Itoa(pid), strconv.Itoa(times), "20", address)
	}
	var all []cost
	for _, n := range []int{1, 10} {
		args := []string{"floor", strconv.Itoa(8000 + n), "2000", zone, size}
		pid := b.background(t, append(args, slices.Repeat([]string{zone}, n-1)...))
		all = append(all, wakes(fmt.Sprintf("floor in C, a wake that reads %d", n), pid))
		d := b.Daemon(t, sensors(n, "2s")...)
		all = append(all, wakes(fmt.Sprintf("dormouse, a wake that reads %d", n), d.PID))
		d.Stop()
	}
	pid := b.background(t, []string{"floor", "8100", "86400000", zone, size})
	all = append(all, scrapes("floor in C, a scrape", pid, "127.0.0.1:8100"))
	d := b.Daemon(t, sensors(1, "24h")...)
	all = append(all, scrapes("dormouse, a scrape of 40 series", d.PID, d.Address))
	d.Stop()
	return append(all, b.starts(t, sensors(1, "24h")))
}

// starts measures what it takes from the command to the daemon that is ready.
func (b *bench) starts(t *testing.T, sensors []string) cost {
	c := cost{name: "dormouse, a start"}
	const dir = "/run/measured"
	kit.Must(t, b.Mkdir(t.Context(), dir, 0o755))
	args := append([]string{"start", dir + "/pid", "/" + program, "start", "--pid-file=" + dir + "/pid", "--state.directory=" + dir,
		"--log.output=" + dir + "/log", "--web.listen-address=127.0.0.1:0"}, sensors...)
	for range times {
		c.values = append(c.values, b.measure(t, "", args...).values...)
		b.says(t, 0, []string{"has ended"}, "stop", "--pid-file="+dir+"/pid")
	}
	return c
}

// background starts a program that ends with the machine.
func (b *bench) background(t *testing.T, argv []string) (pid int) {
	t.Helper()
	p, err := b.Start(t.Context(), rig.Command{Argv: argv}, nil)
	kit.Must(t, err)
	return p.PID
}

// measure runs the meter, which prints nanoseconds of virtual time.
func (b *bench) measure(t *testing.T, name string, args ...string) cost {
	t.Helper()
	// Without a deadline: in the machine a minute may have passed at once.
	exit, err := b.Exec(t.Context(), append([]string{"meter"}, args...)...)
	kit.Must(t, err)
	c := cost{name: name}
	for text := range strings.FieldsSeq(string(exit.Stdout)) {
		ns, err := strconv.ParseInt(text, 10, 64)
		kit.Must(t, err)
		c.values = append(c.values, float64(ns>>shift)/1000)
	}
	if exit.Status != 0 || len(c.values) == 0 {
		t.Fatalf("meter %q: exit status %d: %s%s", args, exit.Status, exit.Stdout, exit.Stderr)
	}
	return c
}
