package daemon

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestCopyLoadable(t *testing.T) {
	r, err := os.Open(self)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	path := filepath.Join(t.TempDir(), "copy")
	w, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := copyLoadable(w, r); err != nil {
		t.Fatal(err)
	}
	want, err := elf.NewFile(r)
	if err != nil {
		t.Fatal(err)
	}
	got, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	if len(got.Sections) != 0 {
		t.Errorf("%d sections are left", len(got.Sections))
	}
	for i, p := range want.Progs {
		if p.Type != elf.PT_LOAD {
			continue
		}
		a, err := io.ReadAll(p.Open())
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(got.Progs[i].Open())
		if err != nil {
			t.Fatal(err)
		}
		if p.Off == 0 { // holds the ELF header, which differs
			a, b = a[64:], b[64:]
		}
		if !slices.Equal(a, b) {
			t.Errorf("segment %d differs", i)
		}
	}
	if err := copyLoadable(full{}, r); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("no space: %v", err)
	}
}

type full struct{}

func (full) WriteAt([]byte, int64) (int, error) { return 0, unix.ENOSPC }

// elfFile is an executable with a symbol table behind its two segments, of any
// class and byte order: as much of one as is looked at.
func elfFile(t *testing.T, class elf.Class, order binary.ByteOrder) []byte {
	t.Helper()
	ident := [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(class), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)}
	if order == binary.BigEndian {
		ident[elf.EI_DATA] = byte(elf.ELFDATA2MSB)
	}
	var parts []any
	if class == elf.ELFCLASS32 {
		parts = []any{
			elf.Header32{Ident: ident, Type: uint16(elf.ET_EXEC), Machine: uint16(elf.EM_ARM), Version: 1, Entry: 0x1234, Phoff: 0x34, Shoff: 0x130,
				Flags: 0x5000400, Ehsize: 0x34, Phentsize: 0x20, Phnum: 3, Shentsize: 0x28, Shnum: 2, Shstrndx: 1},
			elf.Prog32{Type: uint32(elf.PT_NOTE), Off: 0x110, Filesz: 0x20},
			elf.Prog32{Type: uint32(elf.PT_LOAD), Off: 0xc0, Vaddr: 0x1000, Filesz: 0x40, Memsz: 0x1000},
			elf.Prog32{Type: uint32(elf.PT_LOAD), Off: 0, Filesz: 0xa0, Memsz: 0xa0},
		}
	} else {
		parts = []any{
			elf.Header64{Ident: ident, Type: uint16(elf.ET_EXEC), Machine: uint16(elf.EM_AARCH64), Version: 1, Entry: 0x1234, Phoff: 0x40, Shoff: 0x130,
				Ehsize: 0x40, Phentsize: 0x38, Phnum: 3, Shentsize: 0x40, Shnum: 2, Shstrndx: 1},
			elf.Prog64{Type: uint32(elf.PT_NOTE), Off: 0x110, Filesz: 0x20},
			elf.Prog64{Type: uint32(elf.PT_LOAD), Off: 0xc0, Vaddr: 0x1000, Filesz: 0x40, Memsz: 0x1000},
			elf.Prog64{Type: uint32(elf.PT_LOAD), Off: 0, Filesz: 0xa0, Memsz: 0xa0},
		}
	}
	var file bytes.Buffer
	for _, p := range parts {
		if err := binary.Write(&file, order, p); err != nil {
			t.Fatal(err)
		}
	}
	file.Write(slices.Repeat([]byte{0xaa}, 0x130-file.Len()))
	// A section table of nothing and of a table of names.
	sections := []any{elf.Section64{}, elf.Section64{Type: uint32(elf.SHT_STRTAB), Off: 0x130, Size: 0x10}}
	if class == elf.ELFCLASS32 {
		sections = []any{elf.Section32{}, elf.Section32{Type: uint32(elf.SHT_STRTAB), Off: 0x130, Size: 0x10}}
	}
	for _, s := range sections {
		if err := binary.Write(&file, order, s); err != nil {
			t.Fatal(err)
		}
	}
	return file.Bytes()
}

func TestReadLoadable(t *testing.T) {
	for _, class := range []elf.Class{elf.ELFCLASS32, elf.ELFCLASS64} {
		for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
			file := elfFile(t, class, order)
			got, err := readLoadable(bytes.NewReader(file))
			if err != nil {
				t.Fatalf("%v, %v: %v", class, order, err)
			}
			if len(got) != 0x100 { // where the later segment ends
				t.Errorf("%v, %v: %#x bytes", class, order, len(got))
			}
			f, err := elf.NewFile(bytes.NewReader(got))
			if err != nil {
				t.Fatalf("%v, %v: %v", class, order, err)
			}
			want := slices.Clone(file[:0x100])
			// e_shoff, e_shnum and e_shstrndx; elf(5)
			if class == elf.ELFCLASS32 {
				clear(want[0x20:0x24])
				clear(want[0x30:0x34])
			} else {
				clear(want[0x28:0x30])
				clear(want[0x3c:0x40])
			}
			if !slices.Equal(got, want) || len(f.Sections) != 0 || len(f.Progs) != 3 {
				t.Errorf("%v, %v: got %x\nwant %x", class, order, got, want)
			}
		}
	}
}

