//go:build system

package system

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"example.org/dormouse/exporter"
	"example.org/dormouse/sensors"
	_ "example.org/dormouse/sensors/all"
	"example.org/dormouse/test/kit"
	"example.org/dormouse/test/rig"
)

// A kernelChip is a model that is read by a driver of Dormouse's own, and by
// the kernel's driver through iio or hwmon.
type kernelChip struct {
	name    string
	address uint16
	module  string   // the kernel's
	bind    string   // what the chip is called there
	class   string   // iio or hwmon, with options
	series  []string // the kernels that have it; nil: all
	driver  string   // Dormouse's own, with options
	model   rig.Chip
	// forOwn is set besides in the model that the own driver reads.
	forOwn content
	// rate is the sampling frequency that the kernel's driver is set to, in Hz; "":
	// its own. It waits for two samples at each read of a channel.
	rate string
	// cached tells that the kernel's driver serves what it has read for some time.
	cached bool
	// contents makes one of many contents; boundaries are further ones.
	contents   func(r *rand.Rand) content
	boundaries []content
	// beyond are contents that the own driver refuses, whatever the kernel makes of
	// them.
	beyond []content
	// within is how far the two may be apart, by the kernel's rounding, for each
	// quantity that is compared; margin adds to it what depends on the content and
	// on the value.
	within map[string]float64
	margin func(quantity string, of content, value float64) float64
	// channels are what the kernel's channels are called by the own driver; those
	// that aren't there aren't compared.
	channels map[string]string
	// unsigned are quantities of which the kernel tells the magnitude.
	unsigned []string
}

// A content is what a model measures, by its own names.
type content = map[string]int

// all are the contents to try: those beyond first, of all chips in the same
// wakes, because they take retries, then boundaries, and random ones to n.
func (c *kernelChip) all(n int) (contents []content) {
	random := rand.New(rand.NewPCG(1, uint64(c.address)))
	contents = slices.Concat(c.beyond, c.boundaries)
	for len(contents) < n {
		contents = append(contents, c.contents(random))
	}
	return contents
}

// tries is how many contents of a chip are read; `make soak` reads more.
// A chip that both kernels drive has its boundaries, and a few others, with the
// newer one.
func (c *kernelChip) tries(k rig.Kernel) int {
	switch {
	case os.Getenv("DORMOUSE_SOAK") != "":
		return 500
	case k.Series == rig.Linux612.Series && c.series == nil:
		return 15
	}
	return 50
}

// A site is a chip where it is: the same model twice, on a bus where the own
// driver reads it and on one where the kernel's does, so that neither finds what
// the other has set.
type site struct {
	*kernelChip
	own, kernel *rig.I2CBus
	contents    []content
	tally
}

// A tally is what came out for one chip.
type tally struct {
	equal, refused int
	worst          map[string]float64 // how far apart the two were, by quantity
}

// TestTheKernelsDevices reads chips by iio and hwmon, that is by the drivers of
// Debian 12's kernel, and by Dormouse's own: on the same bytes both must say the
// same.
func TestTheKernelsDevices(t *testing.T) {
	b := newBench(t)
	compareWithKernel(t, b.Machine, rig.Linux61)
}

// TestTheNewerKernelsDevices does so with Debian 13's kernel, which drives more,
// and with drivers of its sources that Debian's package leaves out.
func TestTheNewerKernelsDevices(t *testing.T) {
	path, err := binary()
	kit.Must(t, err)
	compareWithKernel(t, kit.Boot(t, path, rig.Options{Kernel: rig.Linux612}), rig.Linux612)
}

