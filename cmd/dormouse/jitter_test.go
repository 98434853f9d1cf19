package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"example.org/dormouse/cmd/dormouse/internal/service"
	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/daemon/duration"
	"example.org/dormouse/exporter"
)

// A daemon that runs reads at the machine's own moments, before and after a
// reload, and check shows them.
func TestJitterOfADaemon(t *testing.T) {
	if _, ok := alarm.Now().Wall(); !ok {
		t.Fatal("this machine's clock stands before this program's date, so no planned time is shown that could be compared: set it")
	}
	const at = 15 * time.Minute
	p := newPlace(t)
	url := ""
	nextRead := func(jitter time.Duration) {
		t.Helper()
		cfg, err := (&service.Source{Sensors: []string{fmt.Sprintf("a=bme280,every=1d,jitter=%v", jitter)}}).Load()
		if err != nil {
			t.Fatal(err)
		}
		want := cfg.Sensors[0].Schedule.Moved
		out := p.must("check", "--config.file=dormouse.yml")
		if line := fmt.Sprintf("at */15 * * * *, jitter %s: %v later on this machine", duration.Format(jitter), want); !strings.Contains(out, line) {
			t.Errorf("check doesn't say %q:\n%s", line, out)
		}
		p.eventually(func() error {
			var r exporter.Readings
			if err := json.Unmarshal([]byte(p.get(url+"/readings.json")), &r); err != nil {
				return err
			}
			if len(r.Sensors) != 1 || r.Sensors[0].NextRead == nil {
				return fmt.Errorf("nothing is planned: %+v", r)
			}
			// From its quarter of an hour; the two clocks aren't read at once.
			off := (time.Duration(r.Sensors[0].NextRead.UnixNano())-want+time.Second)%at - time.Second
			if off.Abs() > 100*time.Millisecond {
				return fmt.Errorf("next read at %v, %v from where jitter moves it, by %v", r.Sensors[0].NextRead, off, want)
			}
			return nil
		})
	}
	configure := func(jitter string) {
		p.write("dormouse.yml", fmt.Sprintf("sensors:\n  - {name: a, driver: bme280, at: \"*/15 * * * *\", jitter: %s}\n", jitter))
	}
	configure("15m")
	p.start()
	url = p.url(func() string { return p.read("log") })
	nextRead(15 * time.Minute)
	configure("5m")
	p.must("reload")
	nextRead(5 * time.Minute)
}
