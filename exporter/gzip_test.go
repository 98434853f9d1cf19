package exporter

import (
	"bytes"
	"compress/gzip"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

func unpack(t testing.TB, packed []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(z) // checks length and checksum, too
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestPack(t *testing.T) {
	noise := make([]byte, 100_000)
	random := rand.NewChaCha8([32]byte{1})
	if _, err := random.Read(noise); err != nil {
		t.Fatal(err)
	}
	far := func(distance int) string {
		return "a pattern" + string(noise[:distance-len("a pattern")]) + "a pattern"
	}
	var lengths strings.Builder
	for n := range 300 {
		lengths.WriteString(string(noise[n*50:n*50+40]) + string(noise[:n]))
	}
	p := &packer{}
	for name, body := range map[string]string{
		"nothing": "", "one byte": "x", "three": "abc", "four": "abcd",
		"a run": strings.Repeat("z", 100_000), "noise": string(noise),
		"every byte": func() string {
			b := make([]byte, 256)
			for i := range b {
				b[i] = byte(i)
			}
			return string(b)
		}(),
		"the farthest": far(window), "too far": far(window + 1), "every length": lengths.String(),
	} {
		if got := unpack(t, p.pack([]byte(body))); string(got) != body {
			t.Errorf("%s: %d bytes became %d others", name, len(body), len(got))
		}
	}
}

func TestPackIsSmall(t *testing.T) {
	page, err := os.ReadFile("testdata/metrics.txt")
	if err != nil {
		t.Fatal(err)
	}
	packed := (&packer{}).pack(page)
	if len(packed)*4 > len(page) {
		t.Errorf("%d bytes of a page became %d", len(page), len(packed))
	}
	t.Logf("%d bytes of a page became %d", len(page), len(packed))
	p := &packer{}
	p.pack(page)
	if n := testing.AllocsPerRun(10, func() { p.pack(page) }); n != 0 {
		t.Errorf("packing makes %v allocations", n)
	}
}

func FuzzPack(f *testing.F) {
	f.Add([]byte("abcabcabcabcabc"), 3)
	p := &packer{}
	f.Fuzz(func(t *testing.T, body []byte, times int) {
		body = bytes.Repeat(body, 1+(times&15))
		if got := unpack(t, p.pack(body)); !bytes.Equal(got, body) {
			t.Errorf("%q became %q", body, got)
		}
	})
}
