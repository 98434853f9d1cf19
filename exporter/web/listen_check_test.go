package web

import (
	"net"
	"strings"
	"testing"
)

func TestCheckListen(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().String()
	_, port, err := net.SplitHostPort(taken)
	if err != nil {
		t.Fatal(err)
	}
	free := []string{"127.0.0.1:0"}
	if v6, err := net.Listen("tcp", "[::1]:0"); err == nil { // else this machine has no IPv6
		free = append(free, "[::1]:0")
		v6.Close()
	}
	for _, tt := range []struct {
		name            string
		addresses, held []string
		unprivileged    bool
		want            string
	}{
		{name: "free", addresses: free},
		{name: "taken", addresses: []string{taken}, want: "another process has that port"},
		{name: "taken by who ends", addresses: []string{taken}, held: []string{taken}},
		{name: "all addresses, one of which is taken by who ends", addresses: []string{":" + port}, held: []string{taken}},
		{name: "taken by another than who ends", addresses: []string{taken}, held: []string{"127.0.0.2:" + port}, want: "another process has that port"},
		{name: "one beside the other", addresses: []string{taken, "127.0.0.1:0"}, held: []string{"127.0.0.1:1"}, want: "another process"},
		{name: "for root only", addresses: []string{"127.0.0.1:81"}, unprivileged: true, want: "need root"},
		{name: "no address", addresses: []string{"foo"}, want: "missing port"},
	} {
		err := CheckListen(tt.addresses, tt.held, tt.unprivileged)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
	// What was checked is free again.
	if l, err := net.Listen("tcp", taken); err == nil {
		l.Close()
		t.Errorf("%s could be taken twice", taken)
	}
}

// Two of the addresses exclude each other.
func TestCheckListenTwice(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	if err := CheckListen([]string{address, address}, nil, false); err == nil {
		t.Errorf("%s was free for two", address)
	}
}
