package sensortest

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"

	"example.org/dormouse/sensors"
)

// Read builds the sensor, reads it once and returns what it reported. A
// reading out of its quantity's range is returned as a failure, as poll
// treats it. A report that contradicts the driver's table fails the test.
func Read(tb testing.TB, d *sensors.Driver, e *Env) ([]sensors.Reading, []sensors.Failure, error) {
	tb.Helper()
	return ReadContext(context.Background(), tb, d, e)
}

// ReadContext is Read with a context.
func ReadContext(ctx context.Context, tb testing.TB, d *sensors.Driver, e *Env) ([]sensors.Reading, []sensors.Failure, error) {
	tb.Helper()
	s, err := d.New(ctx, e)
	if err != nil {
		return nil, nil, err
	}
	_, holder := s.(sensors.Holder)
	if declared := d.Holds != nil && d.Holds(e.options); holder != declared {
		tb.Errorf("%s: the sensor is a Holder: %v, and the driver's Holds says %v", d.Name, holder, declared)
	}
	if c, ok := s.(io.Closer); ok {
		defer c.Close()
	}
	return Sense(ctx, tb, d, s)
}

// Sense reads a sensor that is built already, and checks as Read does.
func Sense(ctx context.Context, tb testing.TB, d *sensors.Driver, s sensors.Sensor) ([]sensors.Reading, []sensors.Failure, error) {
	tb.Helper()
	var r sensors.Report
	err := s.Sense(ctx, &r)
	if err != nil {
		// What is about the read itself, a program's exit status, may stand.
		got := slices.DeleteFunc(slices.Clone(r.Readings()), func(r sensors.Reading) bool {
			return strings.HasPrefix(r.Quantity.Metric, "dormouse_")
		})
		if len(got) > 0 {
			tb.Errorf("%s: Sense failed with %q and yet reported %d readings", d.Name, err, len(got))
		}
		return nil, nil, err
	}
	if len(r.Readings())+len(r.Failures()) == 0 {
		tb.Errorf("%s: Sense reported neither a reading nor a failure nor an error", d.Name)
	}
	failures := r.Failures()
	var readings []sensors.Reading
	for _, reading := range r.Readings() {
		q := reading.Quantity
		if len(reading.Labels) != len(q.Labels) {
			tb.Errorf("%s: %s has the labels %q and was given the values %q", d.Name, q.Name, q.Labels, reading.Labels)
		}
		if d.Measures != nil && !declared(d, q) {
			tb.Errorf("%s: %s%v is reported but not among the driver's Measures", d.Name, q.MetricName(), q.Labels)
		}
		if reading.Plain() {
			if err := q.Check(reading.Value); err != nil {
				failures = append(failures, sensors.Failure{Err: err, Labels: reading.Labels})
				continue
			}
		}
		readings = append(readings, reading)
	}
	return readings, failures, nil
}

func declared(d *sensors.Driver, q *sensors.Quantity) bool {
	return slices.ContainsFunc(d.Measures, func(m *sensors.Quantity) bool {
		return m.MetricName() == q.MetricName() && slices.Equal(m.Labels, q.Labels)
	})
}

// Value is the value of the one reading of q with these labels; the test
// fails where there is none.
func Value(tb testing.TB, readings []sensors.Reading, q *sensors.Quantity, labels ...string) float64 {
	tb.Helper()
	for _, r := range readings {
		if r.Quantity.MetricName() == q.MetricName() && slices.Equal(r.Labels, labels) {
			return r.Value
		}
	}
	tb.Fatalf("no reading of %s%v among %d", q.MetricName(), labels, len(readings))
	return 0
}

// Bench measures one Sense of a sensor that is built already; prepare, if not
// nil, makes the world ready for the next one.
func Bench(b *testing.B, d *sensors.Driver, e *Env, prepare func()) {
	b.Helper()
	ctx := context.Background()
	s, err := d.New(ctx, e)
	if err != nil {
		b.Fatal(err)
	}
	var r sensors.Report
	b.ReportAllocs()
	for b.Loop() {
		if prepare != nil {
			prepare()
		}
		r.Reset()
		e.Waits = e.Waits[:0]
		if err := s.Sense(ctx, &r); err != nil {
			b.Fatal(err)
		}
	}
	if len(r.Readings()) == 0 {
		b.Fatal("Sense reported nothing")
	}
}
