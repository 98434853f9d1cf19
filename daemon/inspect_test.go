package daemon

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// badProcess does all that a daemon shall not, and keeps standing.
func badProcess(t *testing.T) (pid int) {
	t.Helper()
	master, slave := pty(t)
	dir := t.TempDir()
	cmd := exec.Command("/bin/sh", "-c", "trap '' TERM; ulimit -c unlimited; umask 020; exec 7</etc/passwd; echo up; read x")
	cmd.Dir = dir
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it is there until now
		_ = cmd.Wait()         // killed, as it must be
		if err := errors.Join(master.Close(), slave.Close()); err != nil {
			t.Error(err)
		}
	})
	if line, err := bufio.NewReader(master).ReadString('\n'); err != nil || strings.TrimSpace(line) != "up" {
		t.Fatalf("%q, %v", line, err)
	}
	return cmd.Process.Pid
}

func TestInspectFindsFault(t *testing.T) {
	var hard syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_CORE, &hard); err != nil {
		t.Fatal(err)
	}
	pid := badProcess(t)
	got, err := Inspect(pid)
	if err != nil {
		t.Fatal(err)
	}
	if !got.Failed() || got.PID != pid || got.Situation != Shell {
		t.Errorf("got %+v", got)
	}
	want := map[string]string{
		"descriptors":          "/dev/pts/",
		"working directory":    "working directory " + os.TempDir(),
		"umask":                "writable to everybody",
		"session":              "leads its session",
		"controlling terminal": "device 136:",
		aboutTTY:               "SIGTTIN isn't ignored",
		aboutSignals:           "SIGTERM is ignored",
	}
	if hard.Max != 0 {
		want["core dumps"] = "limit "
	}
	for _, p := range got.Points {
		evidence, bad := want[p.Name]
		if bad && p.Verdict != Fail {
			t.Errorf("%s: %s: %v", p.Name, p.Verdict, p.Evidence)
		}
		if bad && !strings.Contains(strings.Join(p.Evidence, "\n"), evidence) {
			t.Errorf("%s: no %q in %q", p.Name, evidence, p.Evidence)
		}
		if p.Why == "" {
			t.Errorf("%s: no reason", p.Name)
		}
		delete(want, p.Name)
	}
	if len(want) > 0 {
		t.Errorf("not looked at: %v", want)
	}
	inherited := slices.ContainsFunc(got.Points[0].Evidence, func(s string) bool { return s == "7 → /etc/passwd: without close-on-exec" })
	if !inherited {
		t.Errorf("descriptor 7 isn't told: %v", got.Points[0].Evidence)
	}
	if text, err := json.Marshal(got); err != nil || !strings.Contains(string(text), `"verdict":"fail"`) {
		t.Errorf("JSON %s, %v", text, err)
	}
}

