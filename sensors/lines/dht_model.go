package lines

import (
	"fmt"
	"strings"
	"time"

	"example.org/dormouse/daemon/duration"
	"example.org/dormouse/sensors"
)

// dhtModel is what tells the models apart. No air has 0 % humidity: that is
// what a broken one sends.
type dhtModel struct {
	start       time.Duration // the host pulls the line low
	pause       time.Duration // between reads, and after power-up
	temperature *sensors.Quantity
	humidity    *sensors.Quantity
	decode      func(frame [5]byte) (celsius, ratio float64, err error)
}

var dhtModels = map[string]*dhtModel{
	// DHT11 data sheet, sections "technical specification" and "communication
	// process"; the ranges are those of the newer chips.
	"dht11": {20 * time.Millisecond, time.Second, sensors.Temperature.Within(-20, 60), sensors.Humidity.Within(0.05, 0.95), decodeDHT11},
	// AM2302 product manual, sections 6 "electrical characteristics" and 7
	// "single-bus communication".
	"dht22": {2 * time.Millisecond, 2 * time.Second, sensors.Temperature.Within(-40, 80), sensors.Humidity.Within(0.001, 1), decodeDHT22},
}

// dhtMargin is what a frame takes at most, with what the kernel's driver or a busy
// machine adds.
const dhtMargin = 500 * time.Millisecond

// checkDHT refuses a time-out within which no read can succeed.
func checkDHT(o *sensors.Options) error {
	if least := dhtModelOf(o).pause + dhtMargin; o.Duration("timeout") < least {
		return &sensors.OptionError{Key: "timeout", Err: fmt.Errorf("%s is too short for the %s, which is left alone for %s before each frame: give %s or more",
			duration.Format(o.Duration("timeout")), strings.ToUpper(o.Text("model")), duration.Format(dhtModelOf(o).pause), duration.Format(least))}
	}
	return nil
}

func dhtModelOf(o *sensors.Options) *dhtModel {
	if name := o.Text("model"); name != "am2302" {
		return dhtModels[name]
	}
	return dhtModels["dht22"]
}
