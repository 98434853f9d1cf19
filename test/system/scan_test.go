//go:build system

package system

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"example.org/dormouse/exporter"
	"example.org/dormouse/test/guest/i2c"
	"example.org/dormouse/test/kit"
	"example.org/dormouse/test/rig"
)

// scanned is what these tests look at of `scan --format=json`.
type scanned struct {
	Buses []struct {
		Bus       int
		Complete  bool
		Addresses []scannedAddress
	} `json:"i2c_buses"`
	OneWire  []scannedSensor `json:"one_wire"`
	Problems []string
}

type scannedAddress struct {
	Address string
	Kernel  string          `json:"kernel_driver"`
	Daemon  string          `json:"daemon_sensor"`
	Could   []scannedSensor `json:"could_be"`
}

type scannedSensor struct{ What, Flag string }

// scan scans a bus that doesn't hang, and returns what was on the bench's bus
// meanwhile. Where the machine stood still for seconds, so that a chip wasn't
// identified in time or a transaction took as long as on a bus that hangs, it scans
// again.
func (b *bench) scan(t *testing.T, args ...string) (found scanned, status int, messages []rig.Transfer) {
	t.Helper()
	kit.Eventually(t, func() error {
		found, status, messages = b.scanOnce(t, args...)
		for _, problem := range found.Problems {
			if strings.Contains(problem, ": not read within ") || strings.Contains(problem, " hangs: ") || strings.Contains(problem, " is given up after ") {
				return errors.New(problem)
			}
		}
		return nil
	})
	return found, status, messages
}

func (b *bench) scanOnce(t *testing.T, args ...string) (found scanned, status int, messages []rig.Transfer) {
	t.Helper()
	_, err := b.bus.Transfers(t.Context())
	kit.Must(t, err)
	stdout, stderr, status := b.Run(t, append([]string{"scan", "--format=json"}, args...)...)
	if err := json.Unmarshal([]byte(stdout), &found); err != nil {
		t.Fatalf("scan %q: exit status %d, %v\n%s%s", args, status, err, stdout, stderr)
	}
	messages, err = b.bus.Transfers(t.Context())
	kit.Must(t, err)
	return found, status, messages
}

// on is what was found at an address of the bench's bus; all of it is empty
// where nothing was.
func (f scanned) on(t *testing.T, b *bench, address uint16) (a scannedAddress) {
	t.Helper()
	for _, bus := range f.Buses {
		i := slices.IndexFunc(bus.Addresses, func(a scannedAddress) bool { return a.Address == fmt.Sprintf("0x%02x", address) })
		if bus.Bus == b.bus.Number && i >= 0 {
			return bus.Addresses[i]
		}
	}
	return a
}

func whats(list []scannedSensor) (names []string) {
	for _, s := range list {
		names = append(names, s.What)
	}
	return names
}

// to counts the messages to an address.
func to(messages []rig.Transfer, address uint16) (n int) {
	for _, m := range messages {
		if m.Address == address {
			n++
		}
	}
	return n
}

