//go:build system

package system

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"example.org/dormouse/test/kit"
	"example.org/dormouse/test/rig"
)

// A plant is a machine whose disk outlives it, scraped by a Prometheus that
// outlives it too.
type plant struct {
	*kit.Machine
	header     *rig.GPIOChip
	prometheus *prometheus

	t    *testing.T
	disk string // its file on the host
	mu   sync.Mutex
	over http.RoundTripper // into the present machine; nil: there is none
}

// guestAddress is where the daemon in the machine listens.
const guestAddress = "127.0.0.1:9367"

func newPlant(t *testing.T) *plant {
	t.Helper()
	p := &plant{t: t, disk: filepath.Join(t.TempDir(), "disk")}
	if out, err := exec.Command("mkfs.ext4", "-q", p.disk, "32M").CombinedOutput(); err != nil {
		t.Fatalf("mkfs.ext4: %v\n%s", err, out)
	}
	proxy := httptest.NewServer(&httputil.ReverseProxy{
		Transport:    p,
		Rewrite:      func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: guestAddress}) },
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	})
	t.Cleanup(proxy.Close)
	// A scrape may take as long, which on a busy host is more than 200 ms.
	p.prometheus = startPrometheus(t, "500ms", map[string]string{"plant": strings.TrimPrefix(proxy.URL, "http://")})
	p.boot()
	t.Cleanup(func() {
		if p.Machine != nil {
			p.cutPower()
		}
	})
	return p
}

// RoundTrip carries Prometheus' scrapes into whatever machine there is.
func (p *plant) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	over := p.over
	p.mu.Unlock()
	if over == nil {
		return nil, syscall.EHOSTDOWN
	}
	return over.RoundTrip(r)
}

func (p *plant) into(over http.RoundTripper) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = over
}

// boot boots the machine. Its disk is written only when a program waits for it,
// or by the kernel after five minutes. Above /disk/root there is an overlay, as
// on a Pi with a read-only root.
func (p *plant) boot() {
	p.t.Helper()
	dormouse, err := binary()
	kit.Must(p.t, err)
	ctx := p.t.Context()
	m, err := rig.Boot(ctx, rig.Options{Files: map[string]string{"usr/bin/dormouse": dormouse}, QEMU: []string{
		"-drive", "if=none,id=disk,format=raw,cache=unsafe,file=" + p.disk, "-device", "virtio-blk-pci,drive=disk"}})
	kit.Must(p.t, err)
	p.Machine = &kit.Machine{Machine: m}
	for _, module := range []string{"virtio_blk", "crc32c_generic", "ext4", "overlay"} {
		kit.Must(p.t, m.Modprobe(ctx, module, ""))
	}
	kit.Do(p.t, m, "sh", "-ec", "mkdir /disk /overlay /run/upper /run/work; mount -t ext4 -o commit=300 /dev/vda /disk; mkdir -p /disk/root; "+
		"mount -t overlay -o lowerdir=/disk/root,upperdir=/run/upper,workdir=/run/work overlay /overlay")
	p.header, err = m.AddHeader(ctx)
	kit.Must(p.t, err)
	p.into(m.Transport(""))
}

// cutPower kills the machine; what it had not written to its disk is lost.
func (p *plant) cutPower() {
	p.t.Helper()
	p.into(nil)
	kit.Must(p.t, p.Close())
	p.Machine = nil
}

// A meter is a pulse counter whose every pulse is known.
type meter struct {
	*plant
	name  string
	state string // directory

	daemon *rig.Process // nil: not running
	pulses int          // all that came
	// unseen are those that came while nobody ran, and after the last scrape
	// before an end that wasn't clean.
	unseen int
	since  int // the last scrape
}

const meterLine = 22

func (m *meter) series() string { return `sensor_pulses_total{sensor="` + m.name + `"}` }

