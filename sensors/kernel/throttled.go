package kernel

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"example.org/dormouse/sensors"
)

// The tags of the firmware's property interface, as in Linux'
// include/soc/bcm2835/raspberrypi-firmware.h.
const (
	tagGetThrottled = 0x00030046
	tagGencmd       = 0x00030080 // a command of vcgencmd(1), as text
)

// mailboxes are the devices by which programs ask the firmware. Newer systems
// have one for commands beside the one for everything.
var mailboxes = []string{"/dev/vcio_gencmd", "/dev/vcio"}

// throttleStates are the bits of what vcgencmd calls throttled: now from bit 0
// on, and since boot from bit 16 on.
var throttleStates = []string{"undervoltage", "capped", "throttled", "soft_limit"}

func init() {
	sensors.Register(&sensors.Driver{
		Name:      "throttled",
		Summary:   "whether the Pi's firmware slows the processor down, for too low a supply voltage or for heat: now, and at any time since boot",
		Datasheet: "Raspberry Pi documentation, vcgencmd get_throttled; wiki of github.com/raspberrypi/firmware, Mailbox property interface",
		Wiring:    "none: part of every Pi. The daemon's user needs the group video for /dev/vcio; without it only under-voltage is known, by the kernel's rpi_volt",
		Timing:    "none: the firmware answers within a millisecond",
		Measures:  []*sensors.Quantity{sensors.Throttled},
		Notes: []string{
			"the states: undervoltage (below 4.63 V), capped (the clock is limited), throttled, soft_limit (a temperature limit of some models)",
			"what has been since boot is asked for as vcgencmd does: what the property of its own says is cleared by the kernel's rpi_volt every two seconds (drivers/hwmon/raspberrypi-hwmon.c). A firmware that doesn't answer it so, and rpi_volt, tell what is now alone",
		},
		NoRail: "the Pi itself is meant",
		New:    newThrottled,
	})
}

// throttled asks the firmware, or the kernel where that can't be done.
type throttled struct {
	env     sensors.Env
	command [256]uint32 // the value of tagGencmd: an error, and a text that is overwritten
	one     [1]uint32
	told    bool // that only the alarm is read
}

func newThrottled(_ context.Context, e sensors.Env) (sensors.Sensor, error) {
	return &throttled{env: e}, nil
}

func (s *throttled) Sense(ctx context.Context, r *sensors.Report) error {
	missing := errors.New("these files have no mailbox")
	if firmware, ok := s.env.Files().(sensors.Firmware); ok {
		bits, boot, err := s.ask(ctx, firmware)
		if err == nil {
			report(r, bits, len(throttleStates), boot)
			return nil
		}
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
			return err
		}
		missing = err
	}
	alarm, err := s.alarm(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		return sensors.Errorf(sensors.NoAnswer, "neither the firmware can be asked nor the kernel's rpi_volt: is this a Raspberry Pi, and is the daemon's user in the group video? %w", errors.Join(missing, err))
	}
	if !s.told {
		s.told = true
		s.env.Log().Info("only the kernel's under-voltage alarm can be read: to ask the firmware for all states the daemon's user needs the group video, and /dev/vcio", "error", missing)
	}
	report(r, alarm, 1, false)
	return nil
}

// report sets the first states, one by one.
func report(r *sensors.Report, bits uint32, states int, boot bool) {
	for i, state := range throttleStates[:states] {
		r.Set(sensors.Throttled, float64(bits>>i&1), state, "now")
		if boot {
			r.Set(sensors.Throttled, float64(bits>>(16+i)&1), state, "boot")
		}
	}
}

// ask asks the firmware by the first device that there is; boot tells that the
// upper bits are since boot.
func (s *throttled) ask(ctx context.Context, f sensors.Firmware) (bits uint32, boot bool, err error) {
	for _, device := range mailboxes {
		bits, err = s.askGencmd(ctx, f, device)
		if err == nil {
			return bits, true, nil
		}
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
			break
		}
	}
	if sensors.ReasonOf(err) != sensors.NoAnswer || errors.Is(err, fs.ErrNotExist) {
		return 0, false, err
	}
	s.one[0] = 0 // clears nothing
	if err := f.Property(ctx, "/dev/vcio", tagGetThrottled, s.one[:]); err != nil {
		return 0, false, err
	}
	return s.one[0], false, nil
}

// askGencmd asks for what vcgencmd get_throttled prints: throttled=0x50005.
func (s *throttled) askGencmd(ctx context.Context, f sensors.Firmware, device string) (uint32, error) {
	clear(s.command[:])
	for i, c := range []byte("get_throttled") {
		s.command[1+i/4] |= uint32(c) << (8 * (i % 4)) // all Pis are little-endian
	}
	if err := f.Property(ctx, device, tagGencmd, s.command[:]); err != nil {
		return 0, err
	}
	text := s.answer()
	digits, ok := strings.CutPrefix(strings.TrimSpace(text), "throttled=0x")
	bits, err := strconv.ParseUint(digits, 16, 32)
	if !ok || err != nil {
		return 0, sensors.Errorf(sensors.NoAnswer, "the firmware answers get_throttled with %s (error %d)", excerpt(text), s.command[0])
	}
	return uint32(bits), nil
}

// answer is the text up to its end.
func (s *throttled) answer() string {
	var b strings.Builder
	for _, word := range s.command[1:] {
		for shift := 0; shift < 32; shift += 8 {
			c := byte(word >> shift)
			if c == 0 {
				return b.String()
			}
			b.WriteByte(c)
		}
	}
	return b.String()
}

// alarm is the kernel's under-voltage alarm, of the last two seconds.
func (s *throttled) alarm(ctx context.Context) (uint32, error) {
	names, err := glob(s.env, hwmonClass.dir+"/hwmon*/name")
	if err != nil {
		return 0, err
	}
	for _, file := range names {
		name, err := readText(ctx, s.env.Files(), file)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue // another device that went away meanwhile
		case err != nil:
			return 0, err
		case name != "rpi_volt":
			continue
		}
		alarm := path.Dir(file) + "/in0_lcrit_alarm"
		text, err := readText(ctx, s.env.Files(), alarm)
		switch {
		case err != nil:
			return 0, attributeError(alarm, err)
		case text == "0":
			return 0, nil
		case text == "1":
			return 1, nil
		}
		return 0, sensors.Errorf(sensors.IO, "%s holds %s where 0 or 1 is expected", alarm, excerpt(text))
	}
	return 0, sensors.Errorf(sensors.NoAnswer, "there is no hwmon device rpi_volt: the kernel's module is raspberrypi-hwmon")
}
