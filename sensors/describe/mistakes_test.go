package describe

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board/sim/chips"
	"example.org/dormouse/sensors/sensortest"
)

// A playback is how a description is read: with a modelled chip that takes as long
// as its data sheet allows, and measures something else an hour later.
type playback struct {
	file, model string
	contents    []map[string][2]float64
	options     []map[string]string
	channels    []string
	// coarse is the step of the coarsest value of a setting: what another default
	// changes.
	coarse float64
}

var playbacks = []playback{
	{file: "mcp9808.yml", model: "mcp9808", coarse: 0.5, options: []map[string]string{{}}, contents: []map[string][2]float64{
		{"temperature": {21.5, -24.25}}, {"temperature": {0.0625, 124}}, {"temperature": {-39, 0}}}},
	{file: "sht3x.yml", model: "sht3x", options: []map[string]string{{}, {"precision": "medium"}, {"precision": "low"}}, contents: []map[string][2]float64{
		{"temperature": {21.5, -24.25}, "humidity": {0.48, 0.61}}, {"temperature": {0.01, 124}, "humidity": {0, 1}}, {"temperature": {-39, 61}, "humidity": {0.99, 0.07}}}},
	{file: "ads1015.yml", model: "ads1015", coarse: 2 * 6.144 / 2048, channels: []string{"a0", "a1", "a2-a3"}, options: []map[string]string{{}, {"gain": "6.144V", "rate": "128"}, {"gain": "2.048V", "rate": "250"}, {"gain": "1.024V", "rate": "490"},
		{"gain": "0.512V", "rate": "920"}, {"gain": "0.256V", "rate": "1600", "a0.gain": "4.096V"}, {"rate": "2400"}, {"rate": "3300"}}, contents: []map[string][2]float64{
		{"voltage a0": {1.25, -0.3}, "voltage a1": {0.2, 0.05}, "voltage a2": {0.001, 0.3}, "voltage a3": {0.1, 0.2}},
		{"voltage a0": {5, 4.2}, "voltage a1": {0, 6.1}, "voltage a2": {3.3, -0.1}, "voltage a3": {-0.2, 0}}}},
}

// read is what a driver gives: the readings of two wakes by content and options;
// what fails is absent.
func (p playback) read(t *testing.T, d *sensors.Driver) map[string]float64 {
	all := map[string]float64{}
	for i, content := range p.contents {
		for j, options := range p.options {
			texts := map[string]string{"description": "/x"}
			maps.Copy(texts, options)
			if _, err := sensors.NewOptions(d, texts, p.channels...); err != nil {
				continue // it has no such setting any more: the configuration is refused
			}
			e := sensortest.New(t, d, texts, p.channels...)
			e.Bus = chips.NewDevice(p.model, e.Now, func(at sensors.Instant, what string) float64 {
				if at.Before(sensortest.Start.Add(time.Hour / 2)) {
					return content[what][0]
				}
				return content[what][1]
			})
			s, err := d.New(t.Context(), e)
			for wake := range 2 {
				if err == nil {
					var got []sensors.Reading
					if got, _, err = sensortest.Sense(t.Context(), t, d, s); err == nil {
						for _, r := range got {
							all[fmt.Sprint(i, j, wake, r.Quantity.MetricName(), r.Labels)] = r.Value
						}
					}
				}
				e.NextWake(time.Hour)
			}
		}
	}
	return all
}

// How many single mistakes are made in all descriptions together; fewer where
// faults are thinned, under the race detector and in an emulator.
const mostMistakes = 3000

// A single mistake in a description is refused, or fails, or changes no value.
// The examples stand as they are.
func TestSingleMistakes(t *testing.T) {
	random := rand.New(rand.NewPCG(14, 2))
	made := mostMistakes / sensortest.Thin(t)
	counts := map[string]int{}
	for _, p := range playbacks {
		text, examples, _ := strings.Cut(withoutComments(text(t, p.file)), "examples:\n")
		examples = "examples:\n" + examples
		d, err := Driver(p.file, []byte(text+examples))
		if err != nil {
			t.Fatal(err)
		}
		want := p.read(t, d)
		if len(want) < 6 {
			t.Fatalf("%s: only %v", p.file, want)
		}
		seen := map[string]bool{text: true}
		for range made / len(playbacks) {
			wrong, kind := text, ""
			for tries := 0; seen[wrong] && tries < 200; tries++ {
				wrong, kind = mistake(random, text)
			}
			seen[wrong] = true
			d, err := Driver(p.file, []byte(wrong+examples))
			if err != nil {
				counts["refused"]++
				continue
			}
			step := 1e-9
			if strings.Contains(difference(text, wrong), "default:") {
				step = p.coarse + 1e-9
			}
			got := p.read(t, d)
			outcome := "equal"
			for key, v := range got {
				if w, ok := want[key]; !ok || math.Abs(v-w) > step {
					t.Errorf("%s, %s: %s is %v and should be %v (%t):\n%s", p.file, kind, key, v, w, ok, difference(text, wrong))
					outcome = "wrong"
					break
				}
			}
			if outcome == "equal" && len(got) < len(want) {
				outcome = "fails"
			}
			counts[outcome]++
		}
	}
	t.Logf("%v", counts)
	if made < mostMistakes {
		return
	}
	document, err := os.ReadFile("../../docs/chips.md")
	if err != nil {
		t.Fatal(err)
	}
	told := fmt.Sprintf("%d,%03d are refused, with %d the read fails, and %d change nothing", counts["refused"]/1000, counts["refused"]%1000, counts["fails"], counts["equal"])
	if !strings.Contains(string(document), told) {
		t.Errorf("docs/chips.md doesn't say that of %d mistakes %s", mostMistakes, told)
	}
}

