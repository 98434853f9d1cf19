package web

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
)

// collections is how often a collection was asked for by the program.
func collections() uint64 {
	s := []metrics.Sample{{Name: "/gc/cycles/forced:gc-cycles"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// forcedOnly keeps the runtime from collecting by itself.
func forcedOnly(t *testing.T) {
	percent := debug.SetGCPercent(-1)
	t.Cleanup(func() { debug.SetGCPercent(percent) })
}

var kept []byte // what is kept here is allocated on the heap

func TestTidy(t *testing.T) {
	forcedOnly(t)
	var tidy tidier
	tidy.tidy() // collects what the test binary has allocated so far
	tests := []struct {
		name     string
		pieces   int // of 16 kB, all but the last of them garbage
		lock     bool
		expected uint64
	}{
		{"little garbage", 4, false, 0},
		{"enough, and somebody is at it", 40, true, 0},
		{"enough", 4, false, 1},
		{"none since", 0, false, 0},
	}
	for _, tt := range tests {
		before := collections()
		for range tt.pieces {
			kept = make([]byte, 16<<10)
		}
		if tt.lock {
			tidy.mu.Lock()
		}
		tidy.tidy()
		if tt.lock {
			tidy.mu.Unlock()
		}
		if got := collections() - before; got != tt.expected {
			t.Errorf("%s: %d collections, want %d", tt.name, got, tt.expected)
		}
	}
}

// With much in use, as much garbage as GOGC=25 allows is left.
func TestTidyALargeHeap(t *testing.T) {
	forcedOnly(t)
	large := make([]byte, 32<<20)
	var tidy tidier
	tidy.tidy()
	before := collections()
	for range 4 << 20 >> 14 {
		kept = make([]byte, 16<<10)
	}
	tidy.tidy()
	if got := collections() - before; got != 0 {
		t.Errorf("%d collections for 4 MB beside %d MB in use, want none", got, len(large)>>20)
	}
	for range 8 << 20 >> 14 {
		kept = make([]byte, 16<<10)
	}
	tidy.tidy()
	if got := collections() - before; got != 1 {
		t.Errorf("%d collections for 12 MB beside %d MB in use, want 1", got, len(large)>>20)
	}
	runtime.KeepAlive(large)
}

// A server tidies up when an answer is on its way: when its connection falls
// idle, or is closed.
func TestServerTidies(t *testing.T) {
	forcedOnly(t)
	for state, want := range map[http.ConnState]uint64{
		http.StateNew: 0, http.StateActive: 0, http.StateIdle: 1, http.StateClosed: 1,
	} {
		s := New(http.NotFoundHandler(), nil, slog.New(slog.DiscardHandler))
		ours, theirs := net.Pipe()
		before := collections()
		s.track(ours, state)
		if got := collections() - before; got != want {
			t.Errorf("%s: %d collections, want %d", state, got, want)
		}
		if err := errors.Join(ours.Close(), theirs.Close()); err != nil {
			t.Error(err)
		}
	}
}
