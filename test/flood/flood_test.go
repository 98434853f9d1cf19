//go:build system

package flood

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"

	"example.org/dormouse/test/kit"
)

// A server is one of those that are attacked.
type server struct {
	name string
	args func(address string) []string
	ours bool
}

func servers(t *testing.T, peers bool) []server {
	dormouse := kit.Executable(t, "./cmd/dormouse")
	all := []server{
		{name: "dormouse", ours: true, args: func(address string) []string {
			// The settings that a start gives itself.
			return []string{"/usr/bin/env", "GOMAXPROCS=1", "GOGC=25", "GOMEMLIMIT=24MiB", dormouse, "run", "--board=sim", "--log.level=error",
				"--every=1h", "--state.directory=" + t.TempDir(), "--sensor=a=bme280", "--sensor=b=tmp102,addr=0x48", "--web.listen-address=" + address}
		}},
	}
	if !peers {
		return all
	}
	promhttp, toolkit := kit.Executable(t, "./test/bench/usual"), kit.Executable(t, "./test/flood/toolkit")
	number := filepath.Join(t.TempDir(), "temp")
	kit.Must(t, os.WriteFile(number, []byte("21000\n"), 0o644))
	return append(all,
		server{name: "promhttp", args: func(address string) []string { return []string{promhttp, address, "1h", number} }},
		server{name: "exporter-toolkit", args: func(address string) []string { return []string{toolkit, address} }})
}

// start runs a server until stop is called, and waits until it serves.
func (s server) start(t *testing.T) (address string, pid int, stop func()) {
	t.Helper()
	address = freeAddress(t)
	args := s.args(address)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stderr = os.Stderr
	kit.Must(t, cmd.Start())
	stop = sync.OnceFunc(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()         // the kill is its error
	})
	t.Cleanup(stop)
	kit.Eventually(t, func() error { return scrape(http.DefaultTransport.(*http.Transport).Clone(), address, 5*time.Second) })
	return address, cmd.Process.Pid, stop
}

var lastPort = 20000

// freeAddress is one below the ports that the attackers' connections use.
func freeAddress(t *testing.T) string {
	t.Helper()
	for lastPort < 30000 {
		lastPort++
		address := fmt.Sprintf("127.0.0.1:%d", lastPort)
		if l, err := net.Listen("tcp", address); err == nil {
			kit.Must(t, l.Close())
			return address
		}
	}
	t.Fatal("no free port below 30000")
	return ""
}

// scrapeTimeout is Prometheus' default.
const scrapeTimeout = 10 * time.Second

// scrape gets the page as Prometheus does.
func scrape(over *http.Transport, address string, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", nil)
	if err != nil {
		return err
	}
	response, err := over.RoundTrip(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("status %s", response.Status)
	}
	return nil
}

// attacks are what a client does with each of its connections.
var attacks = []struct {
	name string
	use  func(*net.TCPConn)
}{
	{"connections that say nothing", func(*net.TCPConn) {}},
	{"headers that never end", func(c *net.TCPConn) { _, _ = io.WriteString(c, "GET /metrics HTTP/1.1\r\nHost: a\r\nX-Slow:") }},
	{"headers of 64 KB", func(c *net.TCPConn) {
		_ = c.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		_, _ = io.WriteString(c, "GET /metrics HTTP/1.1\r\nHost: a\r\nX-Long: "+strings.Repeat("x", 64<<10))
	}},
	{"readers that never read", func(c *net.TCPConn) {
		_ = c.SetReadBuffer(2048)
		_ = c.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		_, _ = io.WriteString(c, strings.Repeat("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", 200))
	}},
}

// Each attacker keeps as many connections as it can get, up to this number.
const (
	attackers      = 4
	keptByAttacker = 400
)

