package all

import (
	"fmt"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board/sim"
	"example.org/dormouse/sensors/sensortest"
)

// onSPI makes a case of a simulated SPI chip whole.
func onSPI(model string, w world, c sensortest.Case) sensortest.Case {
	c.World = func(e *sensortest.Env) {
		e.Wires[sensors.SPIWire] = sensortest.SPIChip(sim.NewSPIDevice(model, e.Now, w.at))
	}
	c.Next = func(*sensortest.Env) {}
	return c
}

// onSerial makes a case of a simulated device at a serial port whole.
func onSerial(model string, w world, c sensortest.Case) sensortest.Case {
	var device sim.SerialModel
	c.World = func(e *sensortest.Env) {
		d := &sensortest.SerialDevice{}
		device = sim.NewSerialDevice(model, w.at, e.Now(), d.Send)
		d.Receive, d.Until = device.Receive, device.Until
		e.Wires[sensors.SerialWire] = d
	}
	c.Next = func(*sensortest.Env) {}
	c.Reset = func(e *sensortest.Env) { device.Reset(e.Now()) }
	return c
}

func init() {
	const missing = "an absent chip and 0 V read alike where MISO is held low"
	volts := world{}
	for i, v := range [][2]float64{{0.5, 1.25}, {3.1, 0}, {0.7, 2}, {1, 1.5}, {2.9, 0.4}, {1.1, 0.3}, {0.2, 3}, {2.2, 2.1}} {
		volts[fmt.Sprintf("voltage ch%d", i)] = v
	}
	addCases(map[string][]sensortest.Case{
		"mcp3008": {
			onSPI("mcp3008", volts, sensortest.Case{Channels: []string{"ch0", "ch7"}, Excused: map[sensortest.Kind]string{sensortest.StuckBus: missing}}),
			onSPI("mcp3208", volts, sensortest.Case{Options: options("model", "mcp3208"), Channels: []string{"ch4-ch5"},
				Excused: map[sensortest.Kind]string{sensortest.StuckBus: missing}}),
		},
		"pms5003": {onSerial("pms5003", world{"particulate_matter 1": {6e-6, 9e-6}, "particulate_matter 2.5": {11e-6, 17e-6}, "particulate_matter 10": {19e-6, 23e-6}},
			sensortest.Case{})},
	})
}