var comment = regexp.MustCompile(`(?m)^ *#.*\n| +#.*$`)

func withoutComments(text string) string { return comment.ReplaceAllString(text, "") }

// difference is the first line in which two texts differ, of both.
func difference(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return "- " + x[i] + "\n+ " + y[i]
		}
	}
	return fmt.Sprintf("%d lines and %d", len(x), len(y))
}

// prose are lines that no chip sees.
var prose = regexp.MustCompile(`^ *-? *(name: [A-Z]|summary|datasheet|wiring|timing|help|unverifiable|says)`)

var (
	digit = regexp.MustCompile(`[0-9a-f]`)
	value = regexp.MustCompile(`[-+]?\b(0x[0-9a-f]+|[0-9]+(\.[0-9]+)?)(ms|us|ns)?`)
	kinds = regexp.MustCompile(`(be|le):([su])(\d+)/(\d+)>>(\d+)`)
	pairs = regexp.MustCompile(`, [a-z-]+: ("[^"]*"|\[[^\]]*\]|\{[^}]*\}|[^,}]+)`)
	items = regexp.MustCompile(`\[([^\[\]]+)\]`)
	words = regexp.MustCompile(`\b(yes|no|temperature|humidity|voltage|pressure|gain|rate|channel|precision|high|low|medium|write|set|status|result|wait|with|times|during|bits|time|mask|is|not)\b`)
)

// mistake is the text with one mistake, as somebody makes who copies a data sheet.
func mistake(random *rand.Rand, text string) (wrong, kind string) {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	i := random.IntN(len(lines))
	for prose.MatchString(lines[i]) {
		i = random.IntN(len(lines))
	}
	change := func(find *regexp.Regexp, with func(old string) string) {
		if all := find.FindAllStringIndex(lines[i], -1); len(all) > 0 {
			at := all[random.IntN(len(all))]
			lines[i] = lines[i][:at[0]] + with(lines[i][at[0]:at[1]]) + lines[i][at[1]:]
		}
	}
	switch random.IntN(12) {
	case 0, 1, 2, 3:
		kind = "digit"
		change(value, func(old string) string {
			at := digit.FindAllStringIndex(old, -1)
			k := at[random.IntN(len(at))][0]
			digits := "0123456789"
			if strings.HasPrefix(strings.TrimLeft(old, "-+"), "0x") {
				digits += "abcdef"
			}
			return old[:k] + string(digits[random.IntN(len(digits))]) + old[k+1:]
		})
	case 4:
		kind = "sign, or a factor"
		change(value, func(old string) string {
			if random.IntN(2) == 0 {
				return strings.TrimPrefix("-"+old, "--")
			}
			return old + "0"
		})
	case 5, 6:
		kind = "type"
		change(kinds, func(old string) string {
			m := kinds.FindStringSubmatch(old)
			switch random.IntN(3) {
			case 0:
				m[1] = map[string]string{"be": "le", "le": "be"}[m[1]]
			case 1:
				m[2] = map[string]string{"s": "u", "u": "s"}[m[2]]
			default:
				k := 3 + random.IntN(3)
				m[k] = fmt.Sprint(random.IntN(33))
			}
			return fmt.Sprintf("%s:%s%s/%s>>%s", m[1], m[2], m[3], m[4], m[5])
		})
	case 7:
		kind = "key left out"
		change(pairs, func(string) string { return "" })
	case 8:
		kind = "two swapped"
		change(items, func(old string) string {
			parts := strings.Split(strings.Trim(old, "[]"), ", ")
			if len(parts) > 1 {
				k := random.IntN(len(parts) - 1)
				parts[k], parts[k+1] = parts[k+1], parts[k]
			}
			return "[" + strings.Join(parts, ", ") + "]"
		})
	case 9:
		kind = "line left out"
		lines = slices.Delete(lines, i, i+1)
	case 10:
		kind = "lines swapped, or one twice"
		if random.IntN(2) == 0 && i > 0 {
			lines[i-1], lines[i] = lines[i], lines[i-1]
		} else {
			lines = slices.Insert(lines, i, lines[i])
		}
	case 11:
		kind = "another word"
		change(words, func(old string) string {
			all := words.FindAllString(text, -1)
			return all[random.IntN(len(all))]
		})
	}
	return strings.Join(lines, "\n") + "\n", kind
}
