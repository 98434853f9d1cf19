//go:build system

package system

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.org/dormouse/test/kit"
	"example.org/dormouse/test/rig"
)

// byID makes and removes names of serial ports as udev does, by the kernel's
// events: udev's 60-serial.rules and the names that its usb_id makes.
const byID = `#!/bin/sh
[ "$SUBSYSTEM" = tty ] || exit 0
case $DEVNAME in ttyUSB*) ;; *) exit 0 ;; esac
names=/dev/serial/by-id
if [ "$ACTION" = add ]; then
	usb=/sys$DEVPATH/../../../..
	mkdir -p $names
	id=$(cat $usb/manufacturer)_$(cat $usb/product)_$(cat $usb/serial)
	ln -s ../../$DEVNAME "$names/usb-$(echo "$id" | tr ' ' _)-if00-port0"
elif [ "$ACTION" = remove ]; then
	for name in $names/*; do
		[ "$(readlink "$name")" != ../../$DEVNAME ] || rm "$name"
	done
fi
`

// nameSerialPorts has the machine name its serial ports until the test ends.
func (b *bench) nameSerialPorts(t *testing.T) {
	t.Helper()
	const script = "/usr/local/bin/name-serial-port"
	kit.Must(t, b.WriteFile(t.Context(), script, []byte(byID), 0o755))
	p, err := b.Start(t.Context(), rig.Command{Argv: []string{"uevent", script}}, nil)
	kit.Must(t, err)
	later(t, func(ctx context.Context) error {
		err := p.Kill(ctx, 15)
		exit, waitErr := p.Wait(ctx)
		if len(exit.Stderr) > 0 {
			t.Logf("uevent: %s", exit.Stderr)
		}
		return errors.Join(err, waitErr)
	})
}

// A dustSensor is a PMS5003 at the end of a wire, by appendices I and II of its
// data manual.
type dustSensor struct {
	mu     sync.Mutex
	masses [3]uint16 // up to 1, 2.5 and 10 µm, in µg/m³
	awake  bool
	// halves has an answer end in its middle, which is told to asked.
	halves bool
	asked  chan struct{}
	err    error // why the wire ended, but that it was pulled out
}

// wireEnds are the errors of a wire that was pulled out: between two commands, in
// one of them or in an answer.
var wireEnds = []error{io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, syscall.ECONNRESET, syscall.EPIPE}

// serve answers commands until the wire ends.
func (s *dustSensor) serve(wire net.Conn) {
	command := make([]byte, 7)
	for {
		_, err := io.ReadFull(wire, command)
		if err == nil {
			err = s.answer(wire, command)
		}
		if err != nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			if !slices.ContainsFunc(wireEnds, func(end error) bool { return errors.Is(err, end) }) {
				s.err = err
			}
			return
		}
	}
}

func (s *dustSensor) answer(wire io.Writer, command []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	sum := 0
	for _, b := range command[:5] {
		sum += int(b)
	}
	if command[0] != 0x42 || command[1] != 0x4d || int(command[5])<<8|int(command[6]) != sum {
		return fmt.Errorf("% x is no command", command)
	}
	switch command[2] {
	case 0xe4: // sleep
		s.awake = command[4] == 1
		return nil
	case 0xe1: // its mode
		return nil
	}
	if !s.awake {
		return nil
	}
	frame := []byte{0x42, 0x4d, 0, 28}
	for _, words := range [][]uint16{s.masses[:], s.masses[:], make([]uint16, 7)} {
		for _, w := range words {
			frame = append(frame, byte(w>>8), byte(w))
		}
	}
	sum = 0
	for _, b := range frame {
		sum += int(b)
	}
	frame = append(frame, byte(sum>>8), byte(sum))
	if s.halves {
		frame = frame[:16]
		defer func() { s.asked <- struct{}{} }()
	}
	_, err := wire.Write(frame)
	return err
}

// set changes the sensor.
func (s *dustSensor) set(halves bool, masses ...uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.halves = halves
	copy(s.masses[:], masses)
}

// processorTime is what a process has used.
func (b *bench) processorTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	text, err := b.ReadFile(t.Context(), fmt.Sprintf("/proc/%d/stat", pid))
	kit.Must(t, err)
	_, rest, _ := strings.Cut(string(text), ") ") // the name may hold blanks
	fields := strings.Fields(rest)
	var ticks int
	for _, field := range fields[11:13] { // utime and stime: proc(5)
		n, err := strconv.Atoi(field)
		kit.Must(t, err)
		ticks += n
	}
	return time.Duration(ticks) * (time.Second / 100) // USER_HZ
}

// A dustBench is a daemon with a PMS5003 behind a USB adapter.
type dustBench struct {
	*bench
	d       *kit.Daemon
	adapter *rig.USBSerial
	sensor  *dustSensor
}

// The name is as udev makes it of the adapter's maker, product and serial number.
const (
	dustName = "usb-QEMU_QEMU_USB_SERIAL_DUST01-if00-port0"
	dustPort = "/dev/serial/by-id/" + dustName
)

