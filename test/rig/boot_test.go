//go:build system

package rig

import (
	"testing"
	"time"
)

func TestBoot(t *testing.T) {
	start := time.Now()
	m := Start(t, Options{})
	t.Logf("kernel %s served %s after its start, %s on the host", m.Release, m.BootTime, time.Since(start))
	e, err := m.Exec(t.Context(), "sh", "-c", "echo $((6*7)); id; exit 3")
	if err != nil || e.Status != 3 {
		t.Fatalf("%v %+v", err, e)
	}
	t.Logf("%s", e.Stdout)
}
