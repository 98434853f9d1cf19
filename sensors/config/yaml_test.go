package config

import (
	"strings"
	"testing"
)

// What isn't YAML, or means something else to YAML than was written, is told
// with its line and with what to do.
func TestYAMLErrors(t *testing.T) {
	head := "defaults: {every: 1m}\nsensors:\n"
	for _, tt := range []struct{ name, text, want string }{
		{"cron with a step", head + "  - name: x\n    driver: thermal\n    at: */5 * * * *\n", `f.yml:5: is not YAML: a value that begins with * is a YAML alias: put it in double quotes`},
		{"cron in braces", head + "  - {name: x, driver: thermal, at: */5 * * * *}\n", `f.yml:3: is not YAML: a value that begins with * is a YAML alias`},
		{"cron with stars only", head + "  - name: x\n    at: * * * * *\n", `f.yml:4: is not YAML: a value that begins with *`},
		{"alias to nothing", head + "  - name: x\n    driver: *thermal\n", `f.yml:4: is not YAML: a value that begins with *`},
		{"cron with a comma in braces", head + "  - {name: x, driver: thermal, at: 0,30 * * * *}\n", `f.yml:3: sensor x: 30 * * * *: has no value and is not a known key`},
		{"at sign", head + "  - name: x\n    at: @daily\n", `f.yml:4: is not YAML: found character that cannot start any token: a value that begins with @, % or`},
		{"tab", head + "\t- name: x\n", `f.yml:3: is not YAML: the line is indented with a tab: use spaces`},
		{"later tab", head + "  - name: x\n\tdriver: y\n", `f.yml:4: is not YAML: the line is indented with a tab`},
		{"colon in a value", head + "  - name: x\n    labels: a: b\n", `f.yml:4: is not YAML: mapping values are not allowed in this context: put a value that contains a colon`},
		{"colon in the first line", "a: b: c\n", `f.yml:1: is not YAML: mapping values`},
		{"open brace", head + "  - {name: x, driver: y\n  - {name: z}\n", `f.yml:3: is not YAML: did not find expected ',' or '}': close what { or [ opens`},
		{"open bracket", head + "  - name: x\n    argv: [a, b\n    user: c\n", `f.yml:4: is not YAML: did not find expected ',' or ']'`},
		{"open quote", head + "  - name: \"x\n", `f.yml:3: is not YAML: found unexpected end of stream: a quote is not closed`},
		{"no colon", head + "  - name: x\n    driver\n    user: c\n", `f.yml:4: is not YAML: could not find expected ':': write KEY: VALUE`},
		{"version", "%YAML 1.2\n---\n" + head, `f.yml:1: is not YAML: found incompatible YAML document: only %YAML 1.1 is read, which needs no such line: remove it`},
		{"no labels", head + "  - name: x\n    driver: thermal\n    labels: {}\n", `f.yml:5: sensor x: labels: needs the label's name`},
		{"no labels but a comment", head + "  - name: x\n    driver: thermal\n    labels:\n      # room: y\n", `f.yml:5: sensor x: labels: needs the label's name`},
		{"no labels in defaults", "defaults:\n  labels: {}\nsensors: []\n", `f.yml:2: defaults: labels: needs the label's name`},
		{"indentation", head + "  - a\n b: c\n", `f.yml:4: is not YAML: did not find expected key: look at the indentation`},
		{"only a brace", "{", `f.yml:1: is not YAML: did not find expected node content`},
		{"UTF-16", "\xff\xfes\x00e\x00n\x00", `f.yml:1: is UTF-16 text, or no text at all: save it as UTF-8`},
		{"UTF-16, most significant byte first", "\xfe\xff\x00s\x00e\x00n", `f.yml:1: is UTF-16 text`},
		{"no text", "\x7fELF\x01\x00", `f.yml:1: is UTF-16 text, or no text at all`},
		{"Latin-1", head + "  - name: t\xfcr\n", `f.yml:3: is not YAML:`},
		{"two documents", head + "  - {name: x, driver: thermal}\n---\nsensors: []\n", `f.yml:4: a second document begins here`},
		{"a broken second document", head + "  - {name: x, driver: thermal}\n---\na: b: c\n", `f.yml:5: is not YAML`},
		{"alias", "defaults: &d {every: 1m}\nsensors: *d\n", `f.yml:1: defaults: &d is a YAML anchor`},
		{"alias of a value", head + "  - {name: x, driver: &a thermal}\n  - {name: y, driver: *a}\n", `f.yml:4: sensor y: driver: *a is a YAML alias, which is not supported: write the value out`},
		{"alias of itself", "sensors: &x [*x]\n", `f.yml:1: sensors: &x is a YAML anchor`},
		{"merge key", head + "  - {<<: {a: 1}, name: x, driver: thermal}\n", `f.yml:3: sensor x: <<: merge keys are not supported`},
		{"tag", head + "  - {name: x, driver: !!str thermal}\n", `f.yml:3: sensor x: driver: !!str is a YAML tag`},
		{"own tag in a list", head + "  - {name: x, driver: command, argv: [!foo a]}\n", `f.yml:3: sensor x: argv: !foo is a YAML tag`},
		{"duplicate key", head + "  - {name: x, driver: thermal, zone: a, zone: a}\n", `f.yml:3: sensor x: zone: is given twice, first in line 3`},
		{"duplicate top key", "sensors: []\nsensors: []\n", `f.yml:2: sensors: is given twice, first in line 1`},
		{"two spellings of one key", head + "  - {name: x, driver: thermal, labels: {a: 1}, label.a: 2}\n", `f.yml:3: sensor x: label.a: is given twice`},
		{"key that is a list", head + "  - {name: x, driver: thermal, [a]: b}\n", `a key is not a word`},
		{"list as one value", head + "  - {name: x, driver: thermal, zone: [a, b]}\n", `f.yml:3: sensor x: zone: takes one value, not a list`},
		{"list as a name", head + "  - {name: [x], driver: thermal}\n", `f.yml:3: sensor 1: name: takes one value, not a list`},
		{"mapping as one value", head + "  - {name: x, driver: thermal, zone: {a: b}}\n", `f.yml:3: sensor x: zone.a: zone takes one value, without .a`},
		{"list in a list", head + "  - {name: x, driver: command, argv: [[a]]}\n", `f.yml:3: sensor x: argv: takes a list of words, or of pairs`},
		{"mapping in a list", head + "  - {name: x, driver: command, argv: [{a: b}]}\n", `takes a list of words, or of pairs`},
		{"hole in a list", head + "  - {name: x, driver: command, argv: [a, ~]}\n", `argv: has an element without a value`},
		{"comment instead of a value", head + "  - name: x\n    driver: thermal\n    zone: #1\n", `f.yml:5: sensor x: zone: has no value: give one, or remove the key; put a value that begins with #`},
		{"zero byte", head + `  - {name: x, driver: thermal, zone: "a\0b"}`, `zone: contains a zero byte`},
		{"zero byte in a list", head + `  - {name: x, driver: command, argv: ["a\0b"]}`, `argv: contains a zero byte`},
		{"top is a list", "- a\n", `f.yml:1: the file is not a mapping of KEY: VALUE`},
		{"top is a word", "thermal\n", `f.yml:1: the file is not a mapping`},
		{"defaults is a word", "defaults: x\n", `f.yml:1: defaults: it is not a mapping`},
		{"sensors is a mapping", "sensors: {a: {driver: thermal}}\n", `f.yml:1: sensors: is a list, each sensor an item: - {name: …, driver: …}`},
		{"rails is a word", "rails: x\n", `f.yml:1: rails: is a list, each rail an item: - {name: …, line: …}`},
		{"unknown top key", "sensor: []\n", `f.yml:1: sensor: is not a key of the file: its keys are defaults, sensors, tasks, rails, stop-tasks (did you mean sensors?)`},
		{"nothing", "", `f.yml:1: no sensor is configured: give --sensor=NAME=DRIVER`},
		{"comments only", "# nothing\n", `f.yml:1: no sensor is configured`},
		{"three dashes", "---\n", `f.yml:1: no sensor is configured`},
	} {
		_, err := Load(Source{File: "f.yml", Data: []byte(tt.text)})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s:\n%s\nerror %v\nwant  %s", tt.name, tt.text, err, tt.want)
		}
	}
}

