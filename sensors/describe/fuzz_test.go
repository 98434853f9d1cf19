package describe

import (
	"errors"
	"testing"

	"example.org/dormouse/sensors/config"
	"example.org/dormouse/sensors/sensortest"
)

// FuzzDescription holds any text to what is promised: every problem has a place
// and a text; what is accepted is a driver that reads any answers without a panic
// and without end.
func FuzzDescription(f *testing.F) {
	for _, data := range describedFiles(f) {
		f.Add(data, []byte{0x60, 0x00, 0x6b, 0x70, 0x24})
	}
	for _, text := range []string{"{", "a: &x [*x]", "name: x\nsum: {poly: 0, init: 0, every: 0}\nmeasure: [{result: 32}]", "fields: [{type: \"be:u63/64>>1\", at: 99}]", "? [a]\n: b", "- - -"} {
		f.Add([]byte(text), []byte{0xff})
	}
	f.Fuzz(func(t *testing.T, data, answers []byte) {
		d, err := Driver("f.yml", data)
		if err != nil {
			var all config.Problems
			if d != nil || !errors.As(err, &all) || len(all) == 0 {
				t.Fatalf("%v, %T", d, err)
			}
			for _, p := range all {
				if p.Origin.File != "f.yml" || p.Origin.Line < 1 || p.Err == nil || p.Err.Error() == "" {
					t.Errorf("a problem without a place or a text: %#v", p)
				}
			}
			return
		}
		if err := d.Validate(); err != nil {
			t.Fatal(err)
		}
		e := sensortest.New(t, d, map[string]string{"description": "/x"})
		at, transactions := 0, 0
		e.Bus = sensortest.Chip(func(_, r []byte) error {
			if transactions++; transactions > 100_000 {
				t.Fatal("it reads without end")
			}
			for i := range r {
				if len(answers) > 0 {
					r[i] = answers[at%len(answers)]
				}
				at++
			}
			return nil
		})
		if _, _, err := sensortest.Read(t, d, e); err != nil && err.Error() == "" {
			t.Error("it fails and doesn't say why")
		}
	})
}
