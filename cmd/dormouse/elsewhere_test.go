package main

import (
	"strings"
	"testing"

	"example.org/dormouse/cmd/dormouse/internal/service"
)

// A user who asks for their own daemon, and means the system's, is told of it.
func TestElsewhere(t *testing.T) {
	p := newPlace(t)
	p.write("dormouse.yml", twoSensors)
	p.start()
	system := p.dir + "/run/dormouse.pid"
	t.Setenv("RUNTIME_DIRECTORY", t.TempDir())
	own := service.DefaultPIDFile()
	if got := service.Elsewhere(own, system); !strings.Contains(got, "the system's daemon runs as process ") || !strings.Contains(got, "use sudo, or --pid-file="+system) {
		t.Errorf("while the system's daemon runs: %q", got)
	}
	for _, pidFile := range []string{system, own + ".other"} { // it is that one, or another was named
		if got := service.Elsewhere(pidFile, system); got != "" {
			t.Errorf("%s: %q", pidFile, got)
		}
	}
	p.must("stop")
	if got := service.Elsewhere(own, system); got != "" {
		t.Errorf("while no daemon runs: %q", got)
	}
}
