package daemon

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"
)

// maxExecutable is more than any executable of ours has, and less than a wrong
// header may ask for.
const maxExecutable = 1 << 30

// readLoadable reads of an ELF file what the kernel maps, its PT_LOAD segments,
// without the symbols and the debugging information that follow them. The header
// doesn't point at the section table any more, which isn't there.
func readLoadable(r io.ReaderAt) ([]byte, error) {
	f, err := elf.NewFile(r)
	if err != nil {
		return nil, err
	}
	var end uint64
	for _, p := range f.Progs {
		if p.Type == elf.PT_LOAD {
			end = max(end, p.Off+p.Filesz)
		}
	}
	if end < uint64(binary.Size(elf.Header64{})) || end > maxExecutable {
		return nil, fmt.Errorf("its segments end at byte %d", end)
	}
	data := make([]byte, end)
	if _, err := r.ReadAt(data, 0); err != nil {
		return nil, err
	}
	return data, withoutSections(data, f.Class, f.ByteOrder)
}

// withoutSections removes the section table from an ELF header; elf(5).
func withoutSections(data []byte, class elf.Class, order binary.ByteOrder) error {
	var header any
	switch class {
	case elf.ELFCLASS32:
		h := &elf.Header32{}
		if _, err := binary.Decode(data, order, h); err != nil {
			return err
		}
		h.Shoff, h.Shnum, h.Shstrndx = 0, 0, 0
		header = h
	default: // of which elf.NewFile lets only ELFCLASS64 pass
		h := &elf.Header64{}
		if _, err := binary.Decode(data, order, h); err != nil {
			return err
		}
		h.Shoff, h.Shnum, h.Shstrndx = 0, 0, 0
		header = h
	}
	_, err := binary.Encode(data, order, header)
	return err
}