// start starts the daemon and returns what it shows first.
func (m *meter) start() (shown int) {
	m.t.Helper()
	var err error
	m.daemon, err = m.Start(m.t.Context(), rig.Command{Argv: []string{"/usr/bin/dormouse", "run", "--every=1h", "--state.directory=" + m.state,
		"--pid-file=/run/dormouse.pid", "--log.output=/run/log", "--web.listen-address=" + guestAddress,
		fmt.Sprintf("--sensor=%s=pulse,pin=GPIO%d", m.name, meterLine)}}, nil)
	kit.Must(m.t, err)
	m.since = 0
	kit.Eventually(m.t, func() error {
		page, err := m.page()
		if _, ok := page.Value(m.series()); err == nil && !ok {
			err = fmt.Errorf("no %s yet", m.series())
		}
		return err
	})
	return m.shown()
}

func (m *meter) page() (kit.Page, error) {
	return kit.Fetch(m.t.Context(), m.Transport(""), "http://"+guestAddress+"/metrics")
}

// shown is the count on the page.
func (m *meter) shown() int {
	m.t.Helper()
	page, err := m.page()
	kit.Must(m.t, err)
	return int(page.Want(m.t, m.series()))
}

// count makes pulses.
func (m *meter) count(n int) {
	m.t.Helper()
	_, err := m.header.Pulses(m.t.Context(), meterLine, n, 0)
	kit.Must(m.t, err)
	m.pulses += n
	if m.daemon == nil {
		m.unseen += n
	} else {
		m.since += n
	}
}

// read has the daemon read, so that it shows what came.
func (m *meter) read() {
	m.t.Helper()
	m.Ask(m.t, "/run/dormouse.pid")
}

// scraped waits until Prometheus has what is shown.
func (m *meter) scraped() {
	m.t.Helper()
	want := float64(m.shown())
	m.prometheus.answers(m.series(), one(m.name, want, want))
	m.since = 0
}

// kill ends the daemon by a signal.
func (m *meter) kill(signal syscall.Signal) {
	m.t.Helper()
	kit.Must(m.t, m.daemon.Kill(m.t.Context(), signal))
	exit, err := m.daemon.Wait(m.t.Context())
	if err != nil || signal == syscall.SIGTERM && exit.Status != 0 {
		m.t.Fatalf("after %s: %+v, %v", signal, exit, err)
	}
	m.ended(signal == syscall.SIGTERM)
}

// ended notes that the daemon is no more.
func (m *meter) ended(well bool) {
	m.daemon = nil
	if !well {
		m.unseen += m.since
	}
}

// samples are those of a series as Prometheus has them, in order, with the times
// in ms.
func (p *prometheus) samples(series string) (times []int64, values []float64) {
	p.Helper()
	response, err := http.Get(p.url + "/api/v1/query?" + url.Values{"query": {series + "[1h]"}}.Encode())
	kit.Must(p.T, err)
	defer response.Body.Close()
	var answer struct {
		Data struct {
			Result []struct{ Values [][2]json.RawMessage }
		}
	}
	kit.Must(p.T, json.NewDecoder(response.Body).Decode(&answer))
	if len(answer.Data.Result) != 1 {
		p.Fatalf("%d series are %s", len(answer.Data.Result), series)
	}
	for _, sample := range answer.Data.Result[0].Values {
		var at float64
		var text string
		kit.Must(p.T, json.Unmarshal(sample[0], &at))
		kit.Must(p.T, json.Unmarshal(sample[1], &text))
		v, err := strconv.ParseFloat(text, 64)
		kit.Must(p.T, err)
		times, values = append(times, int64(math.Round(at*1000))), append(values, v)
	}
	return times, values
}

// increase is Prometheus' own, over a window that begins and ends with a sample,
// so that nothing is extrapolated.
func (p *prometheus) increase(series string, from, to int64) float64 {
	p.Helper()
	got, err := p.query(fmt.Sprintf("increase(%s[%dms] @ %d.%03d)", series, to-from, to/1000, to%1000))
	kit.Must(p.T, err)
	for _, v := range got {
		return v
	}
	p.Fatalf("no increase of %s", series)
	return 0
}

