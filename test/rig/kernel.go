package rig

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// modules are what the guest may load, with what they depend on. The models'
// own drivers come first, then those that read the same chips as an oracle.
var modules = []string{
	"virtio_pci", "virtio_console", "configfs",
	"gpio_sim", "i2c_dev", "vhci_hcd", "i2c_tiny_usb", "ds2490", "wire", "w1_therm",
	"bmp280_i2c", "lm75", "tmp102", "sht4x", "ti_ads1015",
	"dps310", "sht3x", "sht21", "jc42", "mcp3422", "bh1750", "mlx90614", "veml6030", "tsl2772",
	"loop", "vfat", "nls_ascii", "nls_cp437",
}

// recipe is part of the cache's key: raise it when what is built changes.
const recipe = "4"

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
		if release, err = kernelRelease(ctx); err != nil {
			return err
		}
		common := strings.TrimSuffix(release, "amd64") + "common"
		debs, err = download(ctx, filepath.Join(work, "debs"), "linux-image-"+release,
			"linux-headers-"+release, "linux-headers-"+common, "linux-kbuild-6.1", "linux-source-6.1", "busybox-static")
		return err
	})
	if err != nil {
		return "", err
	}
	root := filepath.Join(work, "root")
	// Unpacking the image and building the module need no result of each other.
	var unpacked, built error
	var gpioSim []byte
	var both sync.WaitGroup
	both.Go(func() {
		unpacked = errors.Join(
			extract(ctx, debs["linux-image-"+release], root),
			extract(ctx, debs["busybox-static"], root))
	})
	both.Go(func() {
		gpioSim, built = buildGPIOSim(ctx, work, release, debs)
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
		return writeBase(ctx, filepath.Join(dir, "base.cpio"), root, release, gpioSim)
	})
}

// kernelRelease asks apt which kernel linux-image-amd64 stands for.
func kernelRelease(ctx context.Context) (string, error) {
	out, err := command(ctx, "", "apt-cache", "depends", "linux-image-amd64")
	if err != nil {
		return "", err
	}
	release := regexp.MustCompile(`Depends: linux-image-(6\.1\.\S+-amd64)\n`).FindSubmatch(out)
	if release == nil {
		return "", fmt.Errorf("apt knows no kernel 6.1 behind linux-image-amd64; is this Debian 12 with package lists? %q", out)
	}
	return string(release[1]), nil
}

// gpioSimSources are the files that the module is made of. Debian's kernel has
// neither gpio-sim nor the simulated interrupts that it stands on.
var gpioSimSources = map[string]string{
	"drivers/gpio/gpio-sim.c": "gpio-sim-core.c",
	"drivers/gpio/gpiolib.h":  "gpiolib.h",
	"kernel/irq/irq_sim.c":    "irq_sim.c",
}

const gpioSimMakefile = `obj-m := gpio-sim.o
gpio-sim-y := gpio-sim-core.o irq_sim.o
ccflags-y := -DCONFIG_IRQ_SIM=1
`

// buildGPIOSim builds gpio-sim.ko out of tree, with everything below work.
func buildGPIOSim(ctx context.Context, work, release string, debs map[string]string) ([]byte, error) {
	root := filepath.Join(work, "headers")
	dir := filepath.Join(work, "gpio-sim")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	common := strings.TrimSuffix(release, "amd64") + "common"
	for _, name := range []string{"linux-headers-" + release, "linux-headers-" + common, "linux-kbuild-6.1"} {
		if err := extract(ctx, debs[name], root); err != nil {
			return nil, err
		}
	}
	// --occurrence lets tar stop at the last of them instead of reading 1.3 GB.
	args := []string{"-xf", "-", "--occurrence=1"}
	for source := range gpioSimSources {
		args = append(args, "linux-source-6.1/"+source)
	}
	err := pipeline(ctx, dir,
		exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", debs["linux-source-6.1"]),
		exec.CommandContext(ctx, "tar", "-xOf", "-", "./usr/src/linux-source-6.1.tar.xz"),
		exec.CommandContext(ctx, "xz", "-T0", "-dc"),
		exec.CommandContext(ctx, "tar", args...))
	if err != nil {
		return nil, err
	}
	for source, name := range gpioSimSources {
		text, err := os.ReadFile(filepath.Join(dir, "linux-source-6.1", source))
		if err != nil {
			return nil, err
		}
		// irq_to_desc isn't exported to modules; this gives the same descriptor.
		text = bytes.ReplaceAll(text, []byte("irq_to_desc(irqnum)"), []byte("irq_data_to_desc(irq_get_irq_data(irqnum))"))
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "Makefile"), []byte(gpioSimMakefile), 0o644); err != nil {
		return nil, err
	}
	src := filepath.Join(root, "usr/src")
	_, err = command(ctx, "", "make", "-C", filepath.Join(src, "linux-headers-"+common),
		"O="+filepath.Join(src, "linux-headers-"+release), "M="+dir, "CONFIG_DEBUG_INFO_BTF_MODULES=", "modules")
	if err != nil {
		return nil, err
	}
	module := filepath.Join(dir, "gpio-sim.ko")
	if _, err := command(ctx, "", "strip", "--strip-debug", module); err != nil {
		return nil, err
	}
	return os.ReadFile(module)
}

