package main

import (
	"strings"
	"testing"
)

func TestPinoutCommand(t *testing.T) {
	p := newPlace(t)
	text := p.must("pinout", "--board=sim", "--sensor=door=switch,pin=GPIO27")
	if !strings.Contains(text, "door  GPIO27 ● 13") || strings.Contains(text, "\x1b") {
		t.Errorf("pinout draws\n%s", text)
	}
	stdout, stderr, code := p.run("pinout", "--board=sim", "--sensor=door=switch,pin=GPIO27", "--sensor=gate=switch,pin=27")
	if code != 6 || !strings.Contains(stdout, "door / gate  GPIO27 ! 13") || !strings.Contains(stderr, "taken by sensor door") {
		t.Errorf("of a wrong configuration, exit status %d:\n%s%s", code, stdout, stderr)
	}
	if _, stderr, code := p.run("pinout", "--config.file=missing.yml"); code != 6 || !strings.Contains(stderr, "missing.yml") {
		t.Errorf("of a file that isn't there, exit status %d:\n%s", code, stderr)
	}
}
