//go:build system

package pi

import (
	"encoding/binary"
	"fmt"
	"math"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"example.org/dormouse/test/kit"
)

// A plantower is a PMS5003 at the far end of the mini UART, by its data manual
// (V2.3, appendices I and II). It is powered and asleep at first.
type plantower struct {
	mu sync.Mutex
	// standard and atmospheric are the masses up to 1, 2.5 and 10 µm, in µg/m³.
	standard, atmospheric [3]uint16
	badSum                bool // the next measurements have a wrong sum
	deaf                  bool // it answers nothing
	awake, passive        bool
	heard                 []string // what it was told, in words
}

// change changes the sensor while it serves.
func (p *plantower) change(f func(*plantower)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(p)
}

// serve answers commands until the connection is closed. Bytes that are no
// command are passed over: QEMU's UART sends two when the machine boots.
func (p *plantower) serve(conn net.Conn) {
	var in []byte
	part := make([]byte, 256)
	for {
		n, err := conn.Read(part)
		if err != nil {
			return
		}
		in = append(in, part[:n]...)
		for len(in) >= 7 {
			if in[0] != 0x42 || in[1] != 0x4d || pmsSum(in[:5]) != binary.BigEndian.Uint16(in[5:7]) {
				in = in[1:]
				continue
			}
			if _, err := conn.Write(p.obey(in[2], in[4])); err != nil {
				return
			}
			in = in[7:]
		}
	}
}

// obey does what a command says and returns what the sensor sends then.
func (p *plantower) obey(command, argument byte) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case command == 0xe4 && argument == 1:
		// Woken, it sends by itself.
		p.heard, p.awake, p.passive = append(p.heard, "wake"), true, false
		return p.said(p.measurement())
	case command == 0xe4:
		p.heard, p.awake = append(p.heard, "sleep"), false
		return p.said(framed([]byte{0xe4, 0}))
	case command == 0xe1 && p.awake:
		p.heard, p.passive = append(p.heard, "mode"), argument == 0
		return p.said(framed([]byte{0xe1, argument}))
	case command == 0xe2 && p.awake && p.passive:
		p.heard = append(p.heard, "read")
		return p.said(p.measurement())
	}
	p.heard = append(p.heard, "nothing it understands now")
	return nil
}

func (p *plantower) said(frame []byte) []byte {
	if p.deaf {
		return nil
	}
	return frame
}

// measurement is a frame of 13 words: masses, numbers of particles (none here),
// and a reserved one.
func (p *plantower) measurement() []byte {
	data := make([]byte, 26)
	for i, v := range slices.Concat(p.standard[:], p.atmospheric[:]) {
		binary.BigEndian.PutUint16(data[2*i:], v)
	}
	frame := framed(data)
	if p.badSum {
		frame[len(frame)-1] ^= 1
	}
	return frame
}

// framed puts the head, the length and the sum around data.
func framed(data []byte) []byte {
	frame := binary.BigEndian.AppendUint16([]byte{0x42, 0x4d}, uint16(len(data)+2))
	frame = append(frame, data...)
	return binary.BigEndian.AppendUint16(frame, pmsSum(frame))
}

func pmsSum(data []byte) (sum uint16) {
	for _, b := range data {
		sum += uint16(b)
	}
	return sum
}

// serial reads a particle sensor over the board's mini UART.
func serial(t *testing.T, b *bench) {
	dust := &plantower{standard: [3]uint16{3, 5, 8}, atmospheric: [3]uint16{4, 6, 9}}
	go dust.serve(b.pi.Serial)
	d := b.Daemon(t, "--sensor=dust=pms5003,port=/dev/ttyS1,settle=1s,timeout=30s,retries=0")
	read := func(change func(*plantower)) (up bool, reason string, micrograms map[string]float64) {
		t.Helper()
		dust.change(change)
		s := d.Read()["dust"]
		micrograms = map[string]float64{}
		for _, r := range s.Readings {
			micrograms[r.Labels["size"]] = math.Round(*r.Value * 1e6)
		}
		t.Logf("up %t, %s %s", *s.Up, s.Reason, s.Error)
		return *s.Up, s.Reason, micrograms
	}
	for _, masses := range [][3]uint16{{4, 6, 9}, {0, 0, 0}, {13, 22, 500}} {
		up, reason, got := read(func(p *plantower) { p.atmospheric = masses })
		if want := [3]float64{float64(masses[0]), float64(masses[1]), float64(masses[2])}; !up || len(got) != 3 || [3]float64{got["1"], got["2.5"], got["10"]} != want {
			t.Errorf("at %v µg/m³: up %t, %s, %v", masses, up, reason, got)
		}
	}
	if up, reason, got := read(func(p *plantower) { p.badSum = true }); up || reason != "checksum" || len(got) > 0 {
		t.Errorf("with a wrong sum: up %t, %s, %v", up, reason, got)
	}
	if up, reason, got := read(func(p *plantower) { p.badSum, p.deaf = false, true }); up || reason != "no_answer" || len(got) > 0 {
		t.Errorf("with a sensor that doesn't answer: up %t, %s, %v", up, reason, got)
	}
	if up, reason, _ := read(func(p *plantower) { p.deaf = false }); !up {
		t.Errorf("with a sensor that answers again: down, %s", reason)
	}
	info, err := b.Inspect(t.Context(), d.PID)
	kit.Must(t, err)
	for fd, link := range info.Files {
		if strings.HasPrefix(link, "/dev/tty") {
			t.Errorf("after the read it holds %d → %s", fd, link)
		}
	}
	// The last command is on its way when the read has ended.
	kit.Eventually(t, func() (err error) {
		dust.change(func(p *plantower) {
			if p.awake || p.heard[len(p.heard)-1] != "sleep" || slices.Contains(p.heard, "nothing it understands now") {
				err = fmt.Errorf("the sensor is awake: %t; it heard %q", p.awake, p.heard)
			}
		})
		return err
	})
}