// pipeline runs commands, each reading what the one before it writes. Only the
// last one's status counts: it may stop reading early, of which the others die.
func pipeline(ctx context.Context, dir string, cmds ...*exec.Cmd) error {
	last := len(cmds) - 1
	var said bytes.Buffer
	cmds[last].Dir, cmds[last].Stderr = dir, &said
	var ours []*os.File // our copies of the pipes' ends
	defer func() {
		for _, f := range ours {
			f.Close()
		}
	}()
	for i, cmd := range cmds[:last] {
		r, w, err := os.Pipe()
		if err != nil {
			return err
		}
		ours = append(ours, r, w)
		cmd.Stdout, cmds[i+1].Stdin = w, r
	}
	for _, cmd := range cmds {
		if err := cmd.Start(); err != nil {
			return fmt.Errorf("starting %s: %w", cmd, err)
		}
	}
	for _, f := range ours {
		f.Close()
	}
	ours = nil
	failed := cmds[last].Wait()
	for _, cmd := range cmds[:last] {
		if err := cmd.Wait(); err != nil && ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if failed != nil {
		return fmt.Errorf("%s: %w: %s", cmds[last], failed, tail(said.String(), 2000))
	}
	return nil
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

// writeBase writes the initramfs: modules, busybox, and the few files of /etc
// that programs look for.
func writeBase(ctx context.Context, target, root, release string, gpioSim []byte) error {
	f, err := os.Create(target)
	if err != nil {
		return err
	}
	defer f.Close()
	buffered := bufio.NewWriterSize(f, 1<<20)
	archive := newCPIO(buffered)
	for _, dir := range []string{"dev", "proc", "sys", "tmp", "run", "root", "home", "mnt", "opt", "var/lib", "var/tmp", "usr/local/bin"} {
		archive.Dir(dir, 0o755)
	}
	archive.CharDevice("dev/console", 0o600, 5, 1)
	archive.File("etc/passwd", 0o644, []byte("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\ndormouse:x:990:990:Dormouse:/:/bin/false\n"))
	archive.File("etc/group", 0o644, []byte("root:x:0:\nnogroup:x:65534:\ndormouse:x:990:\ngpio:x:991:\ni2c:x:992:\nspi:x:993:\ndialout:x:20:\nvideo:x:44:\n"))
	archive.File("etc/hosts", 0o644, []byte("127.0.0.1 localhost raspberrypi\n::1 localhost\n"))

	if err := addBusybox(ctx, archive, filepath.Join(root, "bin/busybox")); err != nil {
		return err
	}
	if err := addModules(archive, filepath.Join(root, "lib/modules", release), gpioSim); err != nil {
		return err
	}
	if err := errors.Join(archive.Close(), buffered.Flush(), f.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", target, err)
	}
	return nil
}

func addBusybox(ctx context.Context, archive *cpio, path string) error {
	program, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	applets, err := command(ctx, "", path, "--list")
	if err != nil {
		return err
	}
	archive.File("bin/busybox", 0o755, program)
	for _, applet := range strings.Fields(string(applets)) {
		if applet != "busybox" {
			archive.Symlink("bin/"+applet, "busybox")
		}
	}
	return nil
}

// addModules adds the modules and, for each, the order in which to load what
// it needs: NAME.dep, which the guest's modprobe reads.
func addModules(archive *cpio, dir string, gpioSim []byte) error {
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".ko") {
			files[moduleName(strings.TrimSuffix(d.Name(), ".ko"))] = path
		}
		return err
	})
	if err != nil {
		return err
	}
	loaded := map[string][]byte{"gpio_sim": gpioSim}
	needs := map[string][]string{}
	var visit func(name string) error
	visit = func(name string) error {
		if _, seen := needs[name]; seen {
			return nil
		}
		content := loaded[name]
		if content == nil {
			path, ok := files[name]
			if !ok {
				return fmt.Errorf("the kernel package has no module %s", name)
			}
			var err error
			if content, err = os.ReadFile(path); err != nil {
				return err
			}
			loaded[name] = content
		}
		var err error
		if needs[name], err = dependencies(content); err != nil {
			return fmt.Errorf("reading module %s: %w", name, err)
		}
		for _, need := range needs[name] {
			if err := visit(need); err != nil {
				return err
			}
		}
		return nil
	}
	for _, name := range modules {
		if err := visit(name); err != nil {
			return err
		}
		order := loadOrder(name, needs)
		archive.File("lib/modules/"+name+".dep", 0o644, []byte(strings.Join(order, ".ko\n")+".ko\n"))
	}
	for _, name := range slices.Sorted(maps.Keys(loaded)) {
		archive.File("lib/modules/"+name+".ko", 0o644, loaded[name])
	}
	return nil
}

// loadOrder lists a module after all that it needs, each once.
func loadOrder(name string, needs map[string][]string) []string {
	var order []string
	var visit func(string)
	visit = func(name string) {
		if slices.Contains(order, name) {
			return
		}
		for _, need := range needs[name] {
			visit(need)
		}
		order = append(order, name)
	}
	visit(name)
	return order
}

// dependencies reads "depends=a,b" from a module's .modinfo section.
func dependencies(module []byte) ([]string, error) {
	f, err := elf.NewFile(bytes.NewReader(module))
	if err != nil {
		return nil, err
	}
	section := f.Section(".modinfo")
	if section == nil {
		return nil, errors.New("no section .modinfo")
	}
	info, err := section.Data()
	if err != nil {
		return nil, err
	}
	names := []string{}
	for field := range strings.SplitSeq(string(info), "\x00") {
		list, ok := strings.CutPrefix(field, "depends=")
		if !ok || list == "" {
			continue
		}
		for name := range strings.SplitSeq(list, ",") {
			names = append(names, moduleName(name))
		}
	}
	return names, nil
}

// moduleName is a module's one true name: the kernel takes - and _ for the same.
func moduleName(name string) string { return strings.ReplaceAll(name, "-", "_") }