func newDustBench(t *testing.T) *dustBench {
	t.Helper()
	b := &dustBench{bench: newBench(t), sensor: &dustSensor{masses: [3]uint16{5, 13, 22}, asked: make(chan struct{}, 8)}}
	b.nameSerialPorts(t)
	var err error
	b.adapter, err = b.AddUSBSerial(t.Context(), "DUST01")
	kit.Must(t, err)
	later(t, func(ctx context.Context) error { return b.adapter.Unplug(ctx) })
	b.isPlugged(t)
	b.d = b.Daemon(t, "--sensor=air=pms5003,port="+dustPort+",settle=1s,timeout=20s")
	return b
}

// isPlugged waits until the adapter has its name, and connects the sensor.
func (b *dustBench) isPlugged(t *testing.T) {
	t.Helper()
	kit.Eventually(t, func() error {
		ports, err := b.List(t.Context(), "/dev/serial/by-id")
		if err == nil && !slices.ContainsFunc(ports, func(e rig.Entry) bool { return e.Name == dustName && e.Link == "../../ttyUSB0" }) {
			err = fmt.Errorf("the ports are %+v", ports)
		}
		return err
	})
	go b.sensor.serve(b.adapter.Port)
}

// isUp reads the sensor, which the daemon then has closed again.
func (b *dustBench) isUp(t *testing.T, when string, masses ...float64) {
	t.Helper()
	if s := b.d.Read()["air"]; !*s.Up {
		t.Fatalf("%s: %s", when, s.Error)
	}
	page := b.d.Page()
	for i, size := range []string{"1", "2.5", "10"} {
		checkPage(t, page, map[string]float64{`sensor_particulate_matter_grams_per_cubic_meter{sensor="air",size="` + size + `"}`: masses[i] * 1e-6})
	}
	info, err := b.Inspect(t.Context(), b.d.PID)
	kit.Must(t, err)
	for _, file := range info.Files {
		if strings.Contains(file, "ttyUSB") {
			t.Errorf("%s: between reads the daemon holds %s", when, file)
		}
	}
}

// unplugWhileRead pulls the adapter out in the middle of an answer, and returns
// how long it is watched from then on, and what the daemon uses of the processor
// meanwhile.
func (b *dustBench) unplugWhileRead(t *testing.T) (used, passed time.Duration) {
	t.Helper()
	ctx := t.Context()
	b.sensor.set(true, 6, 14, 23)
	read, err := b.Start(ctx, rig.Command{Argv: []string{"/usr/bin/dormouse", "read", "--format=json", "--pid-file=" + b.d.PIDFile}}, nil)
	kit.Must(t, err)
	<-b.sensor.asked
	begun, err := b.Clocks(ctx)
	kit.Must(t, err)
	used = b.processorTime(t, b.d.PID)
	kit.Must(t, b.adapter.Unplug(ctx))
	exit, err := read.Wait(ctx)
	kit.Must(t, err)
	if said := string(exit.Stdout); exit.Status != 1 || !strings.Contains(said, "no_answer") {
		t.Errorf("the read ended with %d: %s%s", exit.Status, said, exit.Stderr)
	}
	b.Sleep(t, 2*time.Second)
	used = b.processorTime(t, b.d.PID) - used
	now, err := b.Clocks(ctx)
	kit.Must(t, err)
	return used, now.Monotonic - begun.Monotonic
}

// TestASerialAdapterIsUnpluggedWhileItIsRead: QEMU's USB serial adapter and the
// kernel's ftdi_sio, pulled out in the middle of an answer. The kernel then says
// of each read that it brought nothing, without an error, for ever.
func TestASerialAdapterIsUnpluggedWhileItIsRead(t *testing.T) {
	b := newDustBench(t)
	before := b.processorTime(t, b.d.PID)
	b.isUp(t, "before", 5, 13, 22)
	usual := b.processorTime(t, b.d.PID) - before // of a read, on this machine

	used, passed := b.unplugWhileRead(t)
	t.Logf("within %s of the unplugging the daemon used %s of the processor; a read uses %s", passed, used, usual)
	if used > passed/4+5*usual {
		t.Errorf("the daemon used %s of %s: it reads again and again", used, passed)
	}
	if found := seriesOf(b.d.Page(), "air"); len(found) != 0 || logged(b.d, "sensor is down") != 1 {
		t.Errorf("while it is unplugged there is %q\n%s", found, b.d.Log())
	}
	if s := b.d.Read()["air"]; *s.Up || s.Reason != "no_answer" || !strings.Contains(s.Error, "there is no serial port "+dustPort) {
		t.Errorf("while it is unplugged: %s: %s", s.Reason, s.Error)
	}

	b.sensor.set(false, 7, 15, 24)
	kit.Must(t, b.adapter.Plug(t.Context()))
	b.isPlugged(t)
	b.isUp(t, "plugged in again", 7, 15, 24)
	if down, back := logged(b.d, "sensor is down"), logged(b.d, "sensor is back"); down != 1 || back != 1 {
		t.Errorf("%d lines say down, %d back:\n%s", down, back, b.d.Log())
	}
	b.sensor.mu.Lock()
	defer b.sensor.mu.Unlock()
	if b.sensor.err != nil {
		t.Error(b.sensor.err)
	}
}
