package scan

import (
	"context"
	"errors"
	"path"
	"strings"
)

// scanOneWire lists what the kernel found on its 1-Wire buses. The directory of
// a device is its family and number: 28-0316a2793aff.
func (s *scanner) scanOneWire() {
	const devices = "/sys/bus/w1/devices"
	masters, err := s.Board.Files().Glob(devices + "/w1_bus_master*")
	chips, chipsErr := s.Board.Files().Glob(devices + "/*-*")
	if err := errors.Join(err, chipsErr); err != nil {
		s.problem("the devices of the 1-Wire bus are not known: %v", err)
	}
	for _, dir := range chips {
		id := path.Base(dir)
		s.found.OneWire = append(s.found.OneWire, Find{What: id, Flag: flag("w1-" + id + "=w1,id=" + id)})
	}
	if len(masters) == 0 {
		s.advise("there is no 1-Wire bus: for a DS18B20 enable it (sudo raspi-config nonint do_onewire 0, or dtoverlay=w1-gpio in config.txt) and restart")
	} else if len(chips) == 0 {
		s.advise("there is a 1-Wire bus without devices: check the wiring and the pull-up of 4.7 kΩ; the kernel looks for new devices every few seconds")
	}
}

// scanZones lists the thermal zones. Zones of one name can't be told apart, so
// none of them gets a flag.
func (s *scanner) scanZones(ctx context.Context) {
	files, err := s.Board.Files().Glob("/sys/class/thermal/thermal_zone*/type")
	count := map[string]int{}
	for _, file := range files {
		var data []byte
		if data, err = s.Board.Files().ReadFile(ctx, file); err != nil {
			break
		}
		zone := strings.TrimSpace(string(data))
		count[zone]++
		s.found.Zones = append(s.found.Zones, Find{What: zone})
	}
	if err != nil {
		s.problem("the thermal zones are not known: %v", err)
	}
	for i, z := range s.found.Zones {
		if count[z.What] == 1 {
			s.found.Zones[i].Flag = flag(z.What + "=thermal,zone=" + z.What)
		}
	}
}

func (s *scanner) scanLines() {
	lines, err := s.Board.Lines()
	if err != nil {
		s.problem("%v", err)
	}
	if len(lines) == 0 && err == nil {
		s.advise("there is no /dev/gpiochip*: this machine has no GPIO, its driver isn't loaded, or a sandbox hides it")
	}
	for _, l := range lines {
		if n := len(s.found.GPIO); n == 0 || s.found.GPIO[n-1].Chip != l.Chip {
			s.found.GPIO = append(s.found.GPIO, GPIOChip{Chip: l.Chip, Held: []HeldLine{}})
		}
		chip := &s.found.GPIO[len(s.found.GPIO)-1]
		chip.Lines++
		if l.Held {
			chip.Held = append(chip.Held, HeldLine{l.Offset, l.Name, l.Consumer, l.Output})
		}
	}
}
