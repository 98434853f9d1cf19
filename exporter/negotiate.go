package exporter

import (
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/prometheus/common/expfmt"
)

// negotiator finds the page that a request wants. A scraper says the same at
// each scrape, so what was understood is remembered.
type negotiator struct {
	mu    sync.Mutex
	known map[accepts]pageKey
}

type accepts struct{ format, encoding string }

// mostKnown bounds the memory: one scraper needs one entry.
const mostKnown = 32

func (n *negotiator) page(h http.Header) pageKey {
	a := accepts{joined(h["Accept"]), joined(h["Accept-Encoding"])}
	n.mu.Lock()
	defer n.mu.Unlock()
	if key, ok := n.known[a]; ok {
		return key
	}
	key := pageKey{format: format(a.format), gzip: acceptsGzip(a.encoding)}
	if n.known == nil || len(n.known) >= mostKnown {
		n.known = make(map[accepts]pageKey)
	}
	if len(a.format)+len(a.encoding) < 4096 {
		n.known[a] = key
	}
	return key
}

// joined is a header that may stand several times: RFC 9110, section 5.3.
func joined(values []string) string {
	if len(values) == 1 {
		return values[0]
	}
	return strings.Join(values, ",")
}

// formats are those we write, the preferred first. Of protobuf's three, the
// delimited one is what Prometheus asks for.
var formats = []expfmt.Format{
	expfmt.FmtOpenMetrics_1_0_0,
	expfmt.FmtOpenMetrics_0_0_1,
	expfmt.FmtProtoDelim,
	expfmt.FmtText,
}

// format is the first of ours that the Accept header asks for by name, in the
// order of its weights; else, as for a browser or curl, the text format.
func format(accept string) expfmt.Format {
	var wanted []string
	for clause := range strings.SplitSeq(accept, ",") {
		if quality(clause) > 0 {
			wanted = append(wanted, clause)
		}
	}
	// expfmt doesn't know that a weight of zero means never.
	h := http.Header{"Accept": {strings.Join(wanted, ",")}}
	return expfmt.NegotiateAccept(h, formats...)
}

// acceptsGzip reads an Accept-Encoding header: RFC 9110, section 12.5.3.
func acceptsGzip(header string) bool {
	any := false
	for clause := range strings.SplitSeq(header, ",") {
		coding, _, _ := strings.Cut(clause, ";")
		switch strings.ToLower(strings.TrimSpace(coding)) {
		case "gzip", "x-gzip":
			return quality(clause) > 0
		case "*":
			any = quality(clause) > 0
		}
	}
	return any
}

// quality is the weight of a clause: 1 unless q says otherwise; a weight that
// is no number is none.
func quality(clause string) float64 {
	for param := range strings.SplitSeq(clause, ";") {
		name, value, ok := strings.Cut(param, "=")
		if !ok || !strings.EqualFold(strings.TrimSpace(name), "q") {
			continue
		}
		q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil || q < 0 {
			return 0
		}
		return q
	}
	return 1
}
