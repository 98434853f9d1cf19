package rig

import (
	"bytes"
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
)

// modules are what the guest may load, with what they depend on. The models'
// own drivers come first, then those that read the same chips as an oracle.
var modules = []string{
	"virtio_pci", "virtio_console", "configfs",
	"gpio_sim", "i2c_dev", "vhci_hcd", "i2c_tiny_usb", "ds2490", "wire", "w1_therm",
	"spi_ch341", "mcp320x", "xhci_pci", "ftdi_sio",
	"bmp280_i2c", "lm75", "tmp102", "sht4x", "ti_ads1015",
	"dps310", "sht3x", "sht21", "jc42", "mcp3422", "bh1750", "mlx90614", "veml6030", "tsl2772",
	"max17042_battery", "ds1621", "ina2xx_adc", "st_pressure_i2c", "tsl2563",
	"loop", "vfat", "nls_ascii", "nls_cp437",
	"virtio_blk", "crc32c_generic", "ext4", "overlay",
}

// recipe is part of the cache's key: raise it when what is built changes.
const recipe = "5"

// image is what QEMU boots.
type image struct {
	release string // uname -r
	vmlinux string // the ELF kernel, which boots faster than the packed one
	bzImage string // the packed one, which alone comes back from a suspend
	base    string // initramfs without the guest program
}

// prepare returns the image from the cache, or builds it.
func prepare(ctx context.Context) (image, error) {
	cache, err := cacheDir()
	if err != nil {
		return image{}, err
	}
	sum := sha256.Sum256([]byte(recipe + strings.Join(modules, " ")))
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
		release, err := buildKernel(ctx, cache, key)
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
		return image{}, fmt.Errorf("preparing the rig's kernel: %w", err)
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
func buildKernel(ctx context.Context, cache, key string) (release string, err error) {
	err = install(ctx, "qemu-system-x86", "gcc-12", "make", "xz-utils", "libelf1")
	if err != nil {
		return "", err
	}
	work, err := os.MkdirTemp(cache, ".work-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)

	var debs map[string]string
	err = withLists(ctx, func() error {
		var err error
		if release, err = (apt{}).dependency(ctx, "linux-image-amd64", regexp.MustCompile(`6\.1\.\S+-amd64`)); err != nil {
			return err
		}
		common := strings.TrimSuffix(release, "amd64") + "common"
		debs, err = download(ctx, filepath.Join(work, "debs"), "linux-image-"+release,
			"linux-headers-"+release, "linux-headers-"+common, "linux-kbuild-6.1", "linux-source-6.1", "linux-source-6.12", "busybox-static")
		return err
	})
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
			extract(ctx, debs["linux-image-"+release], root),
			extract(ctx, debs["busybox-static"], root))
	})
	both.Go(func() {
		ours, built = buildModules(ctx, work, release, debs)
	})
	both.Wait()
	if err := errors.Join(unpacked, built); err != nil {
		return "", err
	}
	bzImage, err := os.ReadFile(filepath.Join(root, "boot/vmlinuz-"+release))
	if err != nil {
		return "", err
	}
	vmlinux, err := unpackKernel(ctx, bzImage)
	if err != nil {
		return "", err
	}
	return release, build(filepath.Join(cache, "kernel", release+"-"+key), func(dir string) error {
		for name, content := range map[string][]byte{"vmlinux": vmlinux, "bzImage": bzImage} {
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
				return err
			}
		}
		return writeBase(ctx, filepath.Join(dir, "base.cpio"), baseContent{
			busybox: filepath.Join(root, "bin/busybox"), lister: filepath.Join(root, "bin/busybox"),
			kernel: filepath.Join(root, "lib/modules", release), modules: modules, built: ours,
		})
	})
}

// buildModules builds the modules that Debian's kernel lacks, with everything
// below work, and returns them by the kernel's names for them.
func buildModules(ctx context.Context, work, release string, debs map[string]string) (map[string][]byte, error) {
	root := filepath.Join(work, "headers")
	common := strings.TrimSuffix(release, "amd64") + "common"
	for _, name := range []string{"linux-headers-" + release, "linux-headers-" + common, "linux-kbuild-6.1"} {
		if err := extract(ctx, debs[name], root); err != nil {
			return nil, err
		}
	}
	headers := filepath.Join(root, "usr/src/linux-headers-")
	kit := kernelKit{headers: headers + release, common: headers + common, strip: "strip"}
	built := map[string][]byte{}
	var failed error
	var mu sync.Mutex // guards both
	var all sync.WaitGroup
	for version, m := range map[string]ownModule{"6.1": gpioSim, "6.12": spiCH341} {
		all.Go(func() {
			dir := filepath.Join(work, m.name)
			err := m.unpack(ctx, debs["linux-source-"+version], version, dir)
			var content []byte
			if err == nil {
				content, err = m.build(ctx, dir, kit)
			}
			mu.Lock()
			defer mu.Unlock()
			built[moduleName(m.name)] = content
			if err != nil {
				failed = errors.Join(failed, fmt.Errorf("building %s: %w", m.name, err))
			}
		})
	}
	all.Wait()
	return built, failed
}

// unpackKernel takes the ELF kernel out of a bzImage, where it is packed by xz
// (Documentation/x86/boot.rst, payload_offset and payload_length).
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
	if string(payload[:6]) != "\xfd7zXZ\x00" {
		return nil, fmt.Errorf("the kernel isn't packed by xz: it begins with % x", payload[:6])
	}
	// The unpacked size follows the stream.
	xz := exec.CommandContext(ctx, "xz", "-dc", "--single-stream")
	xz.Stdin = bytes.NewReader(payload)
	vmlinux, err := xz.Output()
	if err != nil {
		return nil, fmt.Errorf("unpacking the kernel: %w", err)
	}
	if !bytes.HasPrefix(vmlinux, []byte(elf.ELFMAG)) {
		return nil, errors.New("the unpacked kernel is no ELF file")
	}
	return vmlinux, nil
}
