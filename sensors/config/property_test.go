package config

import (
	"fmt"
	"math/rand"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A draft is a sensor that is yet to be written down: keys with dots, and
// values that may be lists.
type draft struct {
	name, driver string
	keys         []string
	values       map[string]any // string, []string or [][2]string
}

func (d *draft) set(key string, value any) {
	if _, ok := d.values[key]; !ok {
		d.keys = append(d.keys, key)
		d.values[key] = value
	}
}

// randomDraft makes sensor number i; its wires are its own.
func randomDraft(r *rand.Rand, i int) *draft {
	pick := func(words ...string) string { return words[r.Intn(len(words))] }
	maybe := func() bool { return r.Intn(3) == 0 }
	text := func() string {
		return pick("plain", "two words", "com,ma", `qu"ote`, `back\slash`, "it's", "a: b", "# no comment", "017", "yes", "null", "*", "&x", "!t", "{a}", "[b]", "@", "ü", "-", "a=b", " blank ", "~")
	}
	d := &draft{name: fmt.Sprintf("s%d", i), values: map[string]any{}}
	d.driver = pick("bme280", "tmp102", "ads1115", "switch", "pulse", "command", "thermal", "hwmon", "particles")
	processing := func(prefix string) {
		if maybe() {
			d.set(prefix+"calibrate.offset", pick("1", "-0.8", "1e-3"))
		}
		if maybe() {
			d.set(prefix+"calibrate.scale", pick("2", "0.5"))
		}
		if maybe() {
			d.set(prefix+"calibrate.points", [][2]string{{"0", "1"}, {"2.5", "-3"}, {"7", "1e2"}}[:2+r.Intn(2)])
			if maybe() {
				d.set(prefix+"calibrate.beyond", pick("extrapolate", "clamp", "error"))
			}
		}
		if maybe() {
			d.set(prefix+"drop", pick("-20:50", "0:", ":3"))
			d.set(prefix+"clamp", pick("-20:50", "0:", ":3"))
		}
	}
	filter := func(prefix string) {
		if maybe() {
			d.set(prefix+"filter.median", pick("1", "3", "5"))
		}
		if maybe() {
			d.set(prefix+"filter.average", pick("1", "2", "99"))
		}
	}
	switch d.driver {
	case "bme280", "tmp102", "ads1115":
		d.set("bus", fmt.Sprint(10+i))
		if maybe() {
			d.set("addr", map[string]string{"bme280": "0x77", "tmp102": "0x49", "ads1115": "0x48"}[d.driver])
		}
	case "switch", "pulse":
		d.set("pin", fmt.Sprintf("gpiochip%d:0%d", i, r.Intn(8)))
		if maybe() {
			d.set("pull", pick("up", "down", "off"))
		}
	}
	switch d.driver {
	case "bme280":
		processing("humidity.")
		filter("temperature.")
		filter("")
	case "tmp102", "thermal":
		processing("")
		filter("")
		if d.driver == "thermal" && maybe() {
			d.set("zone", text())
		}
	case "ads1115":
		for _, c := range []string{"a0", "a1", "a0-a1"} {
			if maybe() {
				processing(c + ".")
				filter(c + ".")
				d.set(c+".gain", pick("4.096V", "2.048V"))
				d.set(c+".name", "input "+c+text())
			}
		}
	case "pulse":
		if maybe() {
			d.set("quantity", "energy")
			d.set("per-pulse", "1Wh")
		}
	case "command":
		argv := []string{"/bin/echo"}
		for range r.Intn(4) {
			argv = append(argv, text())
		}
		d.set("argv", argv)
		for _, k := range []string{"A", "B.C"} {
			if maybe() {
				d.set("env."+k, text())
			}
		}
	case "hwmon":
		d.set("path", "/sys/class/x")
		processing("temp1.")
	case "particles":
		d.set("sleep", pick("yes", "no", "on", "off"))
	}
	if maybe() {
		d.set("every", pick("1s", "90s", "1d12h"))
	} else if maybe() {
		d.set("at", pick("30 3 * * *", "*/5 * * * *", "0,30 6-20 * * 1-5"))
	}
	if maybe() {
		d.set("jitter", pick("0s", "999ms"))
	}
	if maybe() {
		d.set("power", fmt.Sprintf("gpiochip%d:50", i%4))
		d.set("warmup", "50ms")
	}
	for _, k := range []string{"room", "floor"} {
		if maybe() {
			d.set("label."+k, text())
		}
	}
	r.Shuffle(len(d.keys), func(i, j int) { d.keys[i], d.keys[j] = d.keys[j], d.keys[i] })
	return d
}

// flag writes the draft as a flag.
func (d *draft) flag(r *rand.Rand) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s=%s", d.name, d.driver)
	for _, k := range d.keys {
		var text string
		switch v := d.values[k].(type) {
		case string:
			text = v
		case []string:
			for i, w := range v {
				v[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
			}
			text = strings.Join(v, " ")
			for i, w := range v { // as it was, for the file
				v[i] = strings.ReplaceAll(w[1:len(w)-1], `'\''`, "'")
			}
		case [][2]string:
			for _, p := range v {
				text += " " + p[0] + ":" + p[1]
			}
		}
		if r.Intn(2) == 0 || strings.ContainsAny(text, `,"`) || strings.TrimSpace(text) != text {
			text = `"` + strings.NewReplacer(`"`, `\"`, `\`, `\\`).Replace(text) + `"`
		}
		if short, ok := strings.CutPrefix(k[strings.Index(k, ".")+1:], "calibrate."); ok && r.Intn(2) == 0 {
			k = k[:strings.Index(k, ".")+1] + short
		}
		fmt.Fprintf(&b, ",%s=%s", k, text)
	}
	return b.String()
}

// tree nests the dotted keys as a file does.
type tree struct {
	keys []string
	subs map[string]*tree
	leaf any
}

func (t *tree) at(path ...string) *tree {
	for _, p := range path {
		if t.subs == nil {
			t.subs = map[string]*tree{}
		}
		if t.subs[p] == nil {
			t.subs[p] = &tree{}
			t.keys = append(t.keys, p)
		}
		t = t.subs[p]
	}
	return t
}

func quoted(s string) string {
	return `"` + strings.NewReplacer(`"`, `\"`, `\`, `\\`).Replace(s) + `"`
}

func (t *tree) flow(b *strings.Builder) {
	switch v := t.leaf.(type) {
	case string:
		b.WriteString(quoted(v))
	case []string:
		for i, w := range v {
			b.WriteString(map[bool]string{true: "[", false: ", "}[i == 0] + quoted(w))
		}
		b.WriteString("]")
	case [][2]string:
		for i, p := range v {
			fmt.Fprintf(b, "%s[%s, %s]", map[bool]string{true: "[", false: ", "}[i == 0], p[0], p[1])
		}
		b.WriteString("]")
	default:
		b.WriteString("{")
		for i, k := range t.keys {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(k + ": ")
			t.subs[k].flow(b)
		}
		b.WriteString("}")
	}
}

// yaml writes the draft as an item of the file's list.
func (d *draft) yaml() string {
	t := &tree{}
	t.at("name").leaf = d.name
	t.at("driver").leaf = d.driver
	for _, k := range d.keys {
		path := strings.Split(k, ".")
		switch {
		case path[0] == "label":
			path[0] = "labels"
		case path[0] == "env":
			path = []string{"env", strings.TrimPrefix(k, "env.")}
		case len(path) > 1 && path[0] != "calibrate" && path[0] != "filter":
			path = append([]string{"channels"}, path...)
		}
		t.at(path...).leaf = d.values[k]
	}
	var b strings.Builder
	t.flow(&b)
	return "- " + b.String() + "\n"
}

// Whatever is configured, flags and file mean the same.
func TestFlagsAndFileMeanTheSame(t *testing.T) {
	seed := int64(2026)
	for round := range 300 {
		r := rand.New(rand.NewSource(seed + int64(round)))
		var flagTexts []string
		yamlText := "sensors:\n"
		for i := range 1 + r.Intn(5) {
			d := randomDraft(r, i)
			flagTexts = append(flagTexts, d.flag(r))
			yamlText += d.yaml()
		}
		fromFlags, err := Load(Source{SensorFlags: flagTexts, MachineID: machineID})
		if err != nil {
			t.Fatalf("round %d: flags %q:\n%v", round, flagTexts, err)
		}
		fromFile, err := Load(Source{File: "f.yml", Data: []byte(yamlText), MachineID: machineID})
		if err != nil {
			t.Fatalf("round %d: %v\n%s", round, err, yamlText)
		}
		if diff := cmp.Diff(fromFlags, fromFile, same); diff != "" {
			t.Fatalf("round %d: flags (-) %q and file (+) differ:\n%s\n%s", round, flagTexts, yamlText, diff)
		}
	}
}
