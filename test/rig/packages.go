package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// cacheDir is where everything fetched is kept.
func cacheDir() (string, error) {
	dir := os.Getenv("DORMOUSE_RIG_CACHE")
	if dir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("finding a cache directory (set DORMOUSE_RIG_CACHE): %w", err)
		}
		dir = filepath.Join(user, "dormouse-rig")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	return dir, os.MkdirAll(dir, 0o755)
}

// locked runs f while no other process changes the cache. The lock falls with
// the process.
func locked(cache string, f func() error) error {
	lock, err := os.OpenFile(filepath.Join(cache, "lock"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer lock.Close()
	for {
		err := unix.Flock(int(lock.Fd()), unix.LOCK_EX)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("locking %s: %w", lock.Name(), err)
		}
		return f()
	}
}

// command runs a program and returns its standard output. The error holds what
// it said.
func command(ctx context.Context, dir, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		said := strings.TrimSpace(stderr.String())
		if said == "" {
			said = strings.TrimSpace(string(out))
		}
		return nil, fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, tail(said, 2000))
	}
	return out, nil
}

// tail is the end of a long text.
func tail(s string, n int) string {
	if len(s) > n {
		return "…" + s[len(s)-n:]
	}
	return s
}

// install makes sure that Debian packages are installed on the host.
func install(ctx context.Context, names ...string) error {
	var missing []string
	for _, name := range names {
		out, err := command(ctx, "", "dpkg-query", "-W", "-f", "${db:Status-Status}", name)
		if err != nil || string(out) != "installed" {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("the rig needs packages that only root can install: apt-get install %s", strings.Join(missing, " "))
	}
	return withLists(ctx, func() error {
		_, err := command(ctx, "", "apt-get", append([]string{"install", "-y", "--no-install-recommends",
			"-o", "DPkg::Lock::Timeout=300"}, missing...)...)
		return err
	})
}

// withLists runs f, and once more after apt-get update when it failed: apt's
// package lists may be missing, or name versions that are gone.
func withLists(ctx context.Context, f func() error) error {
	first := f()
	if first == nil || ctx.Err() != nil || os.Geteuid() != 0 {
		return first
	}
	if err := updateLists(ctx); err != nil {
		return errors.Join(first, err)
	}
	return f()
}

// updateLists fetches apt's package lists. Two processes can't at once: apt
// waits for dpkg's lock, but not for that of the lists.
func updateLists(ctx context.Context) error {
	cache, err := cacheDir()
	if err != nil {
		return err
	}
	// Not the cache's own lock, which callers may hold.
	dir := filepath.Join(cache, "lists")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return locked(dir, func() error {
		_, err := command(ctx, "", "apt-get", "update")
		return err
	})
}

// download fetches packages into dir and returns each one's file.
func download(ctx context.Context, dir string, names ...string) (map[string]string, error) {
	return apt{}.download(ctx, dir, names...)
}

// download fetches packages into dir and returns each one's file, by the name
// that was asked for: NAME, NAME:ARCHITECTURE or NAME:ARCHITECTURE/RELEASE.
func (a apt) download(ctx context.Context, dir string, names ...string) (map[string]string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if _, err := a.get(ctx, dir, append([]string{"download"}, names...)...); err != nil {
		return nil, err
	}
	files := map[string]string{}
	for _, name := range names {
		plain, qualifiers, _ := strings.Cut(name, ":")
		architecture, _, _ := strings.Cut(qualifiers, "/")
		found, err := filepath.Glob(filepath.Join(dir, plain+"_*"+architecture+".deb"))
		if err != nil {
			return nil, err
		}
		if len(found) != 1 {
			return nil, fmt.Errorf("apt-get download %s left %d files in %s, want 1", name, len(found), dir)
		}
		files[name] = found[0]
	}
	return files, nil
}

// extract unpacks a package below root, never over the running system.
func extract(ctx context.Context, deb, root string) error {
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	_, err := command(ctx, "", "dpkg-deb", "-x", deb, root)
	return err
}

// DebianPackage fetches a package of the host's Debian release, without those
// it depends on, and returns the directory below which it is unpacked. It is
// for programs that need no library: prometheus, promtool, static binaries.
func DebianPackage(ctx context.Context, name string) (root string, err error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	root = filepath.Join(cache, "packages", name)
	err = locked(cache, func() error {
		if _, err := os.Stat(root); err == nil {
			return nil
		}
		return build(root, func(dir string) error {
			return withLists(ctx, func() error {
				files, err := download(ctx, dir, name)
				if err != nil {
					return err
				}
				if err := extract(ctx, files[name], dir); err != nil {
					return err
				}
				return os.Remove(files[name])
			})
		})
	})
	if err != nil {
		return "", fmt.Errorf("fetching Debian's package %s: %w", name, err)
	}
	return root, nil
}

// build fills a directory and puts it in its place only when it is whole.
func build(target string, fill func(dir string) error) error {
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(filepath.Dir(target), ".building-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) // nothing is left there once it was renamed
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	if err := fill(dir); err != nil {
		return err
	}
	return os.Rename(dir, target)
}

// QEMUUser returns a program that runs binaries of another architecture, by
// QEMU's name for it ("arm", "aarch64"), for use with go test -exec. It is
// called by its path: nothing is registered with binfmt_misc.
func QEMUUser(ctx context.Context, architecture string) (string, error) {
	root, err := DebianPackage(ctx, "qemu-user-static")
	if err != nil {
		return "", err
	}
	program := filepath.Join(root, "usr/bin/qemu-"+architecture+"-static")
	if _, err := os.Stat(program); err != nil {
		return "", fmt.Errorf("qemu-user-static doesn't run %s: %w", architecture, err)
	}
	return program, nil
}