// Chips are found by what the kernel's own drivers carry, and with the flags
// that are printed they are read. What was on the wires is what docs/scan.md
// says: nothing that a chip keeps.
func TestScanFindsWhatIsConnected(t *testing.T) {
	b := newBench(t)
	chips := []uint16{bmp280Address, lm75Address, tmp102Address}
	memory := func() (all [][]byte) {
		for _, c := range chips {
			m, err := b.bus.Peek(t.Context(), c, 0, 256)
			kit.Must(t, err)
			all = append(all, m)
		}
		return all
	}
	before := memory()
	found, status, messages := b.scan(t)
	if status != 0 || len(found.Problems) > 0 {
		t.Errorf("exit status %d: %q", status, found.Problems)
	}
	for i, m := range memory() {
		if !slices.Equal(m, before[i]) {
			t.Errorf("the scan changed the chip at 0x%02x", chips[i])
		}
	}
	asked := map[uint16]bool{}
	for _, m := range messages {
		asked[m.Address] = true
		byReadOnly := m.Address&^7 == 0x30 || m.Address&^0xf == 0x50
		switch {
		case !m.Read && len(m.Data) > 1, !m.Read && byReadOnly, (m.Address < 0x08 || m.Address > 0x77) && m.Address != 0x03,
			!m.Read && len(m.Data) > 0 && !slices.Contains(chips, m.Address):
			t.Errorf("this was on the wires: %+v", m)
		}
	}
	if len(asked) < 0x70 {
		t.Errorf("%d addresses were asked, want 112", len(asked))
	}

	// A chip that says what it is has its model's name. Nothing tells an LM75 or
	// TMP102: they are among those that could be there.
	for address, want := range map[uint16][]string{bmp280Address: {"BMP280"}, lm75Address: {"lm75"}, tmp102Address: {"tmp102"}, railedAddress: nil, 0x20: nil} {
		got := whats(found.on(t, b, address).Could)
		for _, what := range want {
			if !slices.Contains(got, what) {
				t.Errorf("at 0x%02x could be %q, and it is %s", address, got, what)
			}
		}
		if len(want) == 0 && len(got) > 0 || address == bmp280Address && len(got) > 1 {
			t.Errorf("at 0x%02x could be %q, want %q", address, got, want)
		}
	}
	could := func(address uint16, what string) string {
		list := found.on(t, b, address).Could
		return list[slices.IndexFunc(list, func(s scannedSensor) bool { return s.What == what })].Flag
	}
	if len(found.OneWire) != 1 || found.OneWire[0].What != "28-0316a2793aff" {
		t.Fatalf("on the 1-Wire bus: %+v", found.OneWire)
	}

	values := map[string]float64{ // of the flags
		found.OneWire[0].Flag:                       -10.125,
		found.on(t, b, bmp280Address).Could[0].Flag: 25.08,
		could(lm75Address, "lm75"):                  -25,
		could(tmp102Address, "tmp102"):              -10.125,
	}
	args := []string{"read", "--format=json"}
	for flag := range values {
		args = append(args, flag)
	}
	stdout, stderr, status := b.Run(t, args...)
	var readings exporter.Readings
	if err := json.Unmarshal([]byte(stdout), &readings); err != nil || status != 0 || len(readings.Sensors) != len(values) {
		t.Fatalf("dormouse %q: exit status %d, %v\n%s%s", args, status, err, stdout, stderr)
	}
	for flag, want := range values {
		name, _, _ := strings.Cut(strings.TrimPrefix(flag, "--sensor="), "=")
		i := slices.IndexFunc(readings.Sensors, func(s exporter.SensorJSON) bool { return s.Name == name })
		j := slices.IndexFunc(readings.Sensors[i].Readings, func(r exporter.ReadingJSON) bool { return r.Quantity == "temperature" })
		if got := readings.Sensors[i].Readings[j].Value; *got < want-0.005 || *got > want+0.005 {
			t.Errorf("%s reads %v, want %v", flag, *got, want)
		}
	}
}

// i2cdetect, in busybox's edition, is a second implementation of the question
// whether a chip answers: both put the same messages on the wires.
func TestScanAsksAsI2cdetectDoes(t *testing.T) {
	b := newBench(t)
	found, _, ours := b.scan(t, "--no-identify")
	exit := kit.Exec(t, b.Machine.Machine, "i2cdetect", "-y", fmt.Sprint(b.bus.Number))
	all, err := b.bus.Transfers(t.Context())
	kit.Must(t, err)
	theirs := slices.DeleteFunc(all, func(m rig.Transfer) bool { return m.Address < 0x08 || m.Address > 0x77 })
	same := func(a, b rig.Transfer) bool {
		return a.Address == b.Address && a.Read == b.Read && a.NACK == b.NACK && len(a.Data) == len(b.Data)
	}
	if len(theirs) < 0x70 || !slices.EqualFunc(ours, theirs, same) {
		t.Errorf("on the wires\n%+v\nand by i2cdetect\n%+v", ours, theirs)
	}
	table := string(exit.Stdout)
	if exit.Status != 0 || strings.Count(table, " 76 ") != 1 {
		t.Errorf("i2cdetect says\n%s%s", table, exit.Stderr)
	}
	for address := uint16(0x08); address <= 0x77; address++ {
		// An address stands in its own line of sixteen.
		_, line, _ := strings.Cut(table, fmt.Sprintf("\n%02x:", address&0xf0))
		line, _, _ = strings.Cut(line, "\n")
		answers := slices.Contains(strings.Fields(line), fmt.Sprintf("%02x", address))
		if a := found.on(t, b, address); (a.Address != "") != answers {
			t.Errorf("at 0x%02x found %+v; i2cdetect: %t", address, a, answers)
		}
	}
}

