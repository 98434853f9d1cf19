package all

import (
	"slices"
	"testing"

	"example.org/dormouse/sensors/config"
)

// A switch names sensors to be read, in a flag and in the file.
func TestWakeNamesSensors(t *testing.T) {
	for _, src := range []config.Source{
		{SensorFlags: []string{`door=switch,pin=GPIO27,wake="room,hall"`, "room=thermal", "hall=thermal"}},
		{SensorFlags: []string{`door=switch,pin=GPIO27,wake="room hall"`, "room=thermal", "hall=thermal"}},
		{File: "f", Data: []byte("sensors: [{name: door, driver: switch, pin: 27, wake: [room, hall]}, {name: room, driver: thermal}, {name: hall, driver: thermal}]")},
		{File: "f", Data: []byte("sensors: [{name: door, driver: switch, pin: 27, wake: \"room,hall\"}, {name: room, driver: thermal}, {name: hall, driver: thermal}]")},
	} {
		c, err := config.Load(src)
		if err != nil {
			t.Errorf("%+v: %v", src, err)
			continue
		}
		if got := c.Sensors[0].Options.List("wake"); !slices.Equal(got, []string{"room", "hall"}) {
			t.Errorf("%+v: it wakes %q", src, got)
		}
	}
	_, err := config.Load(config.Source{File: "f", Data: []byte("sensors:\n  - {name: door, driver: switch, pin: 27, wake: [rom, door]}\n  - {name: room, driver: thermal}\n")})
	if want := `f:2: sensor door: wake: there is no sensor "rom" (did you mean room?)`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
