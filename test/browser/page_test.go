//go:build system

package browser

import (
	"context"
	"fmt"
	"html/template"
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.org/dormouse/exporter"
	"example.org/dormouse/exporter/page"
	"example.org/dormouse/sensors"
	_ "example.org/dormouse/sensors/all"
	"example.org/dormouse/sensors/config"
	"example.org/dormouse/sensors/pinout"
	"example.org/dormouse/test/kit"
)

const hostile = `<script>document.title='broken'</script><img src=http://192.0.2.1/x>"'&amp;`

// wiring is what the pages' header is drawn from, and the pins on which somebody
// who wires it by hand has these sensors.
var (
	wiring = []string{"greenhouse=bme280,addr=0x76,power=GPIO17", "office=sht4x", "door=switch,pin=GPIO27", "sonar=echo,trigger=GPIO23,echo=GPIO24",
		"tank=mcp3008,channels=ch0", "dust=pms5003,port=/dev/serial0"}
	wired = map[int]string{3: "greenhouse, office", 5: "greenhouse, office", 11: "greenhouse", 13: "door", 16: "sonar trigger", 18: "sonar echo",
		19: "tank", 21: "tank", 23: "tank", 24: "tank", 8: "dust", 10: "dust"}
)

// stopped is a clock that stands at a moment, long after the boot.
type stopped time.Time

const now = sensors.Instant(1000 * time.Hour)

func (stopped) Now() sensors.Instant { return now }

func (s stopped) Wall(at sensors.Instant) (time.Time, bool) {
	return time.Time(s).Add(at.Sub(now)), !at.IsZero()
}

// serve serves the page of n sensors with curves of a day, of which one in ten
// fails and all have hostile texts.
func serve(t *testing.T, n int) (url string) {
	t.Helper()
	return servePage(t, func(p *page.Page) {
		for i := range 48 {
			p.Publish(snapshot(n, i, now.Add(-time.Duration(47-i)*30*time.Minute)))
		}
	})
}

// servePage serves a page, to which publish gives its Snapshots, on a loopback
// address.
func servePage(t *testing.T, publish func(*page.Page)) (url string) {
	t.Helper()
	clock := stopped(time.Now())
	cfg, err := config.Load(config.Source{SensorFlags: wiring})
	kit.Must(t, err)
	p := page.New(page.Options{Version: "1.2.3", Clock: clock, Telemetry: "/metrics", CanRead: true, Header: func(link func(string) string) template.HTML {
		var b strings.Builder
		kit.Must(t, pinout.New(cfg, nil).WriteSVG(&b, link))
		return template.HTML(b.String())
	}})
	publish(p)
	read := func(context.Context) error { return nil }
	server := httptest.NewServer(exporter.New(exporter.Options{Clock: clock, Page: p, Read: read}))
	t.Cleanup(server.Close)
	return server.URL + "/"
}

func snapshot(n, i int, at sensors.Instant) *sensors.Snapshot {
	s := &sensors.Snapshot{At: at, NextWake: at.Add(time.Hour), Wires: []sensors.Wire{{Kind: "line", Name: "rain", Where: "GPIO22 (pin 15)", Active: true}}}
	for k := range n {
		v := float64((i*7919+k*104729)%1000) / 10
		r := sensors.Result{
			Name: []string{"greenhouse", "office", "door", "sonar", "tank", "dust"}[k%6], Driver: "bme280", Wiring: "I2C bus 1, address 0x76, power " + hostile,
			Tried: true, Up: true, LastRead: at, LastSuccess: at, NextRead: at.Add(time.Hour), Took: time.Second,
			Readings: []sensors.Reading{{Quantity: sensors.Temperature, Value: v}, {Quantity: sensors.Humidity, Value: v / 100},
				{Quantity: sensors.Voltage.With("channel"), Value: v, Labels: []string{"a-long-channel-name " + hostile}}},
		}
		if k >= 6 {
			r.Name = fmt.Sprintf("%s-%d", r.Name, k)
		}
		if k%10 == 9 {
			r.Up, r.Readings, r.Reason = false, nil, sensors.NoAnswer
			r.Err = fmt.Errorf("read register 0xd0: %w", sensors.Errorf(sensors.NoAnswer, "no answer at %s: check the wiring: %w", hostile, syscall.EREMOTEIO))
		}
		s.Results = append(s.Results, r)
	}
	return s
}