func TestScanRaisesARail(t *testing.T) {
	b := newBench(t)
	rail := fmt.Sprintf("--rail=probes=GPIO%d", railLine)
	found, status, _ := b.scan(t, rail, fmt.Sprintf("--bus=%d", b.bus.Number))
	if got := whats(found.on(t, b, railedAddress).Could); status != 0 || !slices.Equal(got, []string{"BMP280"}) {
		t.Errorf("exit status %d, behind the rail could be %q: %q", status, got, found.Problems)
	}
	if found, _, _ := b.scan(t); found.on(t, b, railedAddress).Address != "" {
		t.Error("the rail stayed on")
	}
}

func TestScanLeavesOthersChipsAlone(t *testing.T) {
	b := newBench(t)
	d := b.Daemon(t, b.wiringFlags()[0])
	d.Read()
	_, err := b.bus.Bind(t.Context(), "lm75", lm75Address)
	kit.Must(t, err)
	later(t, func(ctx context.Context) error { return b.bus.Unbind(ctx, lm75Address) })
	found, status, messages := b.scan(t, "--pid-file="+d.PIDFile)
	if status != 0 {
		t.Errorf("exit status %d: %q", status, found.Problems)
	}
	if a := found.on(t, b, bmp280Address); a.Daemon != "greenhouse" || len(a.Could) > 0 || to(messages, bmp280Address) > 0 {
		t.Errorf("the daemon's chip got %d messages: %+v", to(messages, bmp280Address), a)
	}
	if a := found.on(t, b, lm75Address); a.Kernel != "lm75" || len(a.Could) > 0 || to(messages, lm75Address) > 0 {
		t.Errorf("the kernel's chip got %d messages: %+v", to(messages, lm75Address), a)
	}
	if a := found.on(t, b, tmp102Address); len(a.Could) == 0 {
		t.Errorf("nobody's chip: %+v", a)
	}
}

func TestScanOfAHungBusEnds(t *testing.T) {
	b := newBench(t)
	kit.Must(t, b.bus.SetFault(t.Context(), 0, i2c.Hang))
	lift := later(t, func(ctx context.Context) error { return b.bus.SetFault(ctx, 0, i2c.Healthy) })
	found, status, _ := b.scanOnce(t)
	// It gives up after one address or two, and doesn't ask all.
	if text := strings.Join(found.Problems, "\n"); status != 1 || len(found.Problems) > 2 || !strings.Contains(text, fmt.Sprintf("I2C bus %d ", b.bus.Number)) ||
		!strings.Contains(text, "SDA or SCL") || len(found.OneWire) != 1 {
		t.Errorf("exit status %d: %+v", status, found)
	}
	lift()
	if found, status, _ := b.scan(t); status != 0 || len(found.on(t, b, bmp280Address).Could) != 1 {
		t.Errorf("later, exit status %d: %+v", status, found)
	}
}

// Somebody without rights is told which groups they need, and still sees what
// is for everybody.
func TestScanWithoutRights(t *testing.T) {
	b := newBench(t)
	d := b.Daemon(t, b.wiringFlags()[0])
	p, err := b.Start(t.Context(), rig.Command{Argv: []string{"/usr/bin/dormouse", "scan", "--format=json", "--pid-file=" + d.PIDFile}, UID: 990, GID: 990}, nil)
	kit.Must(t, err)
	exit, err := p.Wait(t.Context())
	kit.Must(t, err)
	var found scanned
	if err := json.Unmarshal(exit.Stdout, &found); err != nil || exit.Status != 1 {
		t.Fatalf("exit status %d, %v\n%s%s", exit.Status, err, exit.Stdout, exit.Stderr)
	}
	text := strings.Join(found.Problems, "\n")
	for _, want := range []string{"the daemon of " + d.PIDFile + " (running as process", "scan as root or as the daemon's user",
		fmt.Sprintf("/dev/i2c-%d may not be opened: add the daemon's user to the group i2c", b.bus.Number), "/dev/gpiochip0 may not be opened: add the user to the group gpio"} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %q in\n%s", want, text)
		}
	}
	if len(found.OneWire) != 1 {
		t.Errorf("on the 1-Wire bus: %+v", found.OneWire)
	}
}