// attack makes connections from an address until it is stopped.
func attack(from, address string, use func(*net.TCPConn)) (made *atomic.Int64, stop func()) {
	made = new(atomic.Int64)
	done := make(chan struct{})
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 2 * time.Second}
	var all sync.WaitGroup
	for range attackers {
		all.Go(func() {
			var kept []net.Conn
			for {
				select {
				case <-done:
					for _, c := range kept {
						_ = c.Close() // the server may have closed it
					}
					return
				default:
				}
				c, err := dialer.Dial("tcp", address)
				if err != nil {
					continue // out of ports for a moment
				}
				made.Add(1)
				_ = c.(*net.TCPConn).SetLinger(0) // so that ports aren't used up
				use(c.(*net.TCPConn))
				if kept = append(kept, c); len(kept) > keptByAttacker {
					_ = kept[0].Close() // likewise
					kept = kept[1:]
				}
			}
		})
	}
	return made, func() {
		close(done)
		all.Wait()
	}
}

// enough is the number of lost scrapes after which nothing more is to be seen of
// a peer: each takes the whole of a scrape's timeout.
const enough = 3

// result is how a server did under one attack.
type result struct {
	lost, of int
	own      int // the most of its own memory, kB
	made     int64
	last     error
}

// suffer attacks a server from an address for some seconds, and scrapes it from
// 127.0.0.1 meanwhile: every other time over a connection that is kept alive.
func suffer(t *testing.T, s server, from string, use func(*net.TCPConn)) (r result) {
	t.Helper()
	address, pid, stop := s.start(t)
	defer stop()
	made, end := attack(from, address, use)
	defer end()
	kit.Eventually(t, func() error {
		if n := made.Load(); n < 200 {
			return fmt.Errorf("the attacker has made %d connections", n)
		}
		return nil
	})
	kept := &http.Transport{}
	defer kept.CloseIdleConnections()
	for r.of = 0; r.of < 40 && (s.ours || r.lost < enough); r.of++ {
		over := kept
		if r.of%2 == 0 {
			over = &http.Transport{DisableKeepAlives: true}
		}
		if err := scrape(over, address, scrapeTimeout); err != nil {
			r.lost++
			r.last = err
		}
		r.own = max(r.own, ownMemory(t, pid))
		time.Sleep(50 * time.Millisecond) // some attack between two scrapes
	}
	r.made = made.Load()
	return r
}

// ownMemory is the anonymous memory of a process, in kB.
func ownMemory(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	kit.Must(t, err)
	for line := range strings.Lines(string(text)) {
		var n int
		if _, err := fmt.Sscanf(line, "RssAnon: %d kB", &n); err == nil {
			return n
		}
	}
	t.Fatalf("no RssAnon:\n%s", text)
	return 0
}

// mostOwn is what dormouse may use under attack, in kB.
const mostOwn = 16 << 10

// No scrape from another address is lost, from the attacker's own address most
// succeed, and memory is bounded: a scrape that comes slowly to its request may be
// taken for one of the attack. With DORMOUSE_SOAK (make soak) the peers
// are attacked in the same way, for the table of docs/testing.md.
func TestFloods(t *testing.T) {
	all := servers(t, os.Getenv("DORMOUSE_SOAK") != "")
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 1, ' ', 0)
	fmt.Fprintln(w, "| attack\t| server\t| lost, from another address\t| lost, from the same\t| own memory at most\t|")
	for _, a := range attacks {
		for _, s := range all {
			t.Run(a.name+", "+s.name, func(t *testing.T) {
				other, same := suffer(t, s, "127.0.0.2", a.use), suffer(t, s, "127.0.0.1", a.use)
				own := max(other.own, same.own)
				fmt.Fprintf(w, "| %s\t| %s\t| %d of %d\t| %d of %d\t| %.1f MB\t|\n", a.name, s.name, other.lost, other.of, same.lost, same.of, float64(own)/1024)
				t.Logf("%d and %d connections were made; lost %d and %d; %d kB", other.made, same.made, other.lost, same.lost, own)
				if !s.ours {
					return
				}
				if other.lost > 0 {
					t.Errorf("attacked from another address, %d of %d scrapes are lost: %v", other.lost, other.of, other.last)
				}
				if same.lost > same.of/2 {
					t.Errorf("attacked from the same address, %d of %d scrapes are lost: %v", same.lost, same.of, same.last)
				}
				if own > mostOwn {
					t.Errorf("%d kB of own memory, want %d at most", own, mostOwn)
				}
			})
		}
	}
	w.Flush() // to memory
	t.Logf("\n%s", table.String())
}
