//go:build system

package inits

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/sys/unix"

	"example.org/dormouse/daemon"
	"example.org/dormouse/test/kit"
)

// hostileVariable makes the test binary set up all that a program can
// inherit, and then execute the program that the variable names, with
// this process's arguments.
const hostileVariable = "DORMOUSE_TEST_HOSTILE"

func setUpHostile() error {
	runtime.LockOSThread()
	junk, err := unix.Open(os.Getenv("JUNK"), unix.O_RDONLY, 0)
	if err != nil {
		return err
	}
	for i := range 40 {
		fd := 20 + i
		if i >= 30 {
			fd = 1001 + i
		}
		if err := unix.Dup3(junk, fd, 0); err != nil {
			return fmt.Errorf("dup to %d: %w", fd, err)
		}
	}
	unix.Umask(0o077)
	signal.Ignore(syscall.SIGCHLD, syscall.SIGHUP)
	var blocked unix.Sigset_t
	blocked.Val[0] |= 1<<(syscall.SIGTERM-1) | 1<<(syscall.SIGUSR1-1)
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &blocked, nil); err != nil {
		return err
	}
	unlimited := unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unlimited); err != nil {
		return err
	}
	program := os.Getenv(hostileVariable)
	if err := os.Unsetenv(hostileVariable); err != nil {
		return err
	}
	if os.Getenv("CLOSE_STDIO") != "" {
		for fd := range 3 {
			_ = unix.Close(fd) // some may be closed already
		}
	}
	return syscall.Exec(program, os.Args, os.Environ())
}

