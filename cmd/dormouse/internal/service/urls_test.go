package service

import (
	"os"
	"path/filepath"
	"testing"

	"example.org/dormouse/exporter/web"
)

func TestServed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "web.yml")
	if err := os.WriteFile(path, []byte("basic_auth_users: {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	noTLS, err := web.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		addresses []string
		config    *web.Config
		want      string
	}{
		{[]string{":9367"}, nil, "its page is at http://localhost:9367/, its metrics are at http://localhost:9367/m"},
		{[]string{"127.0.0.1:1", "[::1]:1"}, noTLS, "its page is at http://127.0.0.1:1/ and http://[::1]:1/, its metrics are at http://127.0.0.1:1/m and http://[::1]:1/m"},
	} {
		if got := Served(URLs(tt.addresses, tt.config), "/m"); got != tt.want {
			t.Errorf("%v: %q, want %q", tt.addresses, got, tt.want)
		}
	}
}
