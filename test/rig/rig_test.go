package rig

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestCPIO reads the archive back by the format's description.
func TestCPIO(t *testing.T) {
	var out bytes.Buffer
	c := newCPIO(&out)
	c.File("a/b/tool", 0o755, []byte("hello"))
	c.Symlink("/a/link", "b/tool")
	c.CharDevice("dev/console", 0o600, 5, 1)
	c.Dir("a", 0o700)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if out.Len()%512 != 0 {
		t.Errorf("%d bytes: another archive can't follow", out.Len())
	}
	var got []string
	for p := out.Bytes(); ; {
		field := func(i int) int {
			v, err := strconv.ParseUint(string(p[6+8*i:14+8*i]), 16, 32)
			if err != nil {
				t.Fatal(err)
			}
			return int(v)
		}
		if string(p[:6]) != "070701" {
			t.Fatalf("no header but %q", p[:6])
		}
		mode, links, size, major, minor, n := field(1), field(4), field(6), field(9), field(10), field(11)
		name := string(p[110 : 110+n-1])
		body := (110 + n + 3) &^ 3
		got = append(got, fmt.Sprintf("%s %o %d %d:%d %s", name, mode, links, major, minor, p[body:body+size]))
		if name == "TRAILER!!!" {
			break
		}
		p = p[(body+size+3)&^3:]
	}
	want := []string{
		"a 40755 2 0:0 ", "a/b 40755 2 0:0 ", "a/b/tool 100755 1 0:0 hello", "a/link 120777 1 0:0 b/tool",
		"dev 40755 2 0:0 ", "dev/console 20600 1 5:1 ", "TRAILER!!! 0 1 0:0 ",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

type full struct{ room int }

func (f *full) Write(p []byte) (int, error) {
	if f.room -= len(p); f.room < 0 {
		return 0, unix.ENOSPC
	}
	return len(p), nil
}

func TestCPIOKeepsTheFirstError(t *testing.T) {
	c := newCPIO(&full{room: 200})
	c.File("f", 0o644, make([]byte, 1000))
	if err := c.Close(); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("got %v", err)
	}
}

func TestParseGPIOTrace(t *testing.T) {
	text := `# tracer: nop
#
# entries-in-buffer/entries-written: 3/3   #P:1
        dormouse-71      [000] .....    12.345678: gpio_value: 475 set 1
 my prog - x-1234    [000] d..1.  1012.000009: gpio_direction: 475 out (0)
           <...>-9       [000] .....    12.345680: gpio_direction: 476  in (-16)
          guest-80      [001] d.h2.    13.000000: gpio_value: 476 get 0
`
	want := []GPIOEvent{
		{At: 12345678 * time.Microsecond, Task: "dormouse", TID: 71, GPIO: 475, Out: true, High: true},
		{At: 1012000009 * time.Microsecond, Task: "my prog - x", TID: 1234, GPIO: 475, Direction: true, Out: true},
		{At: 12345680 * time.Microsecond, Task: "<...>", TID: 9, GPIO: 476, Direction: true, Err: -16},
		{At: 13 * time.Second, Task: "guest", TID: 80, GPIO: 476},
	}
	got, err := parseGPIOTrace([]byte(text))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\ngot  %+v\nwant %+v", err, got, want)
	}
	chip := &GPIOChip{Base: 458}
	if own := chip.Line(got, 18); len(own) != 2 || own[0].TID != 9 {
		t.Errorf("line 18 has %+v", own)
	}
	for line, want := range map[string]string{
		"CPU:0 [LOST 12 EVENTS]":                                          "overflowed",
		"x-1 [000] ..... 1.000000: sched_wakeup: comm=x":                  "not an event of a GPIO line",
		"x [000] ..... 1.000000: gpio_value: 475 set 1":                   "no thread number",
		"x-y [000] ..... 1.000000: gpio_value: 475 set 1":                 "invalid syntax",
		"x-1 [000] ..... 1: gpio_value: 475 set 1":                        "invalid syntax",
		"x-1 [000] ..... a.000000: gpio_value: 475 set 1":                 "invalid syntax",
		"x-1 [000] ..... 1.000000: gpio_value: line set 1":                "expected integer",
		"x-1 [000] ..... 1.000000: gpio_value: 475 set high":              "invalid syntax",
		"x-1 [000] ..... 1.000000: gpio_mood: 475 set 1":                  "unknown event",
		"x-1 [000] ..... 1.000000: gpio_value: 475 set 1\nCPU:0 [LOST 1 ": "overflowed",
	} {
		if _, err := parseGPIOTrace([]byte(line)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", line, err, want)
		}
	}
}

