package protocol

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"syscall"
	"testing"
)

func TestFramesRoundTrip(t *testing.T) {
	var wire bytes.Buffer
	bodies := [][]byte{nil, []byte("stdin"), bytes.Repeat([]byte{0, 0xff}, 70000)}
	for i, body := range bodies {
		if err := Write(&wire, Request{ID: uint64(i), Method: MethodStart}, body); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range bodies {
		var q Request
		got, err := Read(&wire, &q)
		if err != nil {
			t.Fatal(err)
		}
		if q.ID != uint64(i) || q.Method != MethodStart || !bytes.Equal(got, want) {
			t.Errorf("frame %d came back as %+v with %d bytes, want %d", i, q, len(got), len(want))
		}
	}
	if _, err := Read(&wire, &Request{}); err != io.EOF {
		t.Errorf("after the last frame: %v, want io.EOF", err)
	}
}

func TestReadRefuses(t *testing.T) {
	for name, c := range map[string]struct{ wire, want string }{
		"cut lengths":   {"\x00\x00", "unexpected EOF"},
		"cut header":    {"\x00\x00\x00\x05\x00\x00\x00\x00{}", "unexpected EOF"},
		"no JSON":       {"\x00\x00\x00\x02\x00\x00\x00\x00{x", "decoding a frame's header"},
		"out of step":   {"{\"ID\":1,", "out of step"},
		"body too long": {"\x00\x00\x00\x02\xff\x00\x00\x00{}", "out of step"},
	} {
		if _, err := Read(strings.NewReader(c.wire), &Request{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestErrorKeepsErrno(t *testing.T) {
	e := NewError(fmt.Errorf("opening: %w", &fs.PathError{Op: "open", Path: "/x", Err: syscall.ENOENT}))
	if !errors.Is(e, fs.ErrNotExist) || !strings.Contains(e.Error(), "open /x") {
		t.Errorf("got %v with errno %d", e, e.Errno)
	}
	if plain := NewError(errors.New("no errno")); errors.Unwrap(plain) != nil {
		t.Errorf("an error without errno unwraps to %v", errors.Unwrap(plain))
	}
}
