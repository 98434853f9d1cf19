package exporter

import (
	"encoding/binary"
	"hash/crc32"
	"math/bits"
)

// A packer compresses pages into the gzip format (RFC 1952), as one block with
// the code that DEFLATE has fixed (RFC 1951, section 3.2.6). It holds 16 kB
// where compress/gzip holds 1.2 MB at any level: half of what the daemon has,
// for a page of a few kB.
type packer struct {
	out  []byte
	acc  uint64 // bits not written yet, the first ones lowest
	n    uint   // how many
	seen [1 << 12]int32
}

const (
	leastMatch = 4 // shorter ones save nothing
	mostMatch  = 258
	window     = 32 << 10
)

// pack returns body compressed; the bytes are good until the next call.
func (p *packer) pack(body []byte) []byte {
	// No time, no name, an unknown operating system: RFC 1952, section 2.3.
	p.out = append(p.out[:0], 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255)
	clear(p.seen[:])
	p.acc, p.n = 0, 0
	p.put(0b011, 3) // the last block, with the fixed code
	for i := 0; i < len(body); {
		length, distance := p.match(body, i)
		if length < leastMatch {
			p.symbol(uint(body[i]))
			i++
			continue
		}
		p.length(uint(length))
		p.distance(uint(distance))
		for end := i + length; i < end; i++ {
			p.remember(body, i)
		}
	}
	p.symbol(endOfBlock)
	p.put(0, 7) // to the end of the byte; what is left over isn't written
	p.out = binary.LittleEndian.AppendUint32(p.out, crc32.ChecksumIEEE(body))
	return binary.LittleEndian.AppendUint32(p.out, uint32(len(body)))
}

// match looks for what begins at i among what came before, and remembers i.
func (p *packer) match(body []byte, i int) (length, distance int) {
	before := p.remember(body, i)
	if before < 0 || i-before > window {
		return 0, 0
	}
	most := min(len(body)-i, mostMatch)
	for length < most && body[before+length] == body[i+length] {
		length++
	}
	return length, i - before
}

// remember notes that four bytes stand at i, and returns where such, or others
// with the same hash, stood last; negative: nowhere.
func (p *packer) remember(body []byte, i int) (before int) {
	if i+leastMatch > len(body) {
		return -1
	}
	const golden = 0x9e3779b1 // 2^32 divided by the golden ratio
	hash := binary.LittleEndian.Uint32(body[i:]) * golden >> (32 - 12)
	before = int(p.seen[hash]) - 1
	p.seen[hash] = int32(i + 1)
	return before
}

// put writes the n lowest bits of v, at most 16 of them.
func (p *packer) put(v, n uint) {
	p.acc |= uint64(v) << p.n
	for p.n += n; p.n >= 8; p.n -= 8 {
		p.out = append(p.out, byte(p.acc))
		p.acc >>= 8
	}
}

// code writes a Huffman code, whose first bit is its highest.
func (p *packer) code(v uint16, n uint) { p.put(uint(bits.Reverse16(v)>>(16-n)), n) }

const endOfBlock = 256

// symbol writes a literal byte, the end of the block or a length's symbol.
func (p *packer) symbol(s uint) {
	switch {
	case s < 144:
		p.code(uint16(0x30+s), 8)
	case s < 256:
		p.code(uint16(0x190+s-144), 9)
	case s < 280:
		p.code(uint16(s-256), 7)
	default:
		p.code(uint16(0xc0+s-280), 8)
	}
}

// length writes a length of 3 to 258: RFC 1951, section 3.2.5. Above the first
// eight, four symbols share each number of extra bits.
func (p *packer) length(l uint) {
	v := l - 3
	switch {
	case l == mostMatch:
		p.symbol(285)
	case v < 8:
		p.symbol(257 + v)
	default:
		extra := uint(bits.Len(v)) - 3
		p.symbol(257 + 4 + 4*extra + v>>extra&3)
		p.put(v&(1<<extra-1), extra)
	}
}

// distance writes a distance of 1 to 32768, likewise; two symbols share each
// number of extra bits, and all have five bits.
func (p *packer) distance(d uint) {
	v := d - 1
	if v < 4 {
		p.code(uint16(v), 5)
		return
	}
	extra := uint(bits.Len(v)) - 2
	p.code(uint16(2+2*extra+v>>extra&1), 5)
	p.put(v&(1<<extra-1), extra)
}