func TestHeaderLines(t *testing.T) {
	lines := HeaderLines()
	if len(lines) != 54 || lines[0] != "ID_SDA" || lines[2] != "GPIO2" || lines[27] != "GPIO27" {
		t.Errorf("%d lines: %v", len(lines), lines)
	}
	seen := map[string]bool{}
	for _, l := range lines {
		if seen[l] {
			t.Errorf("two lines are called %s", l)
		}
		seen[l] = true
	}
}

func TestLoadOrder(t *testing.T) {
	needs := map[string][]string{"a": {"b", "c"}, "b": {"d"}, "c": {"d", "b"}, "d": nil}
	if got := loadOrder("a", needs); !slices.Equal(got, []string{"d", "b", "c", "a"}) {
		t.Errorf("a is loaded after %v", got)
	}
}

// module is an ELF file with nothing but the section .modinfo.
func module(section, info string) []byte {
	names := "\x00.shstrtab\x00" + section + "\x00"
	var out bytes.Buffer
	body := names + info
	header := elf.Header64{
		Ident: [16]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(elf.ET_REL), Machine: uint16(elf.EM_X86_64), Version: 1,
		Shoff: uint64(64 + len(body)), Ehsize: 64, Shentsize: 64, Shnum: 3, Shstrndx: 1,
	}
	sections := []elf.Section64{
		{},
		{Name: 1, Type: uint32(elf.SHT_STRTAB), Off: 64, Size: uint64(len(names))},
		{Name: 11, Type: uint32(elf.SHT_PROGBITS), Off: uint64(64 + len(names)), Size: uint64(len(info))},
	}
	for _, v := range []any{header, []byte(body), sections} {
		if err := binary.Write(&out, binary.LittleEndian, v); err != nil {
			panic(err)
		}
	}
	return out.Bytes()
}

