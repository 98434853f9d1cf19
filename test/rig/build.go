package rig

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

// Architecture is what programs are built for, in Go's words.
type Architecture struct{ GOARCH, GOARM string }

// AMD64 is that of the machine of Boot.
var AMD64 = Architecture{GOARCH: "amd64"}

// Environ is the environment in which go build builds for the architecture, as
// the Makefile does, so that nothing is compiled twice.
func (a Architecture) Environ() []string {
	return append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+a.GOARCH, "GOARM="+a.GOARM, "GOFLAGS=-trimpath")
}

// Build compiles a program of this module for the guest, static: the path of its
// package begins at the module's root. Flags are those of go build.
func Build(ctx context.Context, target, pkg string, flags ...string) error {
	return AMD64.Build(ctx, target, pkg, flags...)
}

// Build compiles a program of this module, static, as the function Build does.
// Like the release it leaves paths out, so that both share what is compiled.
func (a Architecture) Build(ctx context.Context, target, pkg string, flags ...string) error {
	build := exec.CommandContext(ctx, "go", append(append([]string{"build", "-trimpath"}, flags...), "-o", target, "example.org/dormouse/"+pkg)...)
	build.Env = a.Environ()
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w: %s", pkg, err, out)
	}
	return nil
}

// guestBinaries holds the program that runs in the guest, built once per
// architecture and process.
var guestBinaries sync.Map // Architecture → func() ([]byte, error)

func guestBinary(a Architecture) ([]byte, error) {
	once, _ := guestBinaries.LoadOrStore(a, sync.OnceValues(func() ([]byte, error) {
		dir, err := os.MkdirTemp("", "dormouse-rig-")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
		target := filepath.Join(dir, "guest")
		if err := a.Build(context.Background(), target, "test/guest", "-ldflags=-s -w"); err != nil {
			return nil, err
		}
		return os.ReadFile(target)
	}))
	return once.(func() ([]byte, error))()
}
