package kit

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"
)

// failing is a test that may fail; it keeps what it says.
type failing struct {
	testing.TB
	said string
}

func (f *failing) Helper() {}

func (f *failing) Fatal(args ...any) { f.Fatalf("%s", fmt.Sprint(args...)) }

func (f *failing) Fatalf(format string, args ...any) {
	f.said = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// saidBy is what a test says that must fail, or "".
func saidBy(test func(t testing.TB)) string {
	var f failing
	done := make(chan struct{})
	go func() {
		defer close(done)
		test(&f)
	}()
	<-done
	return f.said
}

func TestWhatFails(t *testing.T) {
	asked := 0
	for name, tt := range map[string]struct {
		test func(t testing.TB)
		want string
	}{
		"must":     {func(t testing.TB) { Must(t, os.ErrExist) }, os.ErrExist.Error()},
		"must not": {func(t testing.TB) { Must(t, nil) }, ""},
		"never":    {func(t testing.TB) { eventually(t, 0, func() error { return errors.New("the door is shut") }) }, "still after 0s: the door is shut"},
		"in the end": {func(t testing.TB) {
			Eventually(t, func() error { asked++; return [...]error{2: nil, 1: os.ErrExist}[asked] })
		}, ""},
		"no series": {func(t testing.TB) { Page("up 1\n").Want(t, "down") }, "the page has no down:\nup 1\n"},
	} {
		if said := saidBy(tt.test); said != tt.want {
			t.Errorf("%s: %q, want %q", name, said, tt.want)
		}
	}
	if asked != 2 {
		t.Errorf("asked %d times, want 2", asked)
	}
}

func TestPage(t *testing.T) {
	answers := map[string]string{"/metrics": "# TYPE a gauge\na{b=\"c d\"} 2.5\nabc 7\nab 3\nbad x\n"}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page, ok := answers[r.URL.Path]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
		}
		fmt.Fprint(w, page)
	}))
	defer server.Close()
	page, err := Fetch(t.Context(), http.DefaultTransport, server.URL+"/metrics")
	Must(t, err)
	for series, want := range map[string]float64{`a{b="c d"}`: 2.5, "abc": 7, "ab": 3} {
		if got, ok := page.Value(series); !ok || got != want {
			t.Errorf("%s is %v (there: %t), want %v", series, got, ok, want)
		}
	}
	for _, series := range []string{"a", "b", "bad", "# TYPE"} {
		if got, ok := page.Value(series); ok {
			t.Errorf("%s is %v", series, got)
		}
	}
	if _, err := Fetch(t.Context(), http.DefaultTransport, server.URL+"/nothing"); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("a page that isn't there: %v", err)
	}
	said := func() string { return "msg=listening address=one:1\nmsg=listening address=two:2\n" }
	if got := Address(t, said, Listening); got != "two:2" {
		t.Errorf("it listens at %s", got)
	}
	if _, err := os.Stat(Source("go.mod")); err != nil {
		t.Error(err)
	}
}