func TestReadLoadableOfJunk(t *testing.T) {
	good := elfFile(t, elf.ELFCLASS64, binary.LittleEndian)
	change := func(at int, bytes ...byte) []byte {
		data := slices.Clone(good)
		copy(data[at:], bytes)
		return data
	}
	withoutTable := slices.Clone(good)
	clear(withoutTable[0x28:0x30])
	clear(withoutTable[0x3c:0x40])
	noSegments := change(0x40+0x38, byte(elf.PT_NOTE))
	noSegments[0x40+2*0x38] = byte(elf.PT_NOTE)
	for _, tt := range []struct {
		name string
		data []byte
		want string
	}{
		{"nothing", nil, "EOF"},
		{"a script", []byte("#!/bin/sh\n"), "EOF"},
		{"a long script", slices.Repeat([]byte("#!/bin/sh\n"), 20), "bad magic number"},
		{"of another class", change(4, 3), "unknown ELF class"},
		{"of another byte order", change(5, 0), "unknown ELF data encoding"},
		{"without program headers", change(0x38, 0), "segments end at byte 0"},
		{"program headers that aren't there", change(0x20, 0xb0, 1), "EOF"},
		{"program headers at a negative place", change(0x27, 0x80), "invalid phoff"},
		{"a segment that is cut off", withoutTable[:0xf0], "EOF"},
		{"without segments", noSegments, "segments end at byte 0"},
		{"a segment without an end", change(0x40+0x38+0x26, 1), "segments end at byte 281474976710912"},
	} {
		data, err := readLoadable(bytes.NewReader(tt.data))
		if data != nil || err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %d bytes, %v, want %s", tt.name, len(data), err, tt.want)
		}
	}
	if err := copyLoadable(full{}, strings.NewReader("#!/bin/sh\n")); err == nil || !strings.Contains(err.Error(), "read the executable") {
		t.Errorf("a script: %v", err)
	}
}

func TestMounts(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mountinfo")
	text := `36 35 98:0 /mnt1 /mnt/my\040stick\134 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
37 35 0:25 / / rw - overlay overlay rw
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	mounts, err := readMounts(file)
	if err != nil {
		t.Fatal(err)
	}
	want := Mount{ID: 36, Point: `/mnt/my stick\`, Type: "ext3", Source: "/dev/root", Device: "98:0"}
	if len(mounts) != 2 || mounts[36] != want || mounts[37].Point != "/" {
		t.Errorf("got %+v", mounts)
	}
	for _, bad := range []string{"garbage\n", "x 35 98:0 / / rw - ext3 a b\n", "1 2 3 4\n"} {
		if err := os.WriteFile(file, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if m, err := readMounts(file); err == nil {
			t.Errorf("%q: %v", bad, m)
		}
	}
}

func TestStays(t *testing.T) {
	for _, tt := range []struct {
		point     string
		removable bool
		want      bool
	}{
		{"/", false, true}, {"/", true, true}, {"/usr", true, true}, {"/home", false, true}, {"/home", true, false},
		{"/opt", true, false}, {"/mnt/stick", false, false}, {"/media/pi/STICK", true, false}, {"/run/media/pi/STICK", false, false},
		{"/run", false, true}, {"/run", true, false}, {"/run/x", false, false}, {"/run/user/1000", false, false}, {"/dev/shm", false, false},
		{"/sys", false, true}, {"/proc", false, true}, {"/dev", false, true},
		{"/tmp", false, false}, {"/running", false, false},
	} {
		if got := (Mount{Point: tt.point, Removable: tt.removable}).Stays(); got != tt.want {
			t.Errorf("%s, removable %v: %v", tt.point, tt.removable, got)
		}
	}
}

func TestMountOf(t *testing.T) {
	proc, err := MountOf("/proc/self/status")
	if err != nil || proc.Type != "proc" {
		t.Errorf("got %+v, %v", proc, err)
	}
	dir := t.TempDir()
	here, err := MountOf(dir)
	if err != nil {
		t.Fatal(err)
	}
	missing, err := MountOf(filepath.Join(dir, "not", "there"))
	if err != nil || missing != here {
		t.Errorf("a path that isn't there: %+v, %v, want %+v", missing, err, here)
	}
	if _, err := MountOf(filepath.Join(self, "x")); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("below a file: %v", err)
	}
}
