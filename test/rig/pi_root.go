package rig

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// rootPackages are what a package of Debian's needs to be installed by dpkg and
// to register its services, without an init.
var rootPackages = []string{
	"base-files", "base-passwd", "bash", "coreutils", "dash", "debianutils", "diffutils", "dpkg", "findutils", "grep", "gzip",
	"hostname", "init-system-helpers", "libc-bin", "perl-base", "sed", "sysvinit-utils", "tar",
}

// unneeded are directories that no program of a root file system reads here.
var unneeded = []string{"usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale", "usr/share/i18n", "usr/lib/*/gconv"}

// DebianRoot returns a tar archive with a root file system of the model's Debian,
// which has, besides what dpkg needs, these packages. The packages are unpacked and recorded as installed; their scripts haven't run,
// since nothing here executes the model's programs. It is cached.
func (m Model) DebianRoot(ctx context.Context, packages ...string) (archive string, err error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	cache = filepath.Join(cache, "pi")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	packages = slices.Concat(rootPackages, packages)
	key := sha256.Sum256([]byte(m.release + m.debian + strings.Join(slices.Concat(packages, unneeded), " ")))
	dir := filepath.Join(cache, fmt.Sprintf("root-%x", key[:4]))
	archive = filepath.Join(dir, "root.tar")
	if _, err := os.Stat(archive); err == nil {
		return archive, nil
	}
	err = locked(cache, func() error {
		if _, err := os.Stat(archive); err == nil {
			return nil // another process built it meanwhile
		}
		return build(dir, func(dir string) error { return m.buildRoot(ctx, dir, packages) })
	})
	if err != nil {
		return "", fmt.Errorf("making a root file system of %s: %w", m.debian, err)
	}
	return archive, nil
}

// buildRoot leaves root.tar in dir.
func (m Model) buildRoot(ctx context.Context, dir string, packages []string) error {
	work := filepath.Join(dir, "work")
	debian, err := newApt(ctx, filepath.Join(work, "apt"), source{m.release, []string{m.debian}})
	if err != nil {
		return err
	}
	var names []string
	for _, name := range packages {
		names = append(names, name+":"+m.debian)
	}
	debs, err := debian.withDependencies(ctx, filepath.Join(work, "debs"), names...)
	if err != nil {
		return err
	}
	root := filepath.Join(work, "root")
	// As merged-/usr has it: a package of bookworm's still names /bin and /lib.
	for _, top := range []string{"bin", "sbin", "lib"} {
		if err := errors.Join(os.MkdirAll(filepath.Join(root, "usr", top), 0o755), os.Symlink("usr/"+top, filepath.Join(root, top))); err != nil {
			return err
		}
	}
	info := filepath.Join(root, "var/lib/dpkg/info")
	if err := os.MkdirAll(info, 0o755); err != nil {
		return err
	}
	var status strings.Builder
	for _, deb := range debs {
		if _, err := command(ctx, "", "sh", "-ec", `dpkg-deb --fsys-tarfile "$0" | tar -x -C "$1" --keep-directory-symlink`, deb, root); err != nil {
			return err
		}
		if err := record(ctx, deb, info, &status); err != nil {
			return err
		}
	}
	for name, from := range map[string]string{"passwd": "passwd.master", "group": "group.master"} {
		if err := copyFile(filepath.Join(root, "etc", name), filepath.Join(root, "usr/share/base-passwd", from)); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(root, "var/lib/dpkg/status"), []byte(status.String()), 0o644); err != nil {
		return err
	}
	args := []string{"-C", root, "-cf", filepath.Join(dir, "root.tar")}
	for _, path := range unneeded {
		args = append(args, "--exclude=./"+path)
	}
	if _, err := command(ctx, "", "tar", append(args, ".")...); err != nil {
		return err
	}
	return os.RemoveAll(work)
}

// record adds a package to dpkg's database as one that is installed.
func record(ctx context.Context, deb, info string, status *strings.Builder) error {
	control, err := command(ctx, "", "dpkg-deb", "--field", deb)
	if err != nil {
		return err
	}
	fields := map[string]string{}
	for line := range strings.Lines(string(control)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), ": "); ok {
			fields[key] = value
		}
	}
	status.WriteString("Status: install ok installed\n" + string(control) + "\n")
	files, err := command(ctx, "", "sh", "-ec", `dpkg-deb --fsys-tarfile "$0" | tar -t | sed -e 's,^\.,,' -e 's,/$,,' -e 's,^$,/.,'`, deb)
	if err != nil {
		return err
	}
	name := fields["Package"]
	if fields["Multi-Arch"] == "same" {
		name += ":" + fields["Architecture"]
	}
	return os.WriteFile(filepath.Join(info, name+".list"), files, 0o644)
}
