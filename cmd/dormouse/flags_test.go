package main

import (
	"strings"
	"testing"
)

func TestOctal(t *testing.T) {
	var o octal
	if err := o.Set("027"); err != nil || o != 0o27 || o.String() != "027" {
		t.Errorf("027 became %v, %v", o, err)
	}
	for _, wrong := range []string{"", "8", "1777", "-1", "rw"} {
		if err := o.Set(wrong); err == nil || !strings.Contains(err.Error(), "022") {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}

func TestReachable(t *testing.T) {
	for address, want := range map[string]string{
		":9367": "localhost:9367", "0.0.0.0:1": "localhost:1", "[::]:2": "localhost:2",
		"127.0.0.1:3": "127.0.0.1:3", "[::1]:4": "[::1]:4", "pi.lan:5": "pi.lan:5",
	} {
		if got := reachable(address); got != want {
			t.Errorf("reachable(%q) = %q, want %q", address, got, want)
		}
	}
}
