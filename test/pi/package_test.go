//go:build system

package pi

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.org/dormouse/test/kit"
	"example.org/dormouse/test/rig"
)

// A packaged Pi has a root file system of Debian's in a directory of its own, and
// no init in it.
type packaged struct {
	*testing.T
	pi *rig.Pi
}

// in runs a program in that root file system.
func (p *packaged) in(argv ...string) string {
	p.Helper()
	begun := time.Now()
	// Without a deadline: in the machine a minute may have passed at once.
	exit, err := p.pi.Exec(p.Context(), append([]string{"chroot", "/r", "/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"}, argv...)...)
	kit.Must(p, err)
	out := string(exit.Stdout) + string(exit.Stderr)
	if exit.Status != 0 {
		p.Fatalf("%q: exit status %d\n%s", argv, exit.Status, out)
	}
	p.Logf("%s took %s", argv[0], time.Since(begun).Round(time.Second/10))
	return out
}

// says runs a program and looks for words in what it prints.
func (p *packaged) says(words []string, argv ...string) {
	p.Helper()
	out := p.in(argv...)
	for _, w := range words {
		if !strings.Contains(out, w) {
			p.Errorf("%q doesn't say %q:\n%s", argv, w, out)
		}
	}
}

// TestPackageOnThree and TestPackageOnZero install the packages by the Pis' own
// dpkg, which runs their scripts on the Pis' processors: arm64's on a Pi 3 with
// Debian's arm64, and armhf's, which is for ARMv6, on a Zero. Debian's own armhf
// doesn't run there, but its armel does, and takes the package as one of a foreign
// architecture. The user is made by systemd-sysusers on the one, by adduser on the
// other.
func TestPackageOnThree(t *testing.T) {
	turn(t, 60*time.Second)
	packageOn(t, rig.Three, "arm64", "systemd-standalone-sysusers", "Raspberry Pi 3 Model B")
}

func TestPackageOnZero(t *testing.T) {
	turn(t, 55*time.Second)
	packageOn(t, rig.Zero, "armhf", "adduser", "Raspberry Pi Zero", "-icount", "shift=0,sleep=off")
}

// packageOn boots the model with the package of an architecture and with the
// package that makes the user.
func packageOn(t *testing.T, model rig.Model, architecture, users, board string, qemu ...string) {
	t.Helper()
	root, err := model.DebianRoot(t.Context(), users)
	kit.Must(t, err)
	dir, err := products()
	kit.Must(t, err)
	pi, err := rig.BootPi(t.Context(), model, rig.Options{
		Files: map[string]string{"root.tar": root, "dormouse.deb": filepath.Join(dir, "dormouse_"+architecture+".deb")},
		QEMU:  append(qemu, "-device", "tmp105,id=tmp105,bus=i2c-bus.1,address=0x48"),
	})
	kit.Must(t, err)
	defer func() { kit.Must(t, pi.Close()) }()
	kit.Must(t, pi.LoadDrivers(t.Context()))
	kit.Must(t, pi.SetProperty(t.Context(), "/machine/peripheral/tmp105", "temperature", 42500))
	p := &packaged{t, pi}
	p.unpack()
	p.installs(architecture)
	p.reads(board)
	p.purges()
}

// unpack unpacks the root file system, and does what the scripts of its packages
// would have done: programs may be started (policy-rc.d), and root is let in (PAM).
func (p *packaged) unpack() {
	p.Helper()
	begun := time.Now()
	exit, err := p.pi.Exec(p.Context(), "sh", "-ec", `mkdir /r; mount -t tmpfs root /r; tar -xf /root.tar -C /r; rm /root.tar; mv /dormouse.deb /r
mkdir -p /r/proc /r/dev /r/sys /r/run /r/tmp; for d in proc dev sys; do mount --rbind /$d /r/$d; done
printf '#!/bin/sh\nexit 0\n' >/r/usr/sbin/policy-rc.d; chmod 755 /r/usr/sbin/policy-rc.d
mkdir -p /r/etc/pam.d; for kind in auth account password session; do echo "$kind required pam_permit.so" >/r/etc/pam.d/common-$kind; done`)
	kit.Must(p, err)
	if exit.Status != 0 {
		p.Fatalf("unpacking: %s%s", exit.Stdout, exit.Stderr)
	}
	p.Logf("%s served after %s, unpacked after %s more", p.pi.Release, p.pi.BootTime, time.Since(begun).Round(time.Second/10))
}

// installs has dpkg install the package, which makes the user and starts the
// daemon by its init script.
func (p *packaged) installs(architecture string) {
	p.Helper()
	if own := strings.TrimSpace(p.in("dpkg", "--print-architecture")); own != architecture {
		p.in("dpkg", "--add-architecture", architecture)
	}
	p.says([]string{"Setting up dormouse", "dormouse runs as process"}, "dpkg", "--install", "/dormouse.deb")
	p.says([]string{"install ok installed"}, "dpkg-query", "--show", "--showformat=${Status}", "dormouse")
	p.says([]string{"dormouse", "gpio", "i2c", "spi", "dialout", "video"}, "id", "-nG", "dormouse")
	p.says([]string{"0 of 0 sensors up"}, "service", "dormouse", "status")
}

// reads configures a sensor on the board's own I2C bus and reads it by the daemon,
// which isn't root.
func (p *packaged) reads(board string) {
	p.Helper()
	p.says([]string{board, "0x48"}, "dormouse", "scan")
	// What udev does by the package's rules.
	p.in("sh", "-c", "chgrp i2c /dev/i2c-1; chmod 660 /dev/i2c-1")
	p.in("sh", "-c", "echo 'sensors: [{name: air, driver: tmp102, model: tmp75, addr: 0x48}]' >/etc/dormouse/dormouse.yml")
	p.in("service", "dormouse", "reload")
	p.says([]string{"42.50 °C"}, "dormouse", "read")
	p.says([]string{"1 of 1 sensors up"}, "service", "dormouse", "status")
	p.says([]string{"dormouse"}, "sh", "-c", "stat -c %U /proc/$(cat /run/dormouse/dormouse.pid)")
}

// purges leaves nothing but the locked user.
func (p *packaged) purges() {
	p.Helper()
	p.in("dpkg", "--purge", "dormouse")
	if left := p.in("sh", "-c", "ls -d /etc/dormouse /var/lib/dormouse /run/dormouse /usr/bin/dormouse /etc/init.d/dormouse /etc/rc?.d/*dormouse 2>/dev/null || true"); left != "" {
		p.Errorf("a purge leaves\n%s", left)
	}
	p.says([]string{"/usr/sbin/nologin"}, "getent", "passwd", "dormouse")
}
