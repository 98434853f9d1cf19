package daemon

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// An elfLayout says where in an ELF header and in a program header those fields
// are that matter here, in bytes: elf(5), and in the same order there.
//
// Package debug/elf would do, and would bring all that understands debugging
// information into an executable whose size counts.
type elfLayout struct {
	wordSize                    int
	headerSize                  int
	phoff, shoff                int
	phentsize, phnum            int
	shnum, shstrndx             int
	programSize, offset, filesz int
}

var (
	elf32 = elfLayout{4, 0x34, 0x1c, 0x20, 0x2a, 0x2c, 0x30, 0x32, 0x20, 0x04, 0x10}
	elf64 = elfLayout{8, 0x40, 0x20, 0x28, 0x36, 0x38, 0x3c, 0x3e, 0x38, 0x08, 0x20}
)

// Of e_ident and p_type.
const (
	elfClass, elf32Bit, elf64Bit           = 4, 1, 2
	elfData, elfLittleEndian, elfBigEndian = 5, 1, 2
	elfLoad                                = 1
)

// readLoadable reads of an ELF file what the kernel maps, its PT_LOAD segments,
// without symbols and debugging information that follow them. The header doesn't
// point at the section table any more, which isn't there.
func readLoadable(r io.ReaderAt) ([]byte, error) {
	header := make([]byte, elf64.headerSize) // a 32-bit one is shorter, but no program ends there
	if _, err := r.ReadAt(header, 0); err != nil {
		return nil, err
	}
	layout, order, err := elfKind(header)
	if err != nil {
		return nil, err
	}
	size, n := order.Uint16(header[layout.phentsize:]), order.Uint16(header[layout.phnum:])
	if int(size) != layout.programSize || n == 0 {
		return nil, fmt.Errorf("%d program headers of %d bytes", n, size)
	}
	programs := make([]byte, int(size)*int(n))
	if _, err := r.ReadAt(programs, int64(layout.word(header[layout.phoff:], order))); err != nil {
		return nil, fmt.Errorf("its program headers: %w", err)
	}
	var end uint64
	for ; len(programs) > 0; programs = programs[size:] {
		if order.Uint32(programs) == elfLoad {
			end = max(end, layout.word(programs[layout.offset:], order)+layout.word(programs[layout.filesz:], order))
		}
	}
	if end < uint64(len(header)) || end > mostExecutable {
		return nil, fmt.Errorf("its segments end at byte %d", end)
	}
	data := make([]byte, end)
	if _, err := r.ReadAt(data, 0); err != nil {
		return nil, err
	}
	clear(data[layout.shoff:][:layout.wordSize])
	order.PutUint16(data[layout.shnum:], 0)
	order.PutUint16(data[layout.shstrndx:], 0)
	return data, nil
}

// mostExecutable is more than any executable of ours has, and less than a wrong
// header may ask for.
const mostExecutable = 1 << 30

// elfKind says what an ELF header promises of the rest.
func elfKind(header []byte) (*elfLayout, binary.ByteOrder, error) {
	if string(header[:4]) != "\x7fELF" {
		return nil, nil, errors.New("it is no ELF file")
	}
	layouts := map[byte]*elfLayout{elf32Bit: &elf32, elf64Bit: &elf64}
	orders := map[byte]binary.ByteOrder{elfLittleEndian: binary.LittleEndian, elfBigEndian: binary.BigEndian}
	layout, order := layouts[header[elfClass]], orders[header[elfData]]
	if layout == nil || order == nil {
		return nil, nil, fmt.Errorf("it is an ELF file of unknown class %d or byte order %d", header[elfClass], header[elfData])
	}
	return layout, order, nil
}

// word is a field as wide as an address.
func (l *elfLayout) word(field []byte, order binary.ByteOrder) uint64 {
	if l.wordSize == 4 {
		return uint64(order.Uint32(field))
	}
	return order.Uint64(field)
}