// pty opens a terminal of its own.
func pty(p *place) (master, slave *os.File) {
	p.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	kit.Must(p, err)
	kit.Must(p, unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	kit.Must(p, err)
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	kit.Must(p, err)
	return master, slave
}

// A stick is a file system with all that a start needs.
type stick struct {
	point  string
	device string // empty: tmpfs
	roots  *x509.CertPool
}

func newStick(p *place, name, kind string) *stick {
	p.Helper()
	s := &stick{point: p.path(name)}
	switch kind {
	case "ext4":
		s.device = loopDevice(p)
		p.mount(s.device, s.point, kind, 0, "")
	case "tmpfs":
		p.mount("stick", s.point, kind, 0, "mode=0755")
	}
	p.host("cp", binary, filepath.Join(s.point, "dormouse"))
	file := func(name string) string { return filepath.Join(s.point, name) }
	// The child tells what it has: its descriptors, and an exit status of its own.
	p.write(file("dormouse.yml"), threeSensors+
		`  - {name: child, driver: command, output: none, argv: [/bin/sh, -c, "ls -l /proc/$$/fd > `+p.path("child")+`; exit 7"]}`+"\n")
	hash, err := bcrypt.GenerateFromPassword([]byte("acorn"), bcrypt.MinCost)
	kit.Must(p, err)
	p.write(file("web.yml"), fmt.Sprintf("tls_server_config: {cert_file: cert.pem, key_file: key.pem}\nbasic_auth_users: {scraper: %q}\n", hash))
	s.roots = certificate(p, file("cert.pem"), file("key.pem"))
	p.write(file("junk"), "junk")
	return s
}

// certificate makes one for 127.0.0.1.
func certificate(p *place, certFile, keyFile string) *x509.CertPool {
	p.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	kit.Must(p, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "dormouse"},
		NotAfter: time.Now().Add(24 * time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	kit.Must(p, err)
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	p.write(certFile, string(text))
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	kit.Must(p, err)
	p.write(keyFile, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	return roots
}

// start is the command typed on the stick, with everything from there, by a
// program that suffers from all that can be inherited.
func (s *stick) start(p *place, extra ...string) *exec.Cmd {
	p.Helper()
	self, err := os.Executable()
	kit.Must(p, err)
	cmd := exec.Command(self)
	cmd.Args = append([]string{"dormouse", "start", "--board=sim", "--config.file=dormouse.yml", "--web.config.file=web.yml",
		"--web.listen-address=127.0.0.1:0", "--log.output=" + p.path("log")}, extra...)
	cmd.Dir = s.point
	cmd.Env = append(p.command().Env, hostileVariable+"="+filepath.Join(s.point, "dormouse"), "JUNK="+filepath.Join(s.point, "junk"),
		"LD_PRELOAD=", "IFS=x", "DISPLAY=:0", "SECRET=acorn", "DAEMON_STAGE=daemon:20", "LISTEN_FDS=3", "LISTEN_PID=1", "LC_TIME=C")
	return cmd
}

// scrape fetches the page; with a stick, by its TLS and its password.
func (p *place) scrape(s *stick) (kit.Page, error) {
	p.Helper()
	address := kit.Address(p, func() string { return p.read("log") }, kit.Listening)
	url, transport := "http://"+address, &http.Transport{DisableKeepAlives: true}
	if s != nil {
		url, transport.TLSClientConfig = "https://scraper:acorn@"+address, &tls.Config{RootCAs: s.roots}
	}
	return kit.Fetch(p.Context(), transport, url+"/metrics")
}

// up waits until a page tells that a sensor is up.
func (p *place) up(s *stick, sensor string) {
	p.Helper()
	kit.Eventually(p, func() error {
		page, err := p.scrape(s)
		if up, _ := page.Value(`dormouse_sensor_up{sensor="` + sensor + `"}`); err != nil || up != 1 {
			return fmt.Errorf("%s isn't up: %v\n%s", sensor, err, page)
		}
		return nil
	})
}

func TestHostileStart(t *testing.T) {
	for _, tt := range []struct {
		name, kind string
		terminal   bool
	}{
		{"ext4, from a terminal that hangs up", "ext4", true},
		{"tmpfs, standard files closed", "tmpfs", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPlace(t)
			s := newStick(p, "stick", tt.kind)
			cmd := s.start(p)
			t.Cleanup(func() { p.run("stop") }) // has ended, where the test passed
			if tt.terminal {
				startInTerminal(p, cmd)
			} else {
				cmd.Env = append(cmd.Env, "CLOSE_STDIO=1")
				if out, code := p.finish(cmd); code != 0 || out != "" {
					t.Fatalf("start: exit status %d\n%s", code, out)
				}
			}
			p.up(s, "office")
			pid := p.pid()

			// The mounts.
			if err := unix.Unmount(s.point, 0); err != nil {
				out, _ := p.run("inspect")
				t.Fatalf("umount: %v\n%s", err, out)
			}
			if s.device != "" {
				free(p, s.device)
			}
			p.up(s, "office")
			wellBehaved(p, pid)
			childInheritsNothing(p)

			// The configuration is gone with its stick: a reload changes nothing.
			if out, code := p.run("reload"); code == 0 || !strings.Contains(out, "dormouse.yml") {
				t.Errorf("reload without the stick: exit status %d\n%s", code, out)
			}
			p.up(s, "office")

			kit.Must(t, syscall.Kill(pid, syscall.SIGTERM))
			kit.Eventually(p, func() error {
				if out, code := p.run("status"); code != 3 {
					return fmt.Errorf("status after TERM: %d %s", code, out)
				}
				return nil
			})
			for _, left := range []string{"run/dormouse.pid", "run/dormouse.sock"} {
				if _, err := os.Lstat(p.path(left)); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("%s is left: %v", left, err)
				}
			}
		})
	}
}

// startInTerminal starts cmd as a session of a terminal, which hangs up when it
// has returned.
func startInTerminal(p *place, cmd *exec.Cmd) {
	p.Helper()
	master, slave := pty(p)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	_, code := p.finish(cmd)
	kit.Must(p, slave.Close())
	// The last who had the other end has closed it: what there is is read, then EIO.
	out, _ := io.ReadAll(master)
	if code != 0 || !strings.Contains(string(out), "dormouse runs as process ") {
		p.Fatalf("start: exit status %d\n%s", code, out)
	}
	kit.Must(p, master.Close()) // the hang-up
}

// wellBehaved holds the daemon against the points that are asked of one, by
// /proc and by `dormouse inspect`.
func wellBehaved(p *place, pid int) {
	p.Helper()
	proc := func(name string) string { return fmt.Sprintf("/proc/%d/%s", pid, name) }
	for _, link := range []string{"cwd", "root"} {
		if to, err := os.Readlink(proc(link)); err != nil || to != "/" {
			p.Errorf("%s is %s, %v", link, to, err)
		}
	}
	var fds []os.DirEntry
	kit.Eventually(p, func() (err error) { // connections and a program's pipes may be open for a moment
		if fds, err = os.ReadDir(proc("fd")); err == nil && len(fds) > 16 {
			err = fmt.Errorf("%d descriptors", len(fds))
		}
		return err
	})
	for _, fd := range fds {
		to, err := os.Readlink(proc("fd/" + fd.Name()))
		if errors.Is(err, os.ErrNotExist) {
			continue // closed meanwhile, as the last scrape's connection
		}
		if err != nil || strings.HasPrefix(to, "/dev/pts") || strings.HasSuffix(to, "junk") {
			p.Errorf("descriptor %s leads to %s, %v", fd.Name(), to, err)
		}
	}
	status := p.procStatus(pid)
	for key, want := range map[string]string{"Umask": "0022", "Name": "dormouse", "NoNewPrivs": "1"} {
		if status[key] != want {
			p.Errorf("%s: %s, want %s", key, status[key], want)
		}
	}
	// A thread that handles no signals may block them, as long as another doesn't.
	threads, err := filepath.Glob(proc("task/*/status"))
	if err != nil || !slices.ContainsFunc(threads, func(file string) bool {
		return strings.Contains(p.read(file), "SigBlk:\t0000000000000000\n")
	}) {
		p.Errorf("every thread blocks signals (%v)", err)
	}
	ignored, err := strconv.ParseUint(status["SigIgn"], 16, 64)
	kit.Must(p, err)
	if want := uint64(1<<(syscall.SIGTSTP-1) | 1<<(syscall.SIGTTIN-1) | 1<<(syscall.SIGTTOU-1)); ignored != want {
		p.Errorf("ignores %x, want %x", ignored, want)
	}
	stat := strings.Fields(p.read(proc("stat"))[len(strconv.Itoa(pid))+len(" (dormouse) "):])
	parent, group, session, terminal := stat[1], stat[2], stat[3], stat[4]
	if parent == strconv.Itoa(os.Getpid()) || group == strconv.Itoa(pid) || session == strconv.Itoa(pid) || terminal != "0" {
		p.Errorf("parent %s, group %s, session %s, terminal %s of process %d", parent, group, session, terminal, pid)
	}
	if limits := p.read(proc("limits")); !regexp.MustCompile(`Max core file size +0 +0 `).MatchString(limits) {
		p.Errorf("limits:\n%s", limits)
	}
	for setting := range strings.SplitSeq(p.read(proc("environ")), "\x00") {
		key, _, _ := strings.Cut(setting, "=")
		if slices.Contains([]string{"LD_PRELOAD", "IFS", "DISPLAY", "SECRET", "LISTEN_FDS", "LISTEN_PID", "JUNK"}, key) {
			p.Errorf("environment: %s", setting)
		}
	}
	var inspection daemon.Inspection
	kit.Must(p, json.Unmarshal([]byte(p.must("inspect", "--format=json", strconv.Itoa(pid))), &inspection))
	for _, point := range inspection.Points {
		if point.Verdict == daemon.Fail || point.Verdict == daemon.Unknown {
			p.Errorf("inspect: %s: %s: %v", point.Name, point.Verdict, point.Evidence)
		}
	}
}

// childInheritsNothing looks at what the command sensor of a stick saw.
func childInheritsNothing(p *place) {
	p.Helper()
	var out string
	kit.Eventually(p, func() error {
		if out, _ = p.run("status"); !strings.Contains(out, "child is down") { // its exit status is 7
			return errors.New(out)
		}
		return nil
	})
	if !strings.Contains(out, "exited with status 7") {
		p.Errorf("the child's exit status: %s", out)
	}
	fds := strings.Split(strings.TrimSpace(p.read("child")), "\n")
	for _, line := range fds {
		if strings.HasPrefix(line, "total") {
			continue
		}
		number := regexp.MustCompile(` (\d+) -> `).FindStringSubmatch(line)
		// 10 and above are the shell's own.
		if number == nil || number[1] > "2" && len(number[1]) == 1 || strings.Contains(line, "junk") {
			p.Errorf("a child has %s", line)
		}
	}
	if len(fds) < 4 {
		p.Errorf("the child listed %q", fds)
	}
}

func TestStickIsKeptBusyWhereAskedTo(t *testing.T) {
	p := newPlace(t)
	s := newStick(p, "stick", "tmpfs")
	if out, code := p.finish(s.start(p, "--release-executable=never")); code != 0 {
		t.Fatalf("start: exit status %d\n%s", code, out)
	}
	if err := unix.Unmount(s.point, 0); !errors.Is(err, unix.EBUSY) {
		t.Errorf("umount: %v, want EBUSY", err)
	}
	if out, code := p.run("inspect"); code != 1 || !regexp.MustCompile(`(?m)^fail +§16 mounts +.*`+s.point).MatchString(out) {
		t.Errorf("inspect: exit status %d\n%s", code, out)
	}
	p.must("stop")
	if err := unix.Unmount(s.point, 0); err != nil {
		t.Errorf("umount after the stop: %v", err)
	}
}

// A second stick comes while the daemon of the first runs.
func TestSecondStick(t *testing.T) {
	p := newPlace(t)
	first := newStick(p, "first", "tmpfs")
	if out, code := p.finish(first.start(p)); code != 0 {
		t.Fatalf("start: exit status %d\n%s", code, out)
	}
	t.Cleanup(func() { p.run("stop") })
	second := newStick(p, "second", "ext4")
	if out, code := p.finish(second.start(p)); code != 1 || !strings.Contains(out, "already running as process") {
		t.Errorf("a second daemon: exit status %d\n%s", code, out)
	}
	for _, s := range []*stick{first, second} {
		if err := unix.Unmount(s.point, 0); err != nil {
			t.Errorf("umount %s: %v", s.point, err)
		}
	}
	free(p, second.device)
	p.up(first, "office")
}

func TestRootOnAnOverlay(t *testing.T) {
	m := newMachine(t, "")
	m.mount("proc", m.root+"/proc", "proc", 0, "")
	m.host("cp", "-a", "/dev/null", m.root+"/dev/null")
	m.inside("/init", `#!/bin/sh
dormouse start --board=sim --config.file=/etc/dormouse/dormouse.yml --log.output=/var/log/log --no-web "$@" || exit
dormouse inspect
dormouse stop
`)
	for _, release := range []string{"auto", "always"} {
		m.host("unshare", "--mount", "--root="+m.root, "sh", "/init", "--release-executable="+release)
		log := m.read(m.root + "/var/log/log")
		kit.Must(t, os.Remove(m.root+"/var/log/log"))
		if copied := strings.Contains(log, "copied_to=memory"); copied != (release == "always") {
			t.Errorf("%s: copied %v\n%s", release, copied, log)
		}
	}
}

// As process 1 of a container it reaps strangers, and its own children keep their
// exit statuses.
func TestFirstProcess(t *testing.T) {
	p := newPlace(t)
	s := newStick(p, "stick", "tmpfs")
	cmd := exec.Command("unshare", "--fork", "--kill-child", "--pid", "--mount-proc", "--", filepath.Join(s.point, "dormouse"),
		"run", "--board=sim", "--config.file="+filepath.Join(s.point, "dormouse.yml"), "--log.output="+p.path("log"),
		"--web.listen-address=127.0.0.1:0", "--pid-file="+p.path("run/dormouse.pid"))
	cmd.Env = p.command().Env
	kit.Must(t, startTied(cmd))
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill() // with its namespace
			_ = cmd.Wait()
		}
	})
	p.up(nil, "office")
	first := strings.TrimSpace(p.read(fmt.Sprintf("/proc/%d/task/%d/children", cmd.Process.Pid, cmd.Process.Pid)))
	if pid := p.read("run/dormouse.pid"); pid != "1\n" {
		t.Errorf("the pidfile holds %q", pid)
	}
	childInheritsNothing(p)
	p.host("nsenter", "-t", first, "-p", "-m", "sh", "-c", "for i in 1 2 3 4 5; do (sleep 0.05 &); done")
	kit.Eventually(p, func() error {
		if left := p.read("/proc/" + first + "/task/" + first + "/children"); left != "" {
			return fmt.Errorf("not reaped: %s", left)
		}
		return nil
	})
	if err := cmd.Process.Signal(syscall.Signal(0)); err != nil {
		t.Error(err)
	}
	pid, err := strconv.Atoi(first)
	kit.Must(t, err)
	kit.Must(t, syscall.Kill(pid, syscall.SIGTERM))
	if err := cmd.Wait(); err != nil {
		t.Errorf("ended by %v\n%s", err, p.read("log"))
	}
}
