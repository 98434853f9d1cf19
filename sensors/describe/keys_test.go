package describe

import (
	"math"
	"testing"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/sensortest"
	"periph.io/x/conn/v3/i2c/i2ctest"
)

// The keys that examples/chips doesn't have: a number that fields are divided by,
// labels, units, a setting that follows the result, and values that are none.
const meter = `
name: METER
summary: a meter that doesn't exist
datasheet: none
addresses: [0x40]
numbers: [{name: shunt, help: the shunt's resistance, quantity: resistance, default: 100mohm, range: [1mohm, 10ohm]}]
settings:
  - name: range
    help: the finest that holds the value
    default: auto
    values: [{name: wide, bits: 0x10, scale: 8, time: 1ms, advice: give it a lower shunt}, {name: fine, bits: 0x20, scale: 1, time: 8ms}]
    auto: {at: 0, type: "le:u16/16>>0", low: 0x1000, high: 0xf000}
identity: [{write: 0xd0, status: 1, is: 0x5a, looks: {0x60: BME280}}]
measure:
  - {set: [0x01, 0x03], with: range, times: range}
  - {write: 0x02, result: 5}
fields:
  - {quantity: current, label: load, type: "le:u16/16>>0", scale: 1/1000, by: range, per: shunt, range: [0, 5000 A], not-ready: 0xffff, saturated: [-1, 0xfff0], says: "beyond range={range}"}
  - {quantity: temperature, at: 2, type: "be:s12/16>>4", scale: 0.9 °F, offset: 32 °F, range: [-40, 257 °F]}
  - {quantity: humidity, at: 4, type: "be:s8/8>>0", scale: 1 %, range: [-0.05, 1.05], clamp: [0, 1]}
examples:
  - {set: {range: wide}, read: [0x34, 0xd2, 0x0c, 0x8f, 0x32], values: {current load: 4304.96 A, temperature: 100, humidity: 50 %}, bus: [0xd0, [0x01, 0x13], 1ms, 0x02]}
  - {set: {range: fine}, read: [0x34, 0xd2, 0xfc, 0x4a, 0xfe], values: {current load: 538.12, temperature: -22 °F, humidity: 0}, bus: [0xd0, [0x01, 0x23], 8ms, 0x02]}
  - {set: {range: fine}, read: [0x35, 0x12, 0x0c, 0x80, 0x69], values: {current load: 46.61, temperature: 212 °F, humidity: 1}}
  - {set: {range: fine}, read: [0xff, 0xff, 0x0c, 0x8f, 0x32], fails: not_ready}
  - {set: {range: fine}, read: [0xf0, 0xff, 0x0c, 0x8f, 0x32], fails: range}
  - {set: {range: fine}, read: [0x35, 0x12, 0x84, 0x35, 0x32], fails: range}
`

func TestKeys(t *testing.T) {
	d, err := Driver("m.yml", []byte(meter))
	if err != nil {
		t.Fatal(err)
	}
	e := sensortest.New(t, d, map[string]string{"description": "/x", "shunt": "200mohm"})
	frame := func(raw uint16) []byte { return []byte{byte(raw), byte(raw >> 8), 0x06, 0x4f, 0xfe} }
	p := &i2ctest.Playback{DontPanic: true}
	for _, o := range [][2][]byte{
		{{0xd0}, {0x5a}},
		{{0x01, 0x13}, nil}, {{0x02}, frame(0x0800)}, {{0x02}, frame(0x0800)}, {{0x01}, {0x13}},
		// Too small for the wide range: again in the fine one.
		{{0x01, 0x23}, nil}, {{0x02}, frame(0x4000)}, {{0x02}, frame(0x4000)}, {{0x01}, {0x23}},
	} {
		p.Ops = append(p.Ops, i2ctest.IO{Addr: 0x40, W: o[0], R: o[1]})
	}
	e.Bus = p
	got, failures, err := sensortest.Read(t, d, e)
	if err != nil || len(failures) > 0 || e.Waited() != 9*time.Millisecond {
		t.Fatalf("%v, %v, %v", failures, err, e.Waited())
	}
	for _, want := range []struct {
		quantity *sensors.Quantity
		labels   []string
		value    float64
	}{{sensors.Current, []string{"load"}, 16384 / 1000. / 0.2}, {sensors.Temperature, nil, 50}, {sensors.Humidity, nil, 0}} {
		if v := sensortest.Value(t, got, want.quantity, want.labels...); math.Abs(v-want.value) > 1e-9 {
			t.Errorf("%s is %v, want %v", want.quantity.Name, v, want.value)
		}
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}