func TestDependencies(t *testing.T) {
	for info, want := range map[string][]string{
		"license=GPL\x00depends=usb-common,i2c_core\x00name=x\x00": {"usb_common", "i2c_core"},
		"depends=\x00": {},
	} {
		if got, err := dependencies(module(".modinfo", info)); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v", info, got, err)
		}
	}
	for want, content := range map[string][]byte{
		"no section .modinfo": module(".text", "x"),
		"EOF":                 []byte("\x7fELF"),
	} {
		if _, err := dependencies(content); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestUnpackKernelRefuses(t *testing.T) {
	image := func(offset, length uint32, payload string) []byte {
		p := make([]byte, 1024+len(payload))
		p[0x1f1] = 1
		copy(p[0x202:], "HdrS")
		binary.LittleEndian.PutUint32(p[0x248:], offset)
		binary.LittleEndian.PutUint32(p[0x24c:], length)
		copy(p[1024:], payload)
		return p
	}
	for want, p := range map[string][]byte{
		"no bzImage":            []byte("MZ"),
		"lies outside its 1024": image(0, 5000, ""),
		"lies outside its 1027": image(0, 3, "\xfd7z"),
		"neither xz nor zstd":   image(0, 8, "\x1f\x8b345678"),
		"unknown dictionary":    image(0, 12, "\x28\xb5\x2f\xfdabcdefgh"),
		"unpacking the kernel":  image(0, 10, "\xfd7zXZ\x00abcd"),
	} {
		if _, err := unpackKernel(t.Context(), p); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestPipeline(t *testing.T) {
	dir := t.TempDir()
	// The last command stops early; the first would write for ever.
	err := pipeline(t.Context(), dir, exec.Command("yes"), exec.Command("sh", "-c", "head -c 4 >out"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "out")); err != nil || string(got) != "y\ny\n" {
		t.Errorf("%q, %v", got, err)
	}
	err = pipeline(t.Context(), dir, exec.Command("true"), exec.Command("sh", "-c", "echo why >&2; exit 3"))
	if err == nil || !strings.Contains(err.Error(), "why") {
		t.Errorf("a failing end: %v", err)
	}
	if err := pipeline(t.Context(), dir, exec.Command("/no/such"), exec.Command("true")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no such program: %v", err)
	}
}

func TestBuildLeavesAllOrNothing(t *testing.T) {
	target := filepath.Join(t.TempDir(), "deep", "thing")
	sad := errors.New("sad")
	fill := func(err error) func(string) error {
		return func(dir string) error {
			return errors.Join(os.WriteFile(filepath.Join(dir, "f"), nil, 0o644), err)
		}
	}
	if err := build(target, fill(sad)); !errors.Is(err, sad) {
		t.Errorf("got %v", err)
	}
	left, err := os.ReadDir(filepath.Dir(target))
	if err != nil || len(left) != 0 {
		t.Errorf("a failure left %v, %v", left, err)
	}
	if err := build(target, fill(nil)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(target, "f")); err != nil {
		t.Error(err)
	}
}

func TestCacheDirAndLock(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	t.Setenv("DORMOUSE_RIG_CACHE", dir)
	cache, err := cacheDir()
	if err != nil || cache != dir {
		t.Fatalf("%s, %v", cache, err)
	}
	err = locked(cache, func() error {
		other, err := os.Open(filepath.Join(cache, "lock"))
		if err != nil {
			return err
		}
		defer other.Close()
		if err := unix.Flock(int(other.Fd()), unix.LOCK_EX|unix.LOCK_NB); !errors.Is(err, unix.EWOULDBLOCK) {
			t.Errorf("a second lock: %v", err)
		}
		return unix.ENOTTY
	})
	if !errors.Is(err, unix.ENOTTY) {
		t.Errorf("the error of what ran under the lock became %v", err)
	}
}

func TestCachedImage(t *testing.T) {
	dir := t.TempDir()
	current := filepath.Join(dir, "current-k")
	if _, err := cached(current); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an empty cache: %v", err)
	}
	write := func(name, content string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("current-k", "6.1.0-9-amd64-k")
	write("6.1.0-9-amd64-k/vmlinux", "")
	if _, err := cached(current); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("half a cache: %v", err)
	}
	write("6.1.0-9-amd64-k/bzImage", "")
	write("6.1.0-9-amd64-k/base.cpio", "")
	im, err := cached(current)
	if err != nil || im.release != "6.1.0-9-amd64" || im.vmlinux != filepath.Join(dir, "6.1.0-9-amd64-k/vmlinux") {
		t.Errorf("%+v, %v", im, err)
	}
}

func TestCommandTellsWhatWasSaid(t *testing.T) {
	for script, want := range map[string]string{
		"echo out; echo why >&2; exit 3": "exit status 3: why",
		"echo only out; exit 4":          "exit status 4: only out",
	} {
		if _, err := command(t.Context(), "", "sh", "-c", script); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := command(ctx, "", "sleep", "100"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestBuildTellsWhatTheCompilerSaid(t *testing.T) {
	target := filepath.Join(t.TempDir(), "program")
	if err := Build(t.Context(), target, "no/such/program"); err == nil || !strings.Contains(err.Error(), "building no/such/program: exit status 1: ") ||
		!strings.Contains(err.Error(), "example.org/dormouse/no/such/program") {
		t.Errorf("got %v", err)
	}
}

func TestThermalTable(t *testing.T) {
	table := thermalTable()
	var sum byte
	for _, b := range table {
		sum += b
	}
	if sum != 0 || int(binary.LittleEndian.Uint32(table[4:])) != len(table) || len(table) != 36+30 {
		t.Errorf("checksum %d, %d bytes: % x", sum, len(table), table)
	}
	if !bytes.Contains(table, []byte("_TMP\x0b\x50\x0c")) {
		t.Errorf("no temperature of 3152 in % x", table)
	}
}