// compareWithKernel reads all chips in one wake for each of the contents.
func compareWithKernel(t *testing.T, m *kit.Machine, k rig.Kernel) {
	ctx := t.Context()
	sites := connectChips(t, m, k)
	var args []string
	for _, s := range sites {
		class, options, _ := strings.Cut(s.class, ",")
		// On a busy host the emulated bus is slow.
		args = append(args, fmt.Sprintf("--sensor=own-%s=%s,bus=%d,addr=0x%02x,timeout=2m", s.name, s.driver, s.own.Number, s.address),
			strings.TrimSuffix(fmt.Sprintf("--sensor=kernel-%s=%s,device=%d-%04x,timeout=2m,%s", s.name, class, s.kernel.Number, s.address, options), ","))
	}
	d := m.Daemon(t, args...)
	// What the daemon reads at its start has ended when this has.
	for name, r := range d.Read() {
		if strings.HasPrefix(name, "kernel-") && (*r.Up || r.Reason != "no_answer") {
			t.Errorf("%s while nothing is bound: %+v", name, r)
		}
	}
	for _, s := range sites {
		dir, err := s.kernel.Bind(ctx, s.bind, s.address)
		kit.Must(t, err)
		if s.rate != "" {
			kit.Do(t, m.Machine, "sh", "-ec", "for f in "+dir+"/iio:device*/sampling_frequency; do echo "+s.rate+" >$f; done")
		}
	}
	for try := 0; ; try++ {
		left := slices.DeleteFunc(slices.Clone(sites), func(s *site) bool { return try >= len(s.contents) })
		if len(left) == 0 {
			break
		}
		var names []string
		for _, s := range left {
			names = append(names, "own-"+s.name, "kernel-"+s.name)
			kit.Must(t, s.own.Set(ctx, s.address, s.contents[try]))
			kit.Must(t, s.kernel.Set(ctx, s.address, s.contents[try]))
			if s.cached && try > 0 { // bound anew it has read nothing
				kit.Must(t, s.kernel.Unbind(ctx, s.address))
				_, err := s.kernel.Bind(ctx, s.bind, s.address)
				kit.Must(t, err)
			}
		}
		read := readPatiently(d, names)
		for _, s := range left {
			s.compare(t, s.contents[try], read["own-"+s.name], read["kernel-"+s.name], try < len(s.beyond))
		}
	}
	for _, s := range sites {
		kit.Must(t, s.kernel.Unbind(ctx, s.address))
		t.Logf("Linux %s, %s: %d tries, %d equal but for rounding, %d refused, %d different; at most apart: %v",
			k.Series, s.name, len(s.contents), s.equal, s.refused, len(s.contents)-s.equal-s.refused, s.worst)
	}
}

// readPatiently reads what couldn't be read once more, and once more: the emulated
// adapter's driver gives a transfer up after 2 s, for which a host with other
// things to do may stop the machine.
func readPatiently(d *kit.Daemon, names []string) map[string]exporter.SensorJSON {
	read := d.Read(names...)
	for range 2 {
		var again []string
		for name, r := range read {
			if !*r.Up && r.Reason != string(sensors.OutOfRange) {
				again = append(again, name)
			}
		}
		if len(again) == 0 {
			break
		}
		maps.Copy(read, d.Read(again...))
	}
	return read
}

// TestEveryChipIsCompared: a new driver of an I2C chip wants a place among those
// that are compared with the kernel's, or a reason here.
func TestEveryChipIsCompared(t *testing.T) {
	without := []string{
		"i2c",   // any chip, as its configuration describes it
		"scd30", // the kernel's driver reads no bytes after some commands, which the adapter's driver refuses
	}
	for _, c := range kernelChips {
		name, _, _ := strings.Cut(c.driver, ",")
		without = append(without, name)
	}
	for _, d := range sensors.Drivers() {
		onI2C := slices.ContainsFunc(d.Options, func(o sensors.Option) bool { return o.Name == "addr" })
		if onI2C && !slices.Contains(without, d.Name) {
			t.Errorf("%s isn't compared with a driver of the kernel's", d.Name)
		}
	}
}

