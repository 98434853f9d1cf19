package board

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"example.org/dormouse/sensors"
	"example.org/dormouse/sensors/board/lock"
)

// holderRoot names the root below which the second process takes the lock.
const holderRoot = "DORMOUSE_TEST_LOCK_BELOW"

// TestLockHolder is the second process of TestLockOfTwoProcesses: it holds the
// lock of 0x44 until its input ends.
func TestLockHolder(t *testing.T) {
	root := os.Getenv(holderRoot)
	if root == "" {
		return // it isn't that process
	}
	chip, err := newLinux(root, ioctl).Lock(sensors.Claim{Kind: sensors.I2CWire, Bus: 1, Address: 0x44})
	if err != nil {
		t.Fatal(err)
	}
	os.Stdout.WriteString("locked\n")
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err := chip.Close(); err != nil {
		t.Error(err)
	}
	os.Stdout.WriteString("unlocked\n")
}

// locker is the second process, which has the lock.
func locker(t *testing.T, root string) (*exec.Cmd, io.Closer, *bufio.Reader) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestLockHolder$")
	cmd.Env = append(os.Environ(), holderRoot+"="+root)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	hears(t, lines, "locked\n")
	return cmd, in, lines
}

func hears(t *testing.T, lines *bufio.Reader, want string) {
	t.Helper()
	if line, err := lines.ReadString('\n'); line != want {
		t.Fatalf("the other process says %q, %v; want %q", line, err, want)
	}
}

func lockOf(c sensors.Claim, l *linux) error {
	taken, err := l.Lock(c)
	if err != nil {
		return err
	}
	return taken.Close()
}

// TestLockOfTwoProcesses: the chip that one measures the other can't, its
// neighbour it can, and a process that is killed holds nothing.
func TestLockOfTwoProcesses(t *testing.T) {
	root := t.TempDir()
	makeFile(t, root, "/dev/i2c-1", "")
	makeFile(t, root, "/dev/i2c-2", "")
	here := newLinux(root, ioctl)
	chip := sensors.Claim{Kind: sensors.I2CWire, Bus: 1, Address: 0x44}
	for _, end := range []string{"ends", "is killed"} {
		cmd, in, lines := locker(t, root)
		err := lockOf(chip, here)
		if !errors.Is(err, lock.ErrLocked) || !strings.Contains(err.Error(), "lock I2C bus 1, address 0x44") || !strings.Contains(err.Error(), "byte 68") {
			t.Errorf("got %v, want it locked", err)
		}
		for _, other := range []sensors.Claim{{Kind: sensors.I2CWire, Bus: 1, Address: 0x45}, {Kind: sensors.I2CWire, Bus: 2, Address: 0x44}} {
			if err := lockOf(other, here); err != nil {
				t.Errorf("%s: %v", other, err)
			}
		}
		if end == "ends" {
			if err := in.Close(); err != nil {
				t.Error(err)
			}
			hears(t, lines, "unlocked\n")
		} else if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); (err == nil) != (end == "ends") {
			t.Errorf("the other process ended with %v", err)
		}
		if err := lockOf(chip, here); err != nil {
			t.Errorf("the other process %s: %v", end, err)
		}
	}
}

func TestLockWithinTheProcess(t *testing.T) {
	root := t.TempDir()
	for _, node := range []string{"/dev/i2c-1", "/dev/gpiochip0", "/dev/gpiochip1"} {
		makeFile(t, root, node, "")
	}
	l := newLinux(root, ioctl)
	line, err := sensors.ParseLine("gpiochip1:3")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []sensors.Claim{{Kind: sensors.I2CWire, Bus: 1, Address: 0x44}, {Kind: sensors.LineWire, Line: line}} {
		taken, err := l.Lock(c)
		if err != nil {
			t.Fatal(err)
		}
		if err := lockOf(c, l); !errors.Is(err, lock.ErrLocked) {
			t.Errorf("%s: got %v, want it locked", c, err)
		}
		if err := taken.Close(); err != nil {
			t.Error(err)
		}
		if err := taken.Close(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s: closed twice: %v", c, err)
		}
		if err := lockOf(c, l); err != nil {
			t.Error(err)
		}
	}
}

func TestLockFails(t *testing.T) {
	l := newLinux(t.TempDir(), ioctl)
	for _, tc := range []struct {
		claim sensors.Claim
		want  string
	}{
		{sensors.Claim{Kind: sensors.I2CWire, Bus: 1, Address: 0x44}, "lock I2C bus 1, address 0x44: open " + filepath.Join(l.kernel.root, "/dev/i2c-1") + ": no such file"},
		{sensors.Claim{Kind: sensors.LineWire}, "no GPIO chip can be opened; add the daemon's user to the group gpio"},
		{sensors.Claim{Kind: sensors.FileWire, Path: "/sys/x"}, "can't be locked"},
	} {
		if err := lockOf(tc.claim, l); err == nil || errors.Is(err, lock.ErrLocked) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("got %v, want %q", err, tc.want)
		}
	}
}
