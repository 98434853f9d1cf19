package daemon

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

func TestStartIsReady(t *testing.T) {
	h := newHelper(t)
	h.plan.Handover = []byte("read early")
	out, code := h.start()
	pid := h.ready(out, code)
	if !strings.Contains(out, "warning: a warning from the daemon") {
		t.Errorf("the daemon's warning didn't reach the terminal:\n%s", out)
	}
	if got, err := os.ReadFile(h.pidFile); err != nil || strings.TrimSpace(string(got)) != strconv.Itoa(pid) {
		t.Errorf("pidfile holds %q (%v), want %d", got, err, pid)
	}
	d := h.describe()
	if d.Handover != "read early" {
		t.Errorf("handed over %q", d.Handover)
	}
	for _, p := range d.Inspection.Points {
		if p.Verdict == Fail {
			t.Errorf("%s: %v", p.Name, p.Evidence)
		}
	}
	h.stop()
	if _, err := os.Lstat(h.pidFile); !os.IsNotExist(err) {
		t.Errorf("the pidfile is left: %v", err)
	}
}