// connectChips puts each chip that a kernel drives on the first pair of buses
// where its address is free.
func connectChips(t *testing.T, m *kit.Machine, k rig.Kernel) (sites []*site) {
	ctx := t.Context()
	var pairs [][2]*rig.I2CBus
	taken := map[uint16]int{} // pairs on which an address is taken
	for i := range kernelChips {
		c := &kernelChips[i]
		if c.series != nil && !slices.Contains(c.series, k.Series) {
			t.Logf("Linux %s, %s: left out, for its driver %s is only compared with Linux %s", k.Series, c.name, c.module, strings.Join(c.series, ", "))
			continue
		}
		pair := taken[c.address]
		taken[c.address]++
		if pair == len(pairs) {
			var buses [2]*rig.I2CBus
			for i := range buses {
				var err error
				buses[i], err = m.AddI2CBus(ctx)
				kit.Must(t, err)
				later(t, buses[i].Remove)
			}
			pairs = append(pairs, buses)
		}
		kit.Must(t, m.Modprobe(ctx, c.module, ""))
		s := &site{kernelChip: c, own: pairs[pair][0], kernel: pairs[pair][1], contents: c.all(c.tries(k)), tally: tally{worst: map[string]float64{}}}
		for _, bus := range pairs[pair] {
			kit.Must(t, bus.AddChip(ctx, c.address, c.model))
		}
		kit.Must(t, s.own.Set(ctx, c.address, c.forOwn))
		sites = append(sites, s)
	}
	return sites
}

// compare adds one content to the tally.
func (s *site) compare(t *testing.T, of content, own, kernel exporter.SensorJSON, beyond bool) {
	t.Helper()
	switch {
	case kernel.Up == nil || own.Up == nil:
		t.Errorf("%s: %v wasn't read", s.name, of)
	case beyond && refused(own):
		s.refused++
	case !*kernel.Up:
		t.Errorf("%s: %v isn't read by the kernel: %s", s.name, of, kernel.Error)
	case beyond || !*own.Up:
		t.Errorf("%s: %v: up %t, %s", s.name, of, *own.Up, own.Error)
	case s.agree(t, of, s.values(own, nil), s.values(kernel, s.channels)):
		s.equal++
	}
}

// refused tells whether a sensor, or a channel of it, is beyond its range, or
// reads what the chip reads before it has measured.
func refused(r exporter.SensorJSON) bool {
	return !*r.Up && (r.Reason == "range" || r.Reason == "not_ready") || len(r.Failures) > 0 && r.Failures[0].Reason == "range"
}

// values are the readings that are compared, by quantity and channel.
func (s *site) values(r exporter.SensorJSON, rename map[string]string) map[string]float64 {
	values := map[string]float64{}
	for _, r := range r.Readings {
		channel := r.Labels["channel"]
		if rename != nil {
			to, ok := rename[channel]
			if !ok {
				continue
			}
			channel = to
		} else if strings.HasPrefix(channel, "temp") || strings.HasPrefix(channel, "humidity") {
			channel = ""
		}
		if _, compared := s.within[r.Quantity]; compared && !strings.Contains(channel, "-") {
			values[strings.TrimSpace(r.Quantity+" "+channel)] = *r.Value
		}
	}
	return values
}

// agree compares what both read, reading by reading.
func (s *site) agree(t *testing.T, of content, own, kernel map[string]float64) bool {
	t.Helper()
	ok := len(own) > 0 && len(own) == len(kernel)
	for name, v := range own {
		quantity, _, _ := strings.Cut(name, " ")
		if slices.Contains(s.unsigned, quantity) {
			v = math.Abs(v)
		}
		got, both := kernel[name]
		apart := math.Abs(v - got)
		s.worst[quantity] = max(s.worst[quantity], apart)
		within := s.within[quantity] + 1e-9
		if s.margin != nil {
			within += s.margin(quantity, of, v)
		}
		ok = ok && both && apart <= within
	}
	if !ok {
		t.Errorf("%s: %v: the own driver reads %v, the kernel's %v", s.name, of, own, kernel)
	}
	return ok
}
