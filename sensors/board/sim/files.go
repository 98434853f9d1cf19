package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path"
	"slices"
	"time"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board"
	"golang.org/x/sys/unix"
)

// Probe1Wire is the DS18B20's name on the 1-Wire bus.
const Probe1Wire = "28-0316a2795f7e"

// fileTree is the kernel's files, as far as the board's sensors have some.
type fileTree struct {
	board *Board
	files map[string]file // guarded by board.mu
	probe w1Probe
}

// file is what the kernel does when one is read or written.
type file struct {
	read  func(ctx context.Context) ([]byte, error)
	write func(ctx context.Context, data []byte) error
	err   error // set by FailFile
}

func newFileTree(b *Board) *fileTree {
	t := &fileTree{board: b, files: map[string]file{}}
	t.probe = w1Probe{tree: t}
	text := func(s string) file {
		return file{read: func(context.Context) ([]byte, error) { return []byte(s), nil }}
	}
	t.files["/sys/class/thermal/thermal_zone0/type"] = text("cpu-thermal\n")
	t.files["/sys/class/thermal/thermal_zone0/mode"] = text("enabled\n")
	t.files["/sys/class/thermal/thermal_zone0/temp"] = file{read: t.processor}
	for name, f := range map[string]file{
		"w1_master_slaves":      text(Probe1Wire + "\n"),
		"w1_master_slave_count": text("1\n"),
		"therm_bulk_read":       {read: t.probe.bulkState, write: t.probe.trigger},
	} {
		t.files["/sys/bus/w1/devices/w1_bus_master1/"+name] = f
		t.files["/sys/devices/w1_bus_master1/"+name] = f
	}
	for name, f := range map[string]file{
		"name":        text(Probe1Wire + "\n"),
		"resolution":  text("12\n"),
		"temperature": {read: t.probe.temperature},
		"w1_slave":    {read: t.probe.slave},
	} {
		// The kernel's tree, and its links.
		t.files["/sys/devices/w1_bus_master1/"+Probe1Wire+"/"+name] = f
		t.files["/sys/bus/w1/devices/w1_bus_master1/"+Probe1Wire+"/"+name] = f
		t.files["/sys/bus/w1/devices/"+Probe1Wire+"/"+name] = f
	}
	// The nodes of the board's SPI device and serial port, which are no files to
	// be read.
	for _, node := range []string{"/dev/spidev0.0", ParticlePort} {
		t.files[node] = file{read: func(context.Context) ([]byte, error) { return nil, unix.EINVAL }}
	}
	t.addDevices()
	return t
}

// FailFile makes each access to a file end in err: unix.EIO, unix.ENOENT. No
// err mends it.
func (b *Board) FailFile(name string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.files.files[name]
	f.err = err
	b.files.files[name] = f
}

// SetFile makes a file of that content, or gives one another.
func (b *Board) SetFile(name string, content []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.files.files[name]
	f.read = func(context.Context) ([]byte, error) { return content, nil }
	b.files.files[name] = f
}

// RemoveFiles takes a file away, or all below a folder: a 1-Wire probe that
// was pulled out, a module that isn't loaded.
func (b *Board) RemoveFiles(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for f := range b.files.files {
		if below(f, name) {
			delete(b.files.files, f)
		}
	}
}

func below(name, folder string) bool {
	return name == folder || len(name) > len(folder) && name[:len(folder)] == folder && name[len(folder)] == '/'
}

func (t *fileTree) file(name string) (file, error) {
	t.board.mu.Lock()
	defer t.board.mu.Unlock()
	f, ok := t.files[name]
	switch {
	case !ok:
		return file{}, fs.ErrNotExist
	case f.err != nil:
		return file{}, f.err
	}
	return f, nil
}

func (t *fileTree) ReadFile(ctx context.Context, name string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	f, err := t.file(name)
	if err == nil && f.read == nil {
		err = unix.EACCES
	}
	if err != nil {
		return nil, board.FileError("read", name, err)
	}
	data, err := f.read(ctx)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return bytes.Clone(data), nil
}

func (t *fileTree) WriteFile(ctx context.Context, name string, data []byte) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	f, err := t.file(name)
	if err == nil && f.write == nil {
		err = unix.EACCES
	}
	if err == nil {
		err = f.write(ctx, data)
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("write %s: %w", name, ctx.Err())
	}
	return board.FileError("write", name, err)
}