func TestInspectFindsIgnoredChildren(t *testing.T) {
	cmd := exec.Command("cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	signal.Ignore(syscall.SIGCHLD)
	err = cmd.Start()
	signal.Notify(make(chan os.Signal, 1), syscall.SIGCHLD) // Reset would leave it ignored
	if err != nil {
		t.Fatal(err)
	}
	got, err := Inspect(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}

	if p := got.Points[slices.IndexFunc(got.Points, func(p Point) bool { return p.Name == aboutChildren })]; p.Verdict != Fail {
		t.Errorf("%+v", p)
	}
	if err := errors.Join(in.Close(), cmd.Wait()); err != nil {
		t.Error(err)
	}
}

func TestInspectNobody(t *testing.T) {
	if _, err := Inspect(1 << 30); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestExitCode(t *testing.T) {
	coded := WithExitCode(os.ErrPermission, 4)
	for _, tt := range []struct {
		err  error
		want int
	}{
		{nil, 0}, {errors.New("x"), 1}, {coded, 4}, {errors.Join(errors.New("x"), coded), 4}, {&StartError{Code: 6}, 6},
	} {
		if got := ExitCode(tt.err); got != tt.want {
			t.Errorf("%v: %d, want %d", tt.err, got, tt.want)
		}
	}
	if !errors.Is(coded, os.ErrPermission) {
		t.Error("the error is lost")
	}
}

// pty opens a terminal of its own.
func pty(t *testing.T) (master *os.File, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return master, slave
}

// What inspect tolerates is named one by one, with the reason.
func TestTolerated(t *testing.T) {
	for _, tt := range []struct {
		mount Mount
		pins  []string
		want  string
	}{
		{Mount{Point: "/", Type: "ext4"}, []string{"executable"}, "the system itself"},
		{Mount{Point: "/usr", Type: "ext4", Removable: true}, []string{"executable"}, "the system itself"},
		{Mount{Point: "/dev", Type: "devtmpfs"}, []string{"descriptor 0"}, "the kernel's own"},
		{Mount{Point: "/dev", Type: "ext4"}, []string{"descriptor 0"}, ""},
		{Mount{Point: "/dev/null", Type: "devtmpfs"}, []string{"descriptor 0"}, "a device"},
		{Mount{Point: "/dev/shm", Type: "tmpfs"}, []string{"executable"}, ""},
		{Mount{Point: "/sys/fs/cgroup", Type: "cgroup2"}, []string{"descriptor 7"}, "the kernel's own"},
		{Mount{Point: "/sys/fs/cgroup/cpu", Type: "cgroup"}, []string{"descriptor 7"}, "the kernel's own"},
		{Mount{Point: "/sys/fs/cgroup", Type: "ext4"}, []string{"descriptor 7"}, ""},
		{Mount{Point: "/sys/kernel/debug", Type: "debugfs"}, []string{"descriptor 4"}, "the kernel's own"},
		{Mount{Point: "/sys/kernel/debug", Type: "ext4"}, []string{"descriptor 4"}, ""},
		{Mount{Point: "/sys/kernel/tracing", Type: "tracefs"}, []string{"descriptor 3"}, ""},
		{Mount{Point: "/run", Type: "tmpfs"}, []string{aPIDFile + "descriptor 3"}, "the pidfile"},
		{Mount{Point: "/run/user/1000", Type: "tmpfs"}, []string{aPIDFile + "descriptor 3"}, "the pidfile"},
		{Mount{Point: "/run/user/1000", Type: "tmpfs"}, []string{aPIDFile + "descriptor 3", "descriptor 4"}, "the pidfile"},
		{Mount{Point: "/run/user/1000", Type: "tmpfs"}, []string{aPIDFile + "descriptor 3", "executable"}, ""},
		{Mount{Point: "/run/user/1000", Type: "tmpfs"}, []string{"descriptor 4"}, ""},
		{Mount{Point: "/run/user/1000", Type: "tmpfs"}, []string{"executable"}, ""},
		{Mount{Point: "/run/x", Type: "ext4"}, []string{aPIDFile + "descriptor 3"}, ""},
		{Mount{Point: "/run", Type: "tmpfs"}, []string{"descriptor 4"}, "in memory"},
		{Mount{Point: "/home", Type: "ext4"}, []string{"executable"}, "neither removable nor on USB"},
		{Mount{Point: "/home", Type: "ext4", Removable: true}, []string{"executable"}, ""},
		{Mount{Point: "/home/pi/stick", Type: "vfat"}, []string{"executable"}, ""},
	} {
		if got := tolerated(tt.mount, tt.pins); (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%+v by %q: %q, want %q", tt.mount, tt.pins, got, tt.want)
		}
	}
}

func TestOnUSB(t *testing.T) {
	for dir, want := range map[string]bool{
		"/sys/devices/platform/scb/fd500000.pcie/pci0000:00/0000:00:00.0/0000:01:00.0/usb2/2-1/2-1:1.0/host0/target0:0:0/0:0:0:0/block/sda/sda1": true,
		"/sys/devices/platform/emmc2bus/fe340000.mmc/mmc_host/mmc0/mmc0:aaaa/block/mmcblk0/mmcblk0p2":                                            false,
		"/sys/devices/pci0000:00/usbish/block/sda": false,
	} {
		if got := onUSB(dir); got != want {
			t.Errorf("%s: %v", dir, got)
		}
	}
}
