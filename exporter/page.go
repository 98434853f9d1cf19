package exporter

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"example.org/dormouse/sensors"
)

// A pageSet is the rendered pages of one set of facts, each rendered when it is
// first requested. All fields but the facts belong to the renderer. The metric
// families are not kept: a scraper requests one page, and they are larger than
// it.
type pageSet struct {
	facts facts

	pages   map[pageKey]*page
	usage   usage
	expires sensors.Instant // when the first reading expires; zero: none does
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

// serveMetrics answers with a page, and renders it at the first request.
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

// A renderer renders pages, one at a time: concurrent requests wait and share
// the result. Publishing doesn't wait for it.
type renderer struct {
	log   *slog.Logger
	usage func() usage

	mu         sync.Mutex
	boot       time.Time // what the wall clock would have shown at boot: see steady
	bootKnown  bool
	problems   map[string]bool // logged already
	unwritable map[string]bool // the same, by family
	text       bytes.Buffer
}

func (r *renderer) page(e *Exporter, want pageKey) *page {
	r.mu.Lock()
	defer r.mu.Unlock()
	ps := e.current.Load()
	v := e.view(ps.facts)
	if ps.stale(&v) {
		ps.pages, ps.usage = make(map[pageKey]*page), r.usage()
		ps.expires = nextExpiry(ps.facts.snapshot, v.now)
		ps.wall, ps.wallOK = r.steady(&v)
	}
	v.clock = steadyClock{v.clock, ps.wall, ps.wallOK}
	p := ps.pages[want]
	if p == nil {
		v.usage = ps.usage // the same on all pages, so that no counter goes backwards from one to another
		p = r.render(v, want)
		ps.pages[want] = p
	}
	return p
}

// minStep is the step of the wall clock that makes a page's times wrong;
// smaller differences come from reading two clocks one after the other.
const minStep = time.Second

// stale tells whether the pages must be rendered: for the first time, because a
// reading has expired, or because the wall clock was set.
func (ps *pageSet) stale(v *view) bool {
	if ps.pages == nil || !ps.expires.IsZero() && !v.now.Before(ps.expires) {
		return true
	}
	wall, ok := v.wallAtBoot()
	return ok != ps.wallOK || wall.Sub(ps.wall).Abs() >= minStep
}

// steady is wallAtBoot as it was, unless the wall clock was set meanwhile: two
// clocks are never read at the same moment, and a time that hasn't changed
// shall not differ from page to page by what lies between.
func (r *renderer) steady(v *view) (time.Time, bool) {
	boot, known := v.wallAtBoot()
	if known != r.bootKnown || boot.Sub(r.boot).Abs() >= minStep {
		r.boot, r.bootKnown = boot, known
	}
	return r.boot, r.bootKnown
}

// A steadyClock shows Instants by one and the same offset.
type steadyClock struct {
	Clock
	boot  time.Time
	known bool
}

func (c steadyClock) Wall(at sensors.Instant) (time.Time, bool) {
	if !c.known || at.IsZero() {
		return time.Time{}, false
	}
	return c.boot.Add(time.Duration(at)), true
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

// gather makes v's families, without those series that contradict others.
func (r *renderer) gather(v view) []*dto.MetricFamily {
	c := &collector{view: v}
	registry := prometheus.NewRegistry()
	registry.MustRegister(c) // of an unchecked collector it can't fail
	families, err := registry.Gather()
	if err != nil {
		// The families contain everything that is consistent.
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
		body = compress(body)
		header["Content-Encoding"] = []string{"gzip"}
	}
	header["Content-Length"] = []string{strconv.Itoa(len(body))}
	return &page{body: bytes.Clone(body), header: header}
}

// compress packs a page into the gzip format. The stateless mode keeps nothing
// between two pages, where compress/gzip keeps 1.2 MB at any level.
func compress(body []byte) []byte {
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.StatelessCompression)
	if err == nil {
		_, err = w.Write(body)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(fmt.Sprintf("exporter: gzip in memory: %v", err)) // the level is a constant, a Buffer never fails
	}
	return packed.Bytes()
}

// textfile renders the content of the text file.
func (r *renderer) textfile(v view) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	boot, known := r.steady(&v)
	v.clock = steadyClock{v.clock, boot, known}
	return bytes.Clone(r.encode(expfmt.FmtText, r.gather(v)))
}

// encode writes families in a format, with what ends it; the bytes are good
// until the next call. A family that the format can't express is dropped.
func (r *renderer) encode(format expfmt.Format, families []*dto.MetricFamily) []byte {
	r.text.Reset()
	enc := expfmt.NewEncoder(&r.text, format)
	for _, f := range families {
		before := r.text.Len()
		if err := enc.Encode(f); err != nil {
			r.text.Truncate(before)
			r.logUnwritable(f.GetName(), format, err)
		}
	}
	if c, ok := enc.(expfmt.Closer); ok {
		if err := c.Close(); err != nil { // it writes to memory
			r.logUnwritable("", format, err)
		}
	}
	return r.text.Bytes()
}

// logUnwritable logs once what a format can't express.
func (r *renderer) logUnwritable(metric string, format expfmt.Format, err error) {
	if !r.unwritable[metric] {
		r.unwritable[metric] = true
		r.log.Error("metric family dropped from /metrics: the format can't express it", "metric", metric, "format", string(format), "err", err)
	}
}