// Glob finds files and the folders they are in.
func (t *fileTree) Glob(pattern string) ([]string, error) {
	if _, err := path.Match(pattern, ""); err != nil {
		return nil, fmt.Errorf("pattern %s: %w", pattern, err)
	}
	t.board.mu.Lock()
	defer t.board.mu.Unlock()
	var found []string
	for name, f := range t.files {
		if errors.Is(f.err, fs.ErrNotExist) {
			continue
		}
		for ; name != "/"; name = path.Dir(name) {
			if ok, _ := path.Match(pattern, name); ok && !slices.Contains(found, name) { // the pattern was tried above
				found = append(found, name)
			}
		}
	}
	slices.Sort(found)
	return found, nil
}

// processor is in m°C, as Documentation/driver-api/thermal/sysfs-api.rst says.
func (t *fileTree) processor(context.Context) ([]byte, error) {
	v := t.board.Values(t.board.clock.Now())
	return fmt.Appendf(nil, "%d\n", int(math.Round(v.ProcessorTemperature*1000))), nil
}

// w1Probe is a DS18B20 as the kernel's w1_therm shows it:
// Documentation/w1/slaves/w1_therm.rst. A read converts for 750 ms, unless a
// bulk conversion has been made.
type w1Probe struct {
	tree *fileTree
	bulk sensors.Instant // when it was triggered; zero: none is unread; guarded by board.mu
}

// w1Conversion is of 12 bits: DS18B20 data sheet, table 2.
const w1Conversion = 750 * time.Millisecond

// trigger returns when the bulk conversion has ended, as the kernel's
// trigger_bulk_read does (drivers/w1/slaves/w1_therm.c).
func (p *w1Probe) trigger(ctx context.Context, data []byte) error {
	if string(bytes.TrimSpace(data)) != "trigger" {
		return unix.EINVAL
	}
	b := p.tree.board
	b.mu.Lock()
	p.bulk = b.clock.Now()
	until := p.bulk.Add(w1Conversion)
	b.mu.Unlock()
	return b.clock.SleepUntil(ctx, until)
}

// bulkState is -1 while a bulk conversion is under way, 1 while a result of it
// is unread, else 0.
func (p *w1Probe) bulkState(context.Context) ([]byte, error) {
	b := p.tree.board
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case p.bulk.IsZero():
		return []byte("0\n"), nil
	case b.clock.Now().Before(p.bulk.Add(w1Conversion)):
		return []byte("-1\n"), nil
	}
	return []byte("1\n"), nil
}

// convert is the temperature in sixteenths of a degree. It isn't ok during a
// bulk conversion: the kernel then gives an empty file.
func (p *w1Probe) convert(ctx context.Context) (sixteenths int, ok bool, err error) {
	b := p.tree.board
	b.mu.Lock()
	now := b.clock.Now()
	at, bulk := p.bulk, !p.bulk.IsZero()
	if bulk && now.Before(at.Add(w1Conversion)) {
		b.mu.Unlock()
		return 0, false, nil
	}
	p.bulk = 0
	b.mu.Unlock()
	if !bulk {
		at = now
		if err := b.clock.SleepUntil(ctx, now.Add(w1Conversion)); err != nil {
			return 0, false, err
		}
	}
	return int(math.Round(b.Values(at).PondTemperature * 16)), true, nil
}

func (p *w1Probe) temperature(ctx context.Context) ([]byte, error) {
	sixteenths, ok, err := p.convert(ctx)
	if err != nil || !ok {
		return nil, err
	}
	return fmt.Appendf(nil, "%d\n", sixteenths*1000/16), nil
}

func (p *w1Probe) slave(ctx context.Context) ([]byte, error) {
	sixteenths, ok, err := p.convert(ctx)
	if err != nil || !ok {
		return nil, err
	}
	pad := scratchpad(sixteenths)
	return fmt.Appendf(nil, "% x : crc=%02x YES\n% x t=%d\n", pad, pad[8], pad, sixteenths*1000/16), nil
}

// scratchpad is the chip's memory: DS18B20 data sheet, figure 9, with the
// alarms and the byte 0x10 - COUNT_REMAIN as after power-up.
func scratchpad(sixteenths int) []byte {
	pad := []byte{byte(sixteenths), byte(sixteenths >> 8), 0x4b, 0x46, 0x7f, 0xff, byte(0x10 - sixteenths&0xf), 0x10}
	return append(pad, crcDallas(pad))
}

// crcDallas is x⁸+x⁵+x⁴+1, least significant bit first: DS18B20 data sheet,
// figure 11.
func crcDallas(data []byte) byte {
	var crc byte
	for _, b := range data {
		for bit := range 8 {
			mix := (crc ^ b>>bit) & 1
			crc >>= 1
			if mix == 1 {
				crc ^= 0x8c
			}
		}
	}
	return crc
}
