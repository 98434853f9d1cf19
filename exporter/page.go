package exporter

import (
	"bytes"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"example.org/dormouse/sensors"
)

// An edition is the pages of one state of things, rendered as they are asked
// for. Its fields but the facts belong to the renderer. The families are not
// kept: a scraper asks for one page, and they are bigger than it.
type edition struct {
	facts facts

	pages   map[pageKey]*page
	usage   usage
	expires sensors.Instant // when a reading on it ceases to be true; zero: none does
	wall    time.Time       // what the wall clock would have shown at boot
	wallOK  bool
}

type pageKey struct {
	format expfmt.Format
	gzip   bool
}

// A page is an answer ready to be written.
type page struct {
	body   []byte
	header http.Header // the values are shared: nobody changes them
}

// serveMetrics answers with a page, rendering it if nobody did before.
func (e *Exporter) serveMetrics(w http.ResponseWriter, r *http.Request) {
	want := e.negotiate.page(r.Header)
	p := e.renderer.page(e, want)
	header := w.Header()
	for name, values := range p.header {
		header[name] = values
	}
	// A client that is gone wants no answer.
	_, _ = w.Write(p.body)
}

// view is how f looks now.
func (e *Exporter) view(f facts) view {
	return view{facts: f, build: e.build, now: e.clock.Now(), clock: e.clock}
}

// A renderer makes pages, one at a time: who asks meanwhile waits, and shares
// what was made. Publishing doesn't wait for it.
type renderer struct {
	log   *slog.Logger
	usage func() usage

	mu         sync.Mutex
	problems   map[string]bool // said already
	unwritable map[string]bool // the same, by family
	text       bytes.Buffer
	packer     packer
}

func (r *renderer) page(e *Exporter, want pageKey) *page {
	r.mu.Lock()
	defer r.mu.Unlock()
	ed := e.current.Load()
	v := e.view(ed.facts)
	if ed.stale(&v) {
		ed.pages, ed.usage = make(map[pageKey]*page), r.usage()
		ed.expires = nextExpiry(ed.facts.snapshot, v.now)
		ed.wall, ed.wallOK = v.wallAtBoot()
	}
	p := ed.pages[want]
	if p == nil {
		v.usage = ed.usage // the same on all, so that none goes back behind another
		p = r.render(v, want)
		ed.pages[want] = p
	}
	return p
}

// leastStep is the step of the wall clock that makes a page's times wrong;
// smaller differences come of reading two clocks one after the other.
const leastStep = time.Second

// stale tells whether ed's pages are to be rendered anew: for the first time,
// because a reading has expired, or because the wall clock was set.
func (ed *edition) stale(v *view) bool {
	if ed.pages == nil || !ed.expires.IsZero() && !v.now.Before(ed.expires) {
		return true
	}
	wall, ok := v.wallAtBoot()
	return ok != ed.wallOK || wall.Sub(ed.wall).Abs() >= leastStep
}

// wallAtBoot is what the wall clock would have shown at boot, and the zero
// Time while it can't be true.
func (v *view) wallAtBoot() (time.Time, bool) {
	wall, ok := v.clock.Wall(v.now)
	if !ok {
		return time.Time{}, false
	}
	return wall.Add(-time.Duration(v.now)), true
}

// gather makes v's families. What contradicts itself is left out.
func (r *renderer) gather(v view) []*dto.MetricFamily {
	c := &collector{view: v}
	registry := prometheus.NewRegistry()
	registry.MustRegister(c) // of an unchecked collector it can't fail
	families, err := registry.Gather()
	if err != nil {
		// The families hold everything that was consistent.
		c.problems = append(c.problems, problem{err: err})
	}
	r.problems = logProblems(r.log, r.problems, c.problems)
	return families
}

// nextExpiry is the first moment after now at which a result expires.
func nextExpiry(s *sensors.Snapshot, now sensors.Instant) sensors.Instant {
	var next sensors.Instant
	if s == nil {
		return next
	}
	for i := range s.Results {
		at := s.Results[i].Expires
		if at.After(now) && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next
}

func (r *renderer) render(v view, want pageKey) *page {
	body := r.encode(want.format, r.gather(v))
	header := http.Header{
		"Content-Type":           {string(want.format)},
		"Vary":                   {"Accept, Accept-Encoding"},
		"X-Content-Type-Options": {"nosniff"},
	}
	if want.gzip {
		body = r.packer.pack(body)
		header["Content-Encoding"] = []string{"gzip"}
	}
	header["Content-Length"] = []string{strconv.Itoa(len(body))}
	return &page{body: bytes.Clone(body), header: header}
}

// textfile renders what the text file holds.
func (r *renderer) textfile(v view) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return bytes.Clone(r.encode(expfmt.FmtText, r.gather(v)))
}

// encode writes families in a format, with what ends it; the bytes are good
// until the next call. A family that the format can't express is left out.
func (r *renderer) encode(format expfmt.Format, families []*dto.MetricFamily) []byte {
	r.text.Reset()
	enc := expfmt.NewEncoder(&r.text, format)
	for _, f := range families {
		before := r.text.Len()
		if err := enc.Encode(f); err != nil {
			r.text.Truncate(before)
			r.complain(f.GetName(), format, err)
		}
	}
	if c, ok := enc.(expfmt.Closer); ok {
		if err := c.Close(); err != nil { // it writes to memory
			r.complain("", format, err)
		}
	}
	return r.text.Bytes()
}

// complain says once what a format can't express.
func (r *renderer) complain(metric string, format expfmt.Format, err error) {
	if !r.unwritable[metric] {
		r.unwritable[metric] = true
		r.log.Error("a family is left out of the page", "metric", metric, "format", string(format), "err", err)
	}
}