// contrast gives the texts whose contrast with what is behind them is below 4.5
// (WCAG 2, success criterion 1.4.3), by its formula.
const contrast = `
const rgb = c => c.match(/[\d.]+/g).map(Number);
const lum = c => { const f = v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; return 0.2126 * f(c[0]) + 0.7152 * f(c[1]) + 0.0722 * f(c[2]); };
const behind = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0) return c; } return [255, 255, 255]; };
const bad = []; let n = 0;
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const e = walker.currentNode.parentElement;
  if (!walker.currentNode.data.trim() || ['STYLE', 'title'].includes(e.nodeName) || !e.getClientRects().length) continue;
  n++;
  const style = getComputedStyle(e), svg = e instanceof SVGElement;
  const a = lum(rgb(svg ? style.fill : style.color)), b = lum(behind(e));
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (ratio < 4.5) bad.push(ratio.toFixed(2) + ' ' + walker.currentNode.data);
}
return {n, bad};`

// states are the Snapshot of 60 sensors, ten of each state that one can be in.
// Those that are read every hour have read at that moment.
func states(at sensors.Instant) *sensors.Snapshot {
	s := &sensors.Snapshot{At: at, NextWake: at.Add(time.Hour), Expires: at.Add(2 * time.Hour)}
	failed := &sensors.RunError{Err: sensors.Errorf(sensors.Command, "/usr/local/bin/backup exited with status 5"), Words: "cp: " + hostile + ": No space left"}
	for k := range 60 {
		r := sensors.Result{
			Name: fmt.Sprintf("a-sensor-with-a-long-name-%d", k), Driver: "bme280", Wiring: "I2C bus 1, address 0x76, power probes on GPIO26 (pin 37)",
			Tried: true, Up: true, LastRead: at, LastSuccess: at, NextRead: at.Add(time.Hour), Took: time.Second,
			Readings: []sensors.Reading{{Quantity: sensors.Temperature, Value: float64(at/sensors.Instant(time.Hour)%24) - 12.25}},
		}
		switch k % 6 {
		case 0: // a sensor
		case 1: // one that is down
			r.Up, r.Readings, r.Reason = false, nil, sensors.NoAnswer
			r.Err = sensors.Errorf(sensors.NoAnswer, "no answer at 0x76 on I2C bus 1: check the wiring (supply, ground, SDA, SCL) and the address: %w", syscall.EREMOTEIO)
		case 2: // one of whose channels fails
			r.Failures = []sensors.Failure{{Labels: []string{"a2"}, Err: sensors.Errorf(sensors.OutOfRange, "the input is beyond ±4.096V: give it a wider gain")}}
		case 3: // a pulse counter
			r.Driver, r.Readings = "pulse", []sensors.Reading{{Quantity: sensors.Pulses, Value: 123_456_789_012}, {Quantity: sensors.Precipitation, Value: 34_493.8},
				{Quantity: sensors.CountedSince, At: at.Add(-900 * time.Hour)}}
		case 4: // a task that failed
			r.Driver, r.Wiring, r.Up, r.Err, r.Reason = "task", "program /usr/local/bin/backup", false, failed, sensors.Command
			r.Readings = []sensors.Reading{{Quantity: sensors.ExitStatus, Value: 5}, {Quantity: sensors.ExitDuration, Value: 3600.125}}
			r.FailedRun = &sensors.Run{Status: 5, Output: hostile}
		case 5: // a program that hasn't run
			r.Driver, r.Wiring, r.Tried, r.Up, r.Readings, r.LastRead, r.LastSuccess = "command", "program /usr/local/bin/forecast", false, false, nil, 0, 0
		}
		s.Results = append(s.Results, r)
	}
	return s
}

// clipped gives the texts that are drawn outside the window or the picture that
// they are in.
const clipped = `
const out = []; let n = 0;
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const e = walker.currentNode.parentElement;
  if (!walker.currentNode.data.trim() || ['STYLE', 'title'].includes(e.nodeName)) continue;
  const range = document.createRange();
  range.selectNodeContents(walker.currentNode);
  const picture = e.closest('svg'), frame = picture ? picture.getBoundingClientRect() : {left: 0, right: innerWidth};
  for (const r of range.getClientRects()) {
    n++;
    if (r.left < frame.left - 1 || r.right > frame.right + 1) out.push(Math.round(r.left) + ' to ' + Math.round(r.right) + ' ' + walker.currentNode.data);
  }
}
return {n, out};`

