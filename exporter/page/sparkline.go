package page

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strings"
)

// The picture of a curve: a point for each slot.
const (
	curveStep   = 2
	curveHeight = 20
)

// sparkline draws the curve of points, NaN where there is none, as SVG with a
// title. Points are joined over up to reach empty slots, those in which the
// sensor isn't read. Fewer than two points are no curve.
func sparkline(points []float64, reach int, title func(low, high float64) string) template.HTML {
	low, high, n := math.Inf(1), math.Inf(-1), 0
	for _, v := range points {
		if !math.IsNaN(v) {
			low, high, n = min(low, v), max(high, v), n+1
		}
	}
	if n < 2 {
		return ""
	}
	var path strings.Builder
	lastX, lastY, last := 0, 0, -1
	run := 0 // how far a level stretch goes that isn't written yet
	flush := func() {
		if run > 0 {
			fmt.Fprintf(&path, "h%d", run)
			run = 0
		}
	}
	for i, v := range points {
		if math.IsNaN(v) {
			continue
		}
		x, y := i*curveStep, curveHeight/2
		if high > low {
			// By halves: the difference of two of the largest numbers is infinite.
			y = int(math.Round((1 - (v/2-low/2)/(high/2-low/2)) * curveHeight))
		}
		switch {
		case last < 0 || i-last > reach+1:
			flush()
			fmt.Fprintf(&path, "M%d %dh0", x, y) // h0: a point alone is a dot
		case y == lastY:
			run += x - lastX
		default:
			flush()
			fmt.Fprintf(&path, "l%d %d", x-lastX, y-lastY)
		}
		lastX, lastY, last = x, y, i
	}
	flush()
	// All that isn't a number was escaped.
	return template.HTML(fmt.Sprintf(`<svg class="curve" role="img" viewBox="-1 -1 %d %d"><title>%s</title><path d="%s"/></svg>`,
		(slots-1)*curveStep+2, curveHeight+2, html.EscapeString(title(low, high)), path.String()))
}
