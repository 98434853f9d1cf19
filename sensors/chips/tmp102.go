package chips

import (
	"time"

	"example.org/dormouse/sensors"
)

// lm75Addresses are those of the whole family; a TMP102 has the first four.
var lm75Addresses = []string{"0x48", "0x49", "0x4a", "0x4b", "0x4c", "0x4d", "0x4e", "0x4f"}

const notTMP102 = "a TMP102 has another configuration register: give model=tmp75 if the chip is a TMP75, TMP175 or TMP275, model=lm75 or model=lm75b if it is an LM75"

// Registers are the LM75's: 0 temperature, 1 configuration, 2 the lower and 3
// the upper limit. TMP102 data sheet, section 7.5.
var lm75 = family{
	name:      "tmp102",
	summary:   "TI TMP102, and the LM75 family: temperature -40 to 125 °C (±2 °C from -25 to 85 °C)",
	datasheet: "TI SBOS397H (TMP102); TI SBOS288 (TMP75, TMP175, TMP275); TI SNOS808, SNIS153 (LM75); NXP LM75B, PCT2075",
	wiring:    "I2C at 3.3 V; ADD0 of a TMP102 to ground is 0x48, to the supply 0x49, to SDA 0x4a, to SCL 0x4b; A2 to A0 of the others add to 0x48",
	timing:    "TMP102 35 ms, the others 300 ms: one conversion, then the chip is shut down",
	addresses: lm75Addresses,
	modelHelp: "which of the family: none has an ID. tmp75 is also TMP175 and TMP275; lm75 is any with 9 bits or more, LM75A and DS75 too; lm75b is NXP's, with 11 bits, as the PCT2075",
	aliases:   map[string]string{"tmp75": "tmp75", "tmp175": "tmp75", "tmp275": "tmp75", "lm75": "lm75", "lm75a": "lm75", "ds75": "lm75", "lm75b": "lm75b", "pct2075": "lm75b"},
	models: []chip{
		{
			name: "tmp102", part: "TMP102", addresses: lm75Addresses[:4],
			prepare: lm75Limits,
			measure: []step{
				// One shot out of shutdown, 12 bits, 4 Hz, not the extended mode:
				// section 7.5.3. AL says what the alert pin would.
				{set: hex{1, 0xe1, 0xa0}, mask: 0xffdf},
				// The one-shot bit reads 0 during the conversion, and then 1.
				// The others have one byte there, which is repeated or followed by 0xff.
				{write: hex{1}, status: 2, begun: true, must: []test{
					{mask: 0x000f, says: notTMP102},
					// The second byte went into the one register, too.
					{mask: 0x7f00, is: 0x2000, not: true, says: notTMP102},
					{mask: 0x8000, says: "no conversion was begun"},
				}},
				{wait: 35 * time.Millisecond}, // section 6.5
				{write: hex{1}, status: 2, until: &until{mask: 0x8000, is: 0x8000, within: 35 * time.Millisecond, every: 5 * time.Millisecond}},
				{write: hex{0}, result: 2, must: lm75Bits(12)},
			},
			fields: lm75Field("be:s12/16>>4", 0.0625), // section 7.5.2
		},
		// The one-shot bit of a TMP75 shows nothing of what it began: SBOS288.
		lm75Awake("tmp75", "TMP75", 0x60, lm75Field("be:s12/16>>4", 0.0625), lm75Bits(12)),
		// The bits below an LM75's nine are undefined: SNOS808.
		lm75Awake("lm75", "LM75", 0, lm75Field("be:s9/16>>7", 0.5), nil),
		lm75Awake("lm75b", "LM75B", 0, lm75Field("be:s11/16>>5", 0.125), lm75Bits(11)),
	},
}

func init() { lm75.register() }

// lm75Awake is a chip that converts for ever while it is awake, each time in
// at most 300 ms. Its fault queue isn't that of power-up, so that a reset shows.
func lm75Awake(name, part string, resolution byte, fields []field, must []test) chip {
	const queue, shutdown = 1 << 3, 1 << 0
	return chip{
		name: name, part: part,
		prepare: lm75Limits,
		measure: []step{{set: hex{1, resolution | queue}}, {wait: 300 * time.Millisecond}, {write: hex{0}, result: 2, must: must}},
		sleep:   []step{{set: hex{1, resolution | queue | shutdown}}},
		fields:  fields,
	}
}

func lm75Field(kind string, scale float64) []field {
	return []field{{quantity: sensors.Temperature.Within(-55, 128), kind: kind, scale: scale}}
}

// lm75Limits look at the limits, the only registers by which a stranger shows:
// their lowest bits are 0 even at the 13 bits of the extended mode.
var lm75Limits = []step{
	{write: hex{2}, status: 2, must: []test{
		{is: 0x8000, not: true, says: "the chip looks like an ADS1115 or ADS1015"},
		{mask: 0x0007, says: "no chip of this family can have that as a limit: check the address"},
	}},
	{write: hex{3}, status: 2, must: []test{{mask: 0x0007, says: "no chip of this family can have that as a limit: check the address"}}},
}

// lm75Bits refuses a temperature of more bits.
func lm75Bits(bits int) []test {
	return []test{{mask: 1<<(16-bits) - 1, says: "it has more bits than this model: check model and address"}}
}
