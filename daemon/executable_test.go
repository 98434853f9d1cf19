package daemon

import (
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
	if err := copyLoadable(w, strings.NewReader("#!/bin/sh\n")); err == nil || !strings.Contains(err.Error(), "read the executable") {
		t.Errorf("a script: %v", err)
	}
	if err := copyLoadable(full{}, r); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("no space: %v", err)
	}
}

type full struct{}

func (full) WriteAt([]byte, int64) (int, error) { return 0, unix.ENOSPC }

func TestForgetSectionsOf32Bit(t *testing.T) {
	data := slices.Repeat([]byte{0xff}, 52)
	forgetSections(data, binary.LittleEndian, elf.ELFCLASS32)
	for i, b := range data {
		gone := i >= 0x20 && i < 0x24 || i >= 0x30
		if (b == 0) != gone {
			t.Errorf("byte %#x is %#x", i, b)
		}
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
		{"/run", false, true}, {"/run/user/1000", false, true}, {"/dev/shm", false, true}, {"/sys", false, true},
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