// check holds what Prometheus counts against what came.
func (m *meter) check() {
	m.t.Helper()
	times, values := m.prometheus.samples(m.series())
	sum, resets := 0.0, 0
	for i := 1; i < len(values); i++ {
		step := values[i] - values[i-1]
		if step < 0 { // a counter that fell began anew from zero
			step = values[i]
			resets++
		}
		sum += step
	}
	if own := m.prometheus.increase(m.series(), times[0], times[len(times)-1]); math.Abs(own-sum) > 1e-6 {
		m.t.Errorf("%s: increase is %v, the steps of the %d samples add up to %v", m.name, own, len(values), sum)
	}
	m.t.Logf("%s: %d pulses came, %v are counted in %d samples with %d resets; up to %d may be missed", m.name, m.pulses, sum, len(values), resets, m.unseen)
	if values[0] != 0 || sum > float64(m.pulses) || sum < float64(m.pulses-m.unseen) {
		m.t.Errorf("%s: %v pulses are counted from %v on, want %d to %d", m.name, sum, values[0], m.pulses-m.unseen, m.pulses)
	}
}

// TestPrometheusNeverCountsMoreThanCame: kill -9 twenty times, power cuts while
// it runs and after a clean stop, and an overlay, whose files are back at each
// boot. Each time the count either goes on or starts from zero, and then nothing
// is counted twice.
func TestPrometheusNeverCountsMoreThanCame(t *testing.T) {
	p := newPlant(t)
	random := rand.New(rand.NewPCG(3, 3))
	rain := &meter{plant: p, name: "rain", state: "/disk/state"}
	// Where the root is written still, as while it is set up.
	flow := &meter{plant: p, name: "flow", state: "/disk/root/state"}
	starts := func(m *meter, at int) {
		t.Helper()
		if shown := m.start(); shown != at {
			t.Errorf("%s starts at %d, want %d", m.name, shown, at)
		}
		m.scraped()
	}
	more := func(m *meter, n int) {
		t.Helper()
		m.count(n)
		m.read()
		m.scraped()
	}

	starts(flow, 0)
	more(flow, 70)
	flow.kill(syscall.SIGTERM)

	starts(rain, 0)
	more(rain, 100)
	for round := range 20 {
		rain.count(random.IntN(20)) // shown in every second round, scraped or not
		if round%2 == 0 {
			rain.read()
		}
		rain.kill(syscall.SIGKILL)
		rain.count(random.IntN(20))
		starts(rain, 0)
		more(rain, 1+random.IntN(40))
	}
	rain.count(11)
	rain.ended(false)
	p.cutPower()

	p.boot()
	rain.count(5)
	starts(rain, 0)
	more(rain, 200)
	rain.count(13) // which the stop finds
	rain.kill(syscall.SIGTERM)
	flow.state = "/overlay/state"
	starts(flow, 0) // of another boot
	more(flow, 30)
	flow.count(4)
	flow.kill(syscall.SIGTERM)
	starts(flow, 34) // of this boot
	more(flow, 6)
	flow.kill(syscall.SIGTERM)
	p.cutPower()

	p.boot()
	starts(rain, 213)
	more(rain, 17)
	rain.count(3)
	rain.ended(false)
	p.cutPower()

	p.boot()
	starts(rain, 0) // what was taken is gone from the disk
	more(rain, 9)
	rain.kill(syscall.SIGTERM)
	starts(flow, 0) // with the first boot's file there again
	more(flow, 8)
	flow.kill(syscall.SIGTERM)
	rain.check()
	flow.check()
	if rain.unseen == 0 || flow.unseen != 0 {
		t.Errorf("of rain %d may be missed, of flow %d", rain.unseen, flow.unseen)
	}
}
