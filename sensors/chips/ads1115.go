package chips

import (
	"slices"
	"strconv"
	"time"

	"example.org/dormouse/sensors"
)

// Sections are those of the ADS1115's data sheet; the ADS1015's registers are
// the same but for its rates.
var ads1115 = family{
	name:         "ads1115",
	summary:      "TI ADS1115 (16 bits) or ADS1015 (12 bits): voltages at four inputs or between them, up to ±6.144 V and the supply (±0.15 %)",
	datasheet:    "TI SBAS444E (ADS1115), TI SBAS473E (ADS1015)",
	wiring:       "I2C; ADDR to ground is 0x48, to the supply 0x49, to SDA 0x4a, to SCL 0x4b; no input may exceed the supply by more than 0.3 V; where no channel is named, a0 to a3 are read",
	timing:       "9 ms for each channel at 128 samples per second; the chip is powered down in between",
	unverifiable: "a conversion that another program begins in the half millisecond between the look at the chip and our start is taken for ours",
	addresses:    []string{"0x48", "0x49", "0x4a", "0x4b"}, // section 7.5.1.1
	modelHelp:    "the chip: they can't be distinguished from outside",
	aliases:      map[string]string{"ads1015": "ads1015"},
	models: []chip{
		ads1115Chip("ads1115", "ADS1115", nil, 1, "8", "16", "32", "64", "128", "250", "475", "860"),
		ads1115Chip("ads1015", "ADS1015", []test{{mask: 0x000f, says: "it has more than 12 bits: the chip looks like an ADS1115 (some are sold as ADS1015): give model=ads1115"}}, 16,
			"128", "250", "490", "920", "1600", "2400", "3300"),
	},
}

func init() { ads1115.register() }

// ads1115Chip is one of the two; step is the conversion's smallest.
func ads1115Chip(name, part string, must []test, step_ int64, rates ...string) chip {
	rate := setting{name: "rate", unset: "128", help: "samples per second: fewer are less noisy and take longer"}
	for i, r := range rates { // by the code of DR, section 8.1.3
		n, err := strconv.Atoi(r)
		if err != nil {
			panic(err)
		}
		// The oscillator is within ±10 %: section 5.5, data rate variation.
		rate.values = append(rate.values, value{name: r, bits: uint64(i) << 5, time: time.Second * 11 / 10 / time.Duration(n)})
	}
	return chip{
		name: name, part: part,
		settings: []setting{ads1115Gain, rate},
		channels: ads1115Inputs,
		// The comparator's limits are 0x8000 and 0x7FFF after power-up: a chip
		// without an ID has nothing else.
		prepare: []step{
			{write: hex{2}, status: 2, must: []test{{is: 0x4b00, not: true, says: "the chip looks like a TMP102 or LM75"}}},
			// What another program has begun ends here: the slowest takes 138 ms.
			{write: hex{1, 0x05, 0x83}},
			{write: hex{1}, status: 2, until: &until{mask: 0x8100, is: 0x8100, within: 150 * time.Millisecond, every: 5 * time.Millisecond}},
		},
		measure: []step{
			// One that another program has left converting for ever wouldn't hear of
			// a start.
			{write: hex{1}, status: 2, must: []test{{mask: 0x8100, is: 0x8100, reason: sensors.Busy, says: "the chip is converting for another program"}}},
			// Begin one conversion, then power down: section 8.1.3. What it reads when it
			// has ended is what was written. The comparator stays off; that it would latch
			// makes each choice of the settings another than that after a reset.
			{set: hex{1, 0x81, 0x07}, with: []string{"channel", "gain", "rate"}},
			{write: hex{1}, status: 2, during: []string{"rate"}, begun: true, must: []test{{mask: 0x8000, says: "no conversion was begun"}}},
			{wait: 25 * time.Microsecond, times: []string{"rate"}}, // section 7.4.2.1
			// One that is too short to be seen is begun twice: where one start isn't heard
			// the result is the other's, and not that of the last time.
			{write: hex{1, 0x81, 0x07}, with: []string{"channel", "gain", "rate"}, unseen: []string{"rate"}},
			{wait: 25 * time.Microsecond, times: []string{"rate"}, unseen: []string{"rate"}},
			{write: hex{1}, status: 2, until: &until{mask: 0x8000, is: 0x8000, within: 20 * time.Millisecond, every: 2 * time.Millisecond}},
			{write: hex{0}, result: 2, must: must},
		},
		fields: []field{{
			quantity: sensors.Voltage.Within(-6.144, 6.144).With("channel"), kind: "be:s16/16>>0", scale: 1.0 / 32768, by: []string{"gain"},
			low: -0x8000, high: 0x8000 - step_, says: "the voltage is beyond ±{gain}",
		}},
	}
}

var (
	// ads1115Gain is by the code of PGA: section 8.1.3.
	ads1115Gain = setting{
		name: "gain", unset: "4.096V", channel: true,
		help: "full scale: the smallest range that includes the largest voltage gives the finest steps, 1/32768 of it (ADS1015 1/2048)",
		values: []value{
			{name: "6.144V", bits: 0 << 9, scale: 6.144, advice: "divide it down"},
			{name: "4.096V", bits: 1 << 9, scale: 4.096, advice: wider},
			{name: "2.048V", bits: 2 << 9, scale: 2.048, advice: wider},
			{name: "1.024V", bits: 3 << 9, scale: 1.024, advice: wider},
			{name: "0.512V", bits: 4 << 9, scale: 0.512, advice: wider},
			{name: "0.256V", bits: 5 << 9, scale: 0.256, advice: wider},
		},
	}

	// ads1115Inputs are by the code of MUX. Where none is named, the four single
	// ones are measured.
	ads1115Inputs = slices.Concat(
		[]channel{{name: "a0", bits: 4 << 12}, {name: "a1", bits: 5 << 12}, {name: "a2", bits: 6 << 12}, {name: "a3", bits: 7 << 12}},
		[]channel{{name: "a0-a1", bits: 0 << 12, extra: true}, {name: "a0-a3", bits: 1 << 12, extra: true}, {name: "a1-a3", bits: 2 << 12, extra: true}, {name: "a2-a3", bits: 3 << 12, extra: true}},
	)
)

const wider = "give it a wider gain"
