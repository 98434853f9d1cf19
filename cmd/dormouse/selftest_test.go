package main

import (
	"net"
	"os"
	"regexp"
	"strings"
	"testing"
)

// The report has each part, and nothing that says whose machine it is.
func TestSelftest(t *testing.T) {
	p := newPlace(t)
	stdout, stderr, code := p.run("selftest", "--board=sim", "--asleep=200ms", "--sensor=moms-bedroom=bme280,addr=0x76",
		"--sensor=attic=bme280,addr=0x77", "--sensor=backup=command,argv=/bin/false")
	if code != 1 {
		t.Errorf("exit status %d with a sensor that is down\n%s", code, stderr)
	}
	for _, want := range []string{
		`(?m)^This machine$`, `  kernel +\S+`, `  MemTotal +\d+ kB`, `  I2C bus 1 +0x44: could be sht4x`, `  1-Wire +devices: 1`,
		`  first read, sensor 1 \(bme280\) +3 readings in `, `  second read, sensor 2 \(bme280\) +down \(no_answer\): .*check the wiring`,
		`  20 waits of 50ms +late by `, `  wake-ups for them +\d+`, `  wake-ups in 200ms +\d+`, `  memory resident +\d+ kB`,
	} {
		if !regexp.MustCompile(want).MatchString(stdout) {
			t.Errorf("no %s in\n%s", want, stdout)
		}
	}
	private := []string{p.dir, "moms-bedroom", "attic", "backup", "0316a2795f7e"}
	if host, err := os.Hostname(); err == nil && len(host) > 2 {
		private = append(private, host)
	}
	if id, err := os.ReadFile("/etc/machine-id"); err == nil && len(id) > 8 {
		private = append(private, string(id[:8]))
	}
	if interfaces, err := net.Interfaces(); err == nil {
		for _, i := range interfaces {
			if len(i.HardwareAddr) > 0 && i.Flags&net.FlagLoopback == 0 {
				private = append(private, i.HardwareAddr.String())
			}
		}
	}
	for _, word := range private {
		if strings.Contains(stdout, word) {
			t.Errorf("the report says %q:\n%s", word, stdout)
		}
	}
	if out, _, code := p.run("selftest", "--board=sim", "--asleep=10ms"); code != 0 || !strings.Contains(out, "not read") {
		t.Errorf("without sensors: exit status %d\n%s", code, out)
	}
	if _, stderr, code := p.run("selftest", "--board=sim", "--asleep=-1s"); code != exitUsage || !strings.Contains(stderr, `--asleep=-1s: "-1s" is outside 0s`) {
		t.Errorf("%d, %s", code, stderr)
	}
	if _, stderr, code := p.run("selftest", "--board=sim", "--sensor=a=bme281"); code != 2 && code != 6 || !strings.Contains(stderr, "bme281") {
		t.Errorf("with a wrong sensor: exit status %d\n%s", code, stderr)
	}
}