// 60 sensors in all states, in a narrow window and a wide one: what is said of
// each can be read whole, and a sensor that is read every hour has one line of a
// day.
func TestStates(t *testing.T) {
	b := newBrowser(t)
	url := servePage(t, func(p *page.Page) {
		for i := range 24 {
			p.Publish(states(now.Add(-time.Duration(23-i) * time.Hour)))
		}
	})
	for _, width := range []int{375, 1280} {
		for _, scheme := range []string{"light", "dark"} {
			name := fmt.Sprintf("page-states-%d-%s", width, scheme)
			b.setWindow(width, scheme)
			b.open(url)
			var page struct {
				Scroll, Inner, Size, Name, Apart int
				States                           map[string]int
				Moves                            []int
			}
			b.run(`const states = {};
				for (const e of document.querySelectorAll('td.state > b')) states[e.textContent] = (states[e.textContent] || 0) + 1;
				return {scroll: document.documentElement.scrollWidth, inner: innerWidth, size: document.documentElement.outerHTML.length, states,
					name: Math.floor(Math.min(...[...document.querySelectorAll('td.name')].map(e => e.clientWidth))),
					apart: Math.max(...[...document.querySelectorAll('td.name')].map(e => [e, e.parentElement.nextElementSibling?.querySelector('td.name')])
						.filter(p => p[1]).map(p => Math.round(p[1].getBoundingClientRect().top - p[0].getBoundingClientRect().top))),
					moves: [...new Set([...document.querySelectorAll('svg.curve path')].map(p => p.getAttribute('d').split('M').length - 1))]}`, &page)
			if page.Scroll > page.Inner || page.Inner != width {
				t.Errorf("%s: %d px wide in a window of %d", name, page.Scroll, page.Inner)
			}
			if want := map[string]int{"down": 20, "ok": 30, "not read yet": 10}; !maps.Equal(page.States, want) {
				t.Errorf("%s: the states are %v, want %v", name, page.States, want)
			}
			if !slices.Equal(page.Moves, []int{1}) {
				t.Errorf("%s: curves of hourly reads have %v parts, want one", name, page.Moves)
			}
			if page.Name < 90 || page.Apart > 60 {
				t.Errorf("%s: a reading's name has %d px, and a sensor's readings are %d px apart", name, page.Name, page.Apart)
			}
			if page.Size >= 100_000 {
				t.Errorf("%s: %d bytes", name, page.Size)
			}
			var texts struct {
				N        int
				Bad, Out []string
			}
			b.run(contrast, &texts)
			b.run(clipped, &texts)
			if texts.N < 500 || len(texts.Bad) > 0 || len(texts.Out) > 0 {
				t.Errorf("%s: of %d texts too little contrast have %q, and cut off are %q", name, texts.N, texts.Bad, texts.Out)
			}
			b.screenshot(name)
		}
	}
}

// The page with 1, 12 and 60 sensors, narrow and wide, light and dark.
func TestPages(t *testing.T) {
	b := newBrowser(t)
	for _, n := range []int{1, 12, 60} {
		url := serve(t, n)
		for _, width := range []int{375, 1280} {
			for _, scheme := range []string{"light", "dark"} {
				name := fmt.Sprintf("page-%d-sensors-%d-%s", n, width, scheme)
				b.setWindow(width, scheme)
				b.open(url)
				var page struct {
					Title                               string
					Scroll, Inner, Main, Curves, Titles int
					Images, Scripts                     int
				}
				b.run(`return {title: document.title, scroll: document.documentElement.scrollWidth, inner: innerWidth,
					main: document.querySelectorAll('main').length, curves: document.querySelectorAll('svg.curve path').length,
					titles: document.querySelectorAll('svg > title').length, images: document.images.length, scripts: document.scripts.length}`, &page)
				failing := n / 10
				if page.Scroll > page.Inner || page.Inner != width {
					t.Errorf("%s: %d px wide in a window of %d", name, page.Scroll, page.Inner)
				}
				if want := (n - failing) * 3; page.Curves != want || page.Titles != want+1 || page.Main != 1 {
					t.Errorf("%s: %+v, want %d curves with titles", name, page, want)
				}
				if page.Images+page.Scripts > 0 || page.Title == "broken" {
					t.Errorf("%s: a hostile text is an element: %+v", name, page)
				}
				var texts struct {
					N   int
					Bad []string
				}
				b.run(contrast, &texts)
				if texts.N < 30 || len(texts.Bad) > 0 {
					t.Errorf("%s: of %d texts too little contrast have %q", name, texts.N, texts.Bad)
				}
				b.screenshot(name)
			}
		}
		urls, complaints := b.requests()
		if i := slices.IndexFunc(urls, func(u string) bool { return !strings.HasPrefix(u, url) }); i >= 0 || len(urls) < 4 || len(complaints) > 0 {
			t.Errorf("%d sensors: the browser requested %q and complains %q", n, urls, complaints)
		}
	}
}

