package promtext

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"example.org/dormouse/sensors"
	dto "github.com/prometheus/client_model/go"
)

// A distribution as it is put together.
type distribution struct {
	series      sample
	dist        sensors.Distribution
	count, sum  bool
	infinite    float64
	hasInfinite bool
	invalid     error // a value that no series may have: this one alone fails
}

func (p *Parser) distributions(family *dto.MetricFamily, kind sensors.Kind, samples map[string][]sample, reports []func(*sensors.Report)) ([]func(*sensors.Report), error) {
	name := family.GetName()
	found := map[string]*distribution{}
	var order []*distribution
	of := func(s sample) *distribution {
		series := s.text()
		d := found[series]
		if d == nil {
			d = &distribution{series: s}
			found[series], order = d, append(order, d)
		}
		return d
	}
	part, by := name+"_bucket", "le"
	if kind == sensors.Summary {
		part, by = name, "quantile"
	}
	for _, s := range samples[part] {
		rest, text, ok := s.without(by)
		if !ok {
			return nil, fmt.Errorf("%s%s lacks the label %s", part, s.text(), by)
		}
		at, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, fmt.Errorf("%s%s: %s is not a number", part, s.text(), by)
		}
		add := of(rest).bucket
		if kind == sensors.Summary {
			add = of(rest).quantile
		}
		if err := add(at, s.value); err != nil {
			return nil, fmt.Errorf("%s%s: %w", part, s.text(), err)
		}
	}
	for _, s := range samples[name+"_count"] {
		d := of(s)
		n, err := wholeCount(s.value)
		if err != nil {
			return nil, fmt.Errorf("%s_count%s: %w", name, s.text(), err)
		}
		d.dist.Count, d.count = n, true
	}
	for _, s := range samples[name+"_sum"] {
		d := of(s)
		if math.IsNaN(s.value) || math.IsInf(s.value, 0) {
			d.invalid = sensors.Errorf(sensors.OutOfRange, "%s_sum%s is %v, which is not a number", name, s.text(), s.value)
		}
		d.dist.Sum, d.sum = s.value, true
	}
	for _, part := range []string{part, name + "_count", name + "_sum"} {
		delete(samples, part)
	}
	for _, d := range order {
		if err := d.complete(kind); err != nil {
			return nil, fmt.Errorf("%s %s%s: %w", kind, name, d.series.text(), err)
		}
		q, dist := p.quantity(family, kind, nil, d.series), &d.dist
		reports = append(reports, func(r *sensors.Report) {
			if d.invalid != nil {
				r.Fail(d.invalid, d.series.values()...)
				return
			}
			r.SetDistribution(q, dist, d.series.values()...)
		})
	}
	return reports, nil
}

// bucket adds a histogram's bucket. The infinite one is the count again.
func (d *distribution) bucket(bound, v float64) error {
	n, err := wholeCount(v)
	switch {
	case err != nil:
		return err
	case math.IsNaN(bound):
		return errors.New("le is no number")
	case math.IsInf(bound, 1):
		d.infinite, d.hasInfinite = v, true
		return nil
	}
	if d.dist.Buckets == nil {
		d.dist.Buckets = map[float64]uint64{}
	}
	if _, twice := d.dist.Buckets[bound]; twice {
		return errors.New("there is another bucket of that bound")
	}
	d.dist.Buckets[bound] = n
	return nil
}

// quantile adds a summary's quantile. NaN is how the format says that there
// were no observations: then the quantile is absent.
func (d *distribution) quantile(at, v float64) error {
	if !(at >= 0 && at <= 1) {
		return errors.New("a quantile is a number from 0 to 1")
	}
	if math.IsInf(v, 0) {
		d.invalid = sensors.Errorf(sensors.OutOfRange, "the quantile %v of a summary is %v, which is not a number", at, v)
	}
	if d.dist.Quantiles == nil {
		d.dist.Quantiles = map[float64]float64{}
	}
	if _, twice := d.dist.Quantiles[at]; twice {
		return errors.New("that quantile is there twice")
	}
	if !math.IsNaN(v) {
		d.dist.Quantiles[at] = v
	}
	return nil
}

// complete tells whether all parts are there and agree.
func (d *distribution) complete(kind sensors.Kind) error {
	switch {
	case !d.count || !d.sum:
		return errors.New("its _count or _sum is missing")
	case kind == sensors.Summary:
		return nil
	case !d.hasInfinite:
		return errors.New(`its bucket le="+Inf" is missing`)
	case d.infinite != float64(d.dist.Count):
		return fmt.Errorf(`its bucket le="+Inf" is %v and its _count %d: they are the same thing`, d.infinite, d.dist.Count)
	}
	bounds := make([]float64, 0, len(d.dist.Buckets))
	for b := range d.dist.Buckets {
		bounds = append(bounds, b)
	}
	slices.Sort(bounds)
	last := uint64(0)
	for _, b := range bounds {
		if d.dist.Buckets[b] < last || d.dist.Buckets[b] > d.dist.Count {
			return fmt.Errorf("its bucket le=%q is out of order: buckets are cumulative", strconv.FormatFloat(b, 'g', -1, 64))
		}
		last = d.dist.Buckets[b]
	}
	return nil
}

// wholeCount converts a count, which must be a whole number that a float64
// still holds exactly.
func wholeCount(v float64) (uint64, error) {
	if !(v >= 0 && v <= 1<<53) || v != math.Trunc(v) {
		return 0, fmt.Errorf("%v is no count", v)
	}
	return uint64(v), nil
}
