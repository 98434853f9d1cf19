package rig

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Install makes sure that Debian packages are installed on the machine that
// runs the test; only root can.
func Install(ctx context.Context, names ...string) error { return install(ctx, names...) }

// DebianRoot is DebianRelease of the host's own release.
func DebianRoot(ctx context.Context, packages ...string) (string, error) {
	codename, err := command(ctx, "", "sh", "-c", ". /etc/os-release; printf %s \"$VERSION_CODENAME\"")
	if err != nil {
		return "", err
	}
	return DebianRelease(ctx, string(codename), packages...)
}

// DebianRelease returns a directory with a root file system of a Debian release
// (bookworm, trixie) that has, besides what is essential, these packages. It is
// cached; whoever changes anything in it does so on an overlay.
func DebianRelease(ctx context.Context, codename string, packages ...string) (string, error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	list := strings.Join(packages, ",")
	key := sha256.Sum256([]byte(codename + " " + list))
	root := filepath.Join(cache, "root", hex.EncodeToString(key[:8]))
	err = locked(cache, func() error {
		if _, err := os.Stat(root); err == nil {
			return nil
		}
		if err := install(ctx, "mmdebstrap"); err != nil {
			return err
		}
		return build(root, func(dir string) error {
			_, err := command(ctx, "", "mmdebstrap", "--quiet", "--variant=minbase", "--include="+list, codename, dir)
			return err
		})
	})
	if err != nil {
		return "", fmt.Errorf("making a root file system with %s: %w", list, err)
	}
	return root, nil
}
