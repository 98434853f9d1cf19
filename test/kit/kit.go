// Package kit holds what the system tests have in common: to stop at an error,
// to wait, to run programs in a machine of package test/rig, to keep a daemon
// there, and to read its metrics.
//
// It checks nothing: the tests do. What only one package of tests needs is in
// that package.
package kit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.org/dormouse/test/rig"
)

// Patience bounds every wait for something that takes moments on an idle host,
// and half a minute on a busy one that emulates a Raspberry Pi. It is less than
// the 5 minutes of a sensor's interval, so that none is waited for.
const Patience = 4 * time.Minute

// commandPatience bounds a command in a machine: it may start a dozen programs,
// each of which takes seconds on an emulated processor.
const commandPatience = 8 * time.Minute

// Pace is how long a wait pauses between two looks. A package's TestMain may set
// another: on an emulated Raspberry Pi a look takes more of its processor's time
// than what is waited for can spare.
var Pace = 20 * time.Millisecond

// Must stops a test at an error of something that isn't its subject.
func Must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Eventually repeats ask until it returns nil. That takes moments; only a
// failure takes the whole of Patience, and reports the last error.
func Eventually(t testing.TB, ask func() error) {
	t.Helper()
	eventually(t, Patience, ask)
}

func eventually(t testing.TB, patience time.Duration, ask func() error) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(Pace) {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("still after %s: %v", patience, err)
		}
	}
}

// Source is the path of a file of the repository, for a test in a directory two
// below its root.
func Source(name string) string {
	path, err := filepath.Abs(filepath.Join("..", "..", name))
	if err != nil {
		panic(err) // the working directory is gone
	}
	return path
}

// OnTheZero are the packages, as patterns of go list, that talk to the kernel or
// compute what depends on the processor: test/pi runs their unit tests as ARMv6
// code on a Pi Zero's own kernel. The others need no more than the processor.
var OnTheZero = []string{"./daemon", "./daemon/alarm",
	"./sensors/board", "./sensors/board/guard", "./sensors/board/lock", "./sensors/board/pinmux", "./sensors/board/rails",
	"./sensors/chips", "./sensors/kernel", "./sensors/lines", "./sensors/poll"}

// Packages lists the module's packages that have unit tests, by their paths
// below its root.
func Packages(t testing.TB, patterns ...string) []string {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", append([]string{"list", "-f", "{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}"}, patterns...)...)
	list.Dir = Source(".")
	list.Env = append(os.Environ(), "GOFLAGS=")
	out, err := list.Output()
	Must(t, err)
	return strings.Fields(strings.ReplaceAll(string(out), "example.org/dormouse/", ""))
}

// Exec runs a program in a machine to its end.
func Exec(t testing.TB, m *rig.Machine, argv ...string) rig.Exit {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandPatience)
	defer cancel()
	exit, err := m.Exec(ctx, argv...)
	Must(t, err)
	return exit
}

// Do runs a program in a machine where nothing but success will do.
func Do(t testing.TB, m *rig.Machine, argv ...string) {
	t.Helper()
	if exit, err := m.Exec(t.Context(), argv...); err != nil || exit.Status != 0 {
		t.Fatalf("%q: %+v, %v", argv, exit, err)
	}
}

// Listening finds the address of the web server in dormouse's log; what follows
// the address shows that it is whole.
var Listening = regexp.MustCompile(`msg=listening address=(\S+)\s`)

// Address waits until a program has told where it listens, and returns what it
// said last.
func Address(t testing.TB, said func() string, pattern *regexp.Regexp) string {
	t.Helper()
	var found [][]string
	Eventually(t, func() error {
		if found = pattern.FindAllStringSubmatch(said(), -1); found == nil {
			return fmt.Errorf("no address in what it said:\n%s", said())
		}
		return nil
	})
	return found[len(found)-1][1]
}

// A Page is a page in Prometheus' text format.
type Page string

// Fetch gets a page over some transport. A status other than 200 is an error,
// with the page.
func Fetch(ctx context.Context, over http.RoundTripper, url string) (Page, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	response, err := (&http.Client{Transport: over}).Do(request)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(response.Body)
	if err = errors.Join(err, response.Body.Close()); err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, response.Status)
	}
	return Page(body), err
}

// Value finds a series by its name and labels as they are printed.
func (p Page) Value(series string) (v float64, ok bool) {
	for line := range strings.Lines(string(p)) {
		if rest, found := strings.CutPrefix(line, series+" "); found {
			v, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			return v, err == nil
		}
	}
	return 0, false
}

// Want is Value where a page without the series is of no use.
func (p Page) Want(t testing.TB, series string) float64 {
	t.Helper()
	v, ok := p.Value(series)
	if !ok {
		t.Fatalf("the page has no %s:\n%s", series, p)
	}
	return v
}
