package web

import "testing"

func TestReachable(t *testing.T) {
	for address, want := range map[string]string{
		":9367": "localhost:9367", "0.0.0.0:1": "localhost:1", "[::]:2": "localhost:2",
		"127.0.0.1:3": "127.0.0.1:3", "[::1]:4": "[::1]:4", "pi.lan:5": "pi.lan:5",
	} {
		if got := Reachable(address); got != want {
			t.Errorf("Reachable(%q) = %q, want %q", address, got, want)
		}
	}
}