func TestNoSensorsWithoutAFile(t *testing.T) {
	_, err := Load(Source{})
	if err == nil || !strings.HasPrefix(err.Error(), "--sensor: no sensor is configured: give --sensor=NAME=DRIVER") {
		t.Errorf("error is %v", err)
	}
	_, err = Load(Source{RailFlags: []string{"vcc=GPIO4"}})
	if err == nil || !strings.Contains(err.Error(), "no sensor is configured") {
		t.Errorf("with a rail alone the error is %v", err)
	}
}

func TestEmptyFileWithFlags(t *testing.T) {
	c, err := Load(Source{File: "f.yml", Data: []byte("# all in flags\n"), SensorFlags: []string{"a=thermal"}})
	if err != nil || len(c.Sensors) != 1 {
		t.Errorf("Load = %v, %v", c, err)
	}
}

// TestAnEmptyList is a new installation's file; without the key sensors it is an
// error as before.
func TestAnEmptyList(t *testing.T) {
	for _, text := range []string{"sensors:\n", "sensors: []\n", "defaults: {every: 5m}\nsensors: []\n"} {
		cfg, err := Load(Source{File: "f.yml", Data: []byte(text)})
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if len(cfg.Sensors) != 0 || len(cfg.Warnings) != 1 || !strings.HasPrefix(cfg.Warnings[0].Error(), "f.yml:1: no sensor is configured") {
			t.Errorf("%q: %d sensors, warnings %v", text, len(cfg.Sensors), cfg.Warnings)
		}
	}
	for _, text := range []string{"", "defaults: {every: 5m}\n"} {
		if _, err := Load(Source{File: "f.yml", Data: []byte(text)}); err == nil || !strings.Contains(err.Error(), "no sensor is configured") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
