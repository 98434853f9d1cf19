package pinout

import (
	"testing"

	"example.org/dormouse/daemon/alarm"
	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board/sim"
	"time"
)

func TestPeripheral(t *testing.T) {
	b := sim.New(alarm.NewFake(0, time.Time{}), 1)
	line := func(name string, force bool) sensors.Claim {
		ref, err := sensors.ParseLine(name)
		if err != nil {
			t.Fatal(err)
		}
		return sensors.Claim{Kind: sensors.LineWire, Line: ref, Force: force}
	}
	for claim, want := range map[sensors.Claim]string{
		line("GPIO2", true):     "line GPIO2 (pin 3) is SDA of I2C bus 1 at present (i2c@7e804000), and is taken from that by force=yes: the function returns at the next boot only",
		line("GPIO15", false):   "line GPIO15 (pin 10) is RXD of the serial port at present (serial@7e201000): wire another line, or switch that off (enable_uart=0 in config.txt, then a reboot); force=yes, on the sensor or on a rail that is defined, takes it, and the function returns at the next boot only",
		line("GPIO17", false):   "",
		line("NOWHERE", true):   "",
		{Kind: sensors.SPIWire}: "",
	} {
		if got := Peripheral(b, claim); got != want {
			t.Errorf("%s: %q, want %q", claim, got, want)
		}
	}
}