// The header's wires are those of the configuration, and lead to their sensors;
// each link and the button can be reached by the keyboard; a sensor that fails is
// first, and a narrow window shows it whole.
func TestWiresAndKeyboard(t *testing.T) {
	b := newBrowser(t)
	b.setWindow(1280, "light")
	b.open(serve(t, 12))
	var titles []string
	b.run(`return [...document.querySelectorAll('svg.pinout g')].filter(g => g.querySelector('path')).map(g => g.querySelector('title').textContent)`, &titles)
	got := map[int]string{}
	for _, title := range titles {
		var pin int
		if _, err := fmt.Sscanf(title, "pin %d,", &pin); err != nil {
			t.Fatal(err)
		}
		_, got[pin], _ = strings.Cut(title, ": ")
	}
	if len(got) != len(wired) {
		t.Errorf("wires at the pins %v, want %v", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(wired)))
	}
	for pin, sensor := range wired {
		if !strings.HasSuffix(got[pin], sensor) {
			t.Errorf("pin %d is wired to %q, want %s", pin, got[pin], sensor)
		}
	}
	var dead []string
	b.run(`return [...document.querySelectorAll('svg.pinout a')].map(a => a.getAttribute('href')).filter(h => !document.getElementById(h.slice(1)))`, &dead)
	if len(dead) > 0 {
		t.Errorf("wires that lead nowhere: %q", dead)
	}
	var first string
	b.run(`return document.querySelector('.sensors tbody').innerText`, &first)
	for _, want := range []string{"down", "No answer at", "Check the wiring.", "remote I/O error"} {
		if !strings.Contains(first, want) {
			t.Errorf("the first sensor lacks %q:\n%s", want, first)
		}
	}

	var stops int
	b.run(`return document.querySelectorAll('a[href], button').length`, &stops)
	reached := map[string]bool{}
	for range stops {
		b.press("\ue004") // Tab
		var here struct{ Path, Outline string }
		b.run(`const e = document.activeElement, all = [...document.querySelectorAll('a[href], button')];
			return {path: String(all.indexOf(e)), outline: getComputedStyle(e).outlineStyle}`, &here)
		if here.Outline == "none" {
			t.Errorf("the focus at element %s can't be seen", here.Path)
		}
		reached[here.Path] = true
	}
	if len(reached) != stops || reached["-1"] {
		t.Errorf("%d of %d links and buttons can be reached", len(reached), stops)
	}
}

// An open page is loaded once per wake, by its own Refresh. Between that and the
// next wake it doesn't wake the daemon.
func TestAnOpenPage(t *testing.T) {
	d := startDaemon(t)
	b := newBrowser(t)
	b.setWindow(1280, "light")
	b.open(d.url)
	b.requests()
	wakes, longest := d.watch(t, 4)
	urls, complaints := b.requests()
	t.Logf("in %d wakes %d requests, and nothing for %s", wakes, len(urls), longest)
	// A host that stands still delays a request past the next wake.
	if len(urls) < wakes-2 || len(urls) > wakes+2 || len(complaints) > 0 {
		t.Errorf("in %d wakes the browser requested %q and complains %q", wakes, urls, complaints)
	}
	// The request comes some two seconds after the wake, and the next wake after 5 s.
	if longest < 1500*time.Millisecond {
		t.Errorf("with an open page the daemon sleeps for %s at most", longest)
	}
}
