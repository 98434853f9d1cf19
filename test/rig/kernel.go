package rig

import (
	"bytes"
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// A Kernel is one of Debian's for PCs that the rig boots.
type Kernel struct {
	// Series is the kernel's version without the last number: "6.1".
	Series string

	recipe  string                 // part of the cache's key: raise it when what is built changes
	release string                 // of Debian, that has it; empty: the host's
	modules []string               // what the guest may load, with what they depend on
	own     map[string][]ownModule // further modules, by the series whose sources they are built from
	make    []string               // arguments for make where they are built
}

var (
	// Linux61 is Debian 12's: the host's own release. Of the modules, those that
	// make the rig's buses come first, then the kernel's drivers that read the same
	// chips as an oracle.
	Linux61 = Kernel{
		Series: "6.1", recipe: "6",
		modules: slices.Concat(busModules, oracles, []string{
			"gpio_sim", "ds2490", "wire", "w1_therm",
			"spi_ch341", "mcp320x", "xhci_pci", "ftdi_sio",
			"max17042_battery",
			"loop", "vfat", "nls_ascii", "nls_cp437",
			"virtio_blk", "nfit", "nd_pmem", "crc32c_generic", "ext4", "overlay",
		}),
		own: map[string][]ownModule{"6.1": {gpioSim}, "6.12": {spiCH341}},
	}
	// Linux612 is Debian 13's. It has nothing but I2C, for the kernel's drivers of
	// chips, of which some aren't in Debian's package: they are built from its
	// sources.
	Linux612 = Kernel{
		Series: "6.12", recipe: "7", release: "trixie",
		modules: slices.Concat(busModules, oracles, chipDrivers.names()),
		own:     map[string][]ownModule{"6.12": {chipDrivers}},
		// Debian's compiler of that release knows an option that this one doesn't.
		make: []string{"CC=gcc-12", "CONFIG_CC_HAS_MIN_FUNCTION_ALIGNMENT="},
	}
)

var (
	busModules = []string{"virtio_pci", "virtio_console", "configfs", "i2c_dev", "vhci_hcd", "i2c_tiny_usb"}
	oracles    = []string{
		"bmp280_i2c", "lm75", "tmp102", "sht4x", "ti_ads1015",
		"dps310", "sht3x", "sht21", "jc42", "mcp3422", "bh1750", "mlx90614", "veml6030", "tsl2772",
		"ds1621", "ina2xx_adc", "st_pressure_i2c", "tsl2563", "ltr501",
	}
)

// image is what QEMU boots.
type image struct {
	release string // uname -r
	vmlinux string // the ELF kernel, which boots faster than the packed one
	bzImage string // the packed one, which alone comes back from a suspend
	base    string // initramfs without the guest program
}

// prepare returns the image from the cache, or builds it.
func prepare(ctx context.Context, k Kernel) (image, error) {
	cache, err := cacheDir()
	if err != nil {
		return image{}, err
	}
	sum := sha256.Sum256([]byte(k.recipe + k.Series + strings.Join(k.modules, " ")))
	key := fmt.Sprintf("%x", sum[:4])
	current := filepath.Join(cache, "kernel", "current-"+key)
	if im, err := cached(current); err == nil {
		return im, install(ctx, "qemu-system-x86")
	}
	var im image
	err = locked(cache, func() error {
		var err error
		if im, err = cached(current); err == nil {
			return nil // another process built it meanwhile
		}
		release, err := buildKernel(ctx, k, cache, key)
		if err != nil {
			return err
		}
		if err := os.WriteFile(current, []byte(release+"-"+key), 0o644); err != nil {
			return err
		}
		im, err = cached(current)
		return err
	})
	if err != nil {
		return image{}, fmt.Errorf("preparing Linux %s for the rig: %w", k.Series, err)
	}
	return im, nil
}

// cached reads which image is the current one and looks whether it is there.
func cached(current string) (image, error) {
	name, err := os.ReadFile(current)
	if err != nil {
		return image{}, err
	}
	dir := filepath.Join(filepath.Dir(current), string(name))
	release, _, _ := strings.Cut(string(name), "-amd64")
	im := image{
		release: release + "-amd64",
		vmlinux: filepath.Join(dir, "vmlinux"),
		bzImage: filepath.Join(dir, "bzImage"),
		base:    filepath.Join(dir, "base.cpio"),
	}
	for _, file := range []string{im.vmlinux, im.bzImage, im.base} {
		if _, err := os.Stat(file); err != nil {
			return image{}, err
		}
	}
	return im, nil
}

// buildKernel fetches Debian's kernel and builds the image of it.
func buildKernel(ctx context.Context, k Kernel, cache, key string) (release string, err error) {
	err = install(ctx, "qemu-system-x86", "gcc-12", "make", "xz-utils", "libelf1", "debian-archive-keyring")
	if err != nil {
		return "", err
	}
	work, err := os.MkdirTemp(cache, ".work-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	f, err := k.fetch(ctx, work)
	if err != nil {
		return "", err
	}
	root := filepath.Join(work, "root")
	// Unpacking the image and building modules need no result of each other.
	var unpacked, built error
	var ours map[string][]byte
	var both sync.WaitGroup
	both.Go(func() {
		unpacked = errors.Join(
			extract(ctx, f.debs["linux-image-"+f.linux], root),
			extract(ctx, f.debs["busybox-static"], root))
	})
	both.Go(func() {
		ours, built = k.buildModules(ctx, work, f)
	})
	both.Wait()
	if err := errors.Join(unpacked, built); err != nil {
		return "", err
	}
	bzImage, err := os.ReadFile(filepath.Join(root, "boot/vmlinuz-"+f.linux))
	if err != nil {
		return "", err
	}
	vmlinux, err := unpackKernel(ctx, bzImage)
	if err != nil {
		return "", err
	}
	busybox, err := merged(filepath.Join(root, "bin/busybox"))
	if err != nil {
		return "", err
	}
	modules, err := merged(filepath.Join(root, "lib/modules", f.linux))
	if err != nil {
		return "", err
	}
	return f.linux, build(filepath.Join(cache, "kernel", f.linux+"-"+key), func(dir string) error {
		for name, content := range map[string][]byte{"vmlinux": vmlinux, "bzImage": bzImage} {
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
				return err
			}
		}
		return writeBase(ctx, filepath.Join(dir, "base.cpio"), baseContent{
			busybox: busybox, lister: busybox, kernel: modules, modules: k.modules, built: ours,
		})
	})
}

// fetched is what was fetched to build an image.
type fetched struct {
	linux string            // the kernel's release, as uname -r tells
	debs  map[string]string // packages' files
	tools []string          // packages with the libraries of the programs that build modules
}

// kbuild is the package with the programs that build modules: one for a series
// in bookworm, one for each kernel in trixie.
func (k Kernel) kbuild(linux string) string {
	if k.release == "" {
		return "linux-kbuild-" + k.Series
	}
	return "linux-kbuild-" + strings.TrimSuffix(linux, "-amd64")
}

func commonHeaders(linux string) string {
	return "linux-headers-" + strings.TrimSuffix(linux, "amd64") + "common"
}

// fetch fetches the kernel's packages below work.
func (k Kernel) fetch(ctx context.Context, work string) (f fetched, err error) {
	debian := apt{}
	if k.release != "" {
		if debian, err = newApt(ctx, filepath.Join(work, "apt"), source{k.release, []string{"amd64"}}); err != nil {
			return f, err
		}
		f.tools = []string{"libc6", "libelf1t64", "libzstd1", "zlib1g"}
	}
	return f, withLists(ctx, func() error {
		pattern := regexp.MustCompile(regexp.QuoteMeta(k.Series) + `\.\S+-amd64`)
		if f.linux, err = debian.dependency(ctx, "linux-image-amd64", pattern); err != nil {
			return err
		}
		names := append([]string{"linux-image-" + f.linux, "linux-headers-" + f.linux, commonHeaders(f.linux), k.kbuild(f.linux), "busybox-static"}, f.tools...)
		for series := range k.own {
			names = append(names, "linux-source-"+series)
		}
		f.debs, err = debian.download(ctx, filepath.Join(work, "debs"), names...)
		return err
	})
}

// buildModules builds the modules that Debian's package lacks, with everything
// below work, and returns them by the kernel's names for them.
func (k Kernel) buildModules(ctx context.Context, work string, f fetched) (map[string][]byte, error) {
	root := filepath.Join(work, "headers")
	for _, name := range []string{"linux-headers-" + f.linux, commonHeaders(f.linux), k.kbuild(f.linux)} {
		if err := extract(ctx, f.debs[name], root); err != nil {
			return nil, err
		}
	}
	if err := k.ownLibraries(ctx, root, f); err != nil {
		return nil, err
	}
	headers := filepath.Join(root, "usr/src")
	kit := kernelKit{headers: filepath.Join(headers, "linux-headers-"+f.linux), common: filepath.Join(headers, commonHeaders(f.linux)), make: k.make, strip: "strip"}
	built := map[string][]byte{}
	var failed error
	var mu sync.Mutex // guards both
	var all sync.WaitGroup
	for series, list := range k.own {
		for _, m := range list {
			all.Go(func() {
				dir := filepath.Join(work, m.name)
				err := m.unpack(ctx, f.debs["linux-source-"+series], series, dir)
				var content map[string][]byte
				if err == nil {
					content, err = m.build(ctx, dir, kit)
				}
				mu.Lock()
				defer mu.Unlock()
				maps.Copy(built, content)
				if err != nil {
					failed = errors.Join(failed, fmt.Errorf("building %s: %w", m.name, err))
				}
			})
		}
	}
	all.Wait()
	return built, failed
}

// ownLibraries has the programs that build modules run with the libraries of
// their own release, where those of the host are older.
func (k Kernel) ownLibraries(ctx context.Context, root string, f fetched) error {
	if k.release == "" {
		return nil
	}
	tree := qemuTree(filepath.Join(root, "libraries"))
	for _, name := range f.tools {
		if err := extract(ctx, f.debs[name], string(tree)); err != nil {
			return err
		}
	}
	kbuild := filepath.Join(root, "usr/lib", k.kbuild(f.linux))
	return errors.Join(
		tree.startsItself(filepath.Join(kbuild, "scripts/mod/modpost"), "modpost.real-lsb-64"),
		tree.startsItself(filepath.Join(kbuild, "tools/objtool/objtool"), "objtool.real-x86"))
}

// unpackKernel takes the ELF kernel out of a bzImage, where it is packed by xz
// or zstd (Documentation/arch/x86/boot.rst, payload_offset and payload_length).
func unpackKernel(ctx context.Context, bzImage []byte) ([]byte, error) {
	const (
		setupSectors  = 0x1f1
		magic         = 0x202
		payloadOffset = 0x248
		payloadLength = 0x24c
	)
	if len(bzImage) < 0x250 || string(bzImage[magic:magic+4]) != "HdrS" {
		return nil, errors.New("the kernel is no bzImage")
	}
	start := (int(bzImage[setupSectors]) + 1) * 512
	start += int(binary.LittleEndian.Uint32(bzImage[payloadOffset:]))
	end := start + int(binary.LittleEndian.Uint32(bzImage[payloadLength:]))
	if start < 0 || end > len(bzImage) || start+6 > end {
		return nil, fmt.Errorf("the kernel's payload, bytes %d to %d, lies outside its %d bytes", start, end, len(bzImage))
	}
	payload := bzImage[start:end]
	vmlinux, err := unpackPayload(ctx, payload)
	if err != nil {
		return nil, fmt.Errorf("unpacking the kernel: %w", err)
	}
	if !bytes.HasPrefix(vmlinux, []byte(elf.ELFMAG)) {
		return nil, errors.New("the unpacked kernel is no ELF file")
	}
	return vmlinux, nil
}

// unpackPayload unpacks a kernel. Its unpacked size follows, in four bytes.
func unpackPayload(ctx context.Context, payload []byte) ([]byte, error) {
	switch {
	case bytes.HasPrefix(payload, []byte("\xfd7zXZ\x00")):
		xz := exec.CommandContext(ctx, "xz", "-dc", "--single-stream")
		xz.Stdin = bytes.NewReader(payload)
		return xz.Output()
	case bytes.HasPrefix(payload, []byte("\x28\xb5\x2f\xfd")):
		zstd, err := zstd.NewReader(bytes.NewReader(payload[:len(payload)-4]))
		if err != nil {
			return nil, err
		}
		defer zstd.Close()
		return io.ReadAll(zstd)
	}
	return nil, fmt.Errorf("it is packed by neither xz nor zstd: it begins with % x", payload[:6])
}
