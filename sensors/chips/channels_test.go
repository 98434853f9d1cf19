package chips

import (
	"errors"
	"slices"
	"testing"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/sensortest"
)

// labelled is a field of two bytes in millivolts, of a channel.
func labelled(label string, at int) field {
	return field{quantity: sensors.Voltage.Within(0, 5).With("channel"), label: label, at: at, kind: "be:u16/16>>0", scale: 1e-3,
		low: -1, high: 0xffff, says: "the voltage is beyond the range"}
}

// pairChip has two channels in one read, a third in one of its own, and may have a
// quantity that is of the whole chip.
func pairChip(common ...field) *family {
	return &family{
		name: "pair", summary: "a chip of the test", datasheet: "none", addresses: []string{"0x10"},
		models: []chip{{
			measure: []step{{set: hex{1, 0x05}}, {write: hex{4}, result: 4}, {write: hex{8}, result: 2}},
			fields:  append([]field{labelled("left", 0), labelled("right", 2), labelled("third", 4)}, common...),
		}},
	}
}

// inputsChip measures each of its inputs by itself.
func inputsChip() *family {
	f := labelled("", 0)
	return &family{
		name: "inputs", summary: "a chip of the test", datasheet: "none", addresses: []string{"0x10"},
		models: []chip{{
			channels: []channel{{name: "left", bits: 4}, {name: "right", bits: 6}, {name: "third", bits: 8}},
			measure: []step{{set: hex{1, 0x05}}, {write: hex{0}, with: []string{"channel"}, result: 2,
				must: []test{{is: 0x1388, not: true, reason: sensors.OutOfRange, says: "the input is open"}}}},
			fields: []field{f},
		}},
	}
}

// What of one channel can't be takes those with it that are of the same frame, and
// no others; what the chip flags itself is of one channel alone.
func TestChannelsFailAlone(t *testing.T) {
	low := field{quantity: sensors.Temperature.Within(-40, 85), at: 5, kind: "be:u8/8>>0"} // the third's low byte
	for _, tc := range []struct {
		name               string
		family             *family
		left, right, third uint16
		good               []string
		failed             []string
		says               string // the sensor's error where none is good
	}{
		{"all well", pairChip(), 1000, 2000, 3000, []string{"left", "right", "third"}, nil, ""},
		{"one is implausible", pairChip(), 1000, 2000, 6000, []string{"left", "right"}, []string{"third"}, "channel third: voltage of 6.0000 V is outside"},
		{"one of a frame is implausible", pairChip(), 6000, 2000, 3000, nil, nil, "channel left: voltage of 6.0000 V is outside"},
		{"one of a frame is saturated", pairChip(), 0xffff, 2000, 3000, []string{"right", "third"}, []string{"left"}, "channel left: the voltage is beyond the range"},
		{"it shares its bytes with the chip's own", pairChip(low), 1000, 2000, 6144, nil, nil, "channel third: voltage of 6.1440 V is outside"},
		{"the chip's own is implausible", pairChip(low), 1000, 2000, 3000, nil, nil, "temperature of"},
		{"all are beyond", pairChip(), 0xffff, 0xffff, 0xffff, nil, nil, "channel right: the voltage is beyond the range"},
		{"an input is implausible", inputsChip(), 6000, 2000, 3000, []string{"right", "third"}, []string{"left"}, "channel left: voltage of 6.0000 V is outside"},
		{"an input is flagged", inputsChip(), 1000, 5000, 3000, []string{"left", "third"}, []string{"right"}, "channel right: register 0x06: it reads 0x1388: the input is open"},
	} {
		if err := tc.family.check(); err != nil {
			t.Fatal(err)
		}
		d := tc.family.driver()
		e := sensortest.New(t, d, nil)
		regs := [256]byte{1: 5}
		for i, v := range []uint16{tc.left, tc.right, tc.third} {
			regs[4+2*i], regs[5+2*i] = byte(v>>8), byte(v)
		}
		e.Bus = sensortest.ByteRegisters(&regs)
		got, failures, err := sensortest.Read(t, d, e)
		var good, failed []string
		for _, r := range got {
			good = append(good, r.Labels...)
		}
		for _, f := range failures {
			failed, err = append(failed, f.Labels...), errors.Join(err, f.Err)
		}
		if !slices.Equal(good, tc.good) || !slices.Equal(failed, tc.failed) {
			t.Errorf("%s: it gives %q and fails %q, want %q and %q: %v", tc.name, good, failed, tc.good, tc.failed, err)
		}
		if tc.says != "" {
			isError(t, err, sensors.OutOfRange, tc.says)
		}
	}
}
