package rig

import (
	"bufio"
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// baseContent is what an initramfs is made of, without the guest's program.
type baseContent struct {
	busybox string            // the guest's
	lister  string            // the same in the host's architecture, which tells its applets
	kernel  string            // directory of the kernel's modules
	modules []string          // those that the guest may load
	built   map[string][]byte // modules that were built here, by the kernel's names for them
}

// writeBase writes the initramfs: modules, busybox, and the few files of /etc
// that programs look for.
func writeBase(ctx context.Context, target string, c baseContent) error {
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

	if err := addBusybox(ctx, archive, c); err != nil {
		return err
	}
	if err := addModules(ctx, archive, c); err != nil {
		return err
	}
	if err := errors.Join(archive.Close(), buffered.Flush(), f.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", target, err)
	}
	return nil
}

func addBusybox(ctx context.Context, archive *cpio, c baseContent) error {
	program, err := os.ReadFile(c.busybox)
	if err != nil {
		return err
	}
	applets, err := command(ctx, "", c.lister, "--list")
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
func addModules(ctx context.Context, archive *cpio, c baseContent) error {
	files := map[string]string{}
	err := filepath.WalkDir(c.kernel, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name, packed, ok := strings.Cut(d.Name(), ".ko"); ok && (packed == "" || packed == ".xz") {
			files[moduleName(name)] = path
		}
		return nil
	})
	if err != nil {
		return err
	}
	builtin, err := builtins(c.kernel)
	if err != nil {
		return err
	}
	loaded := maps.Clone(c.built)
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
			if content, err = readModule(ctx, path); err != nil {
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
	for _, name := range c.modules {
		if builtin[name] {
			archive.File("lib/modules/"+name+".dep", 0o644, nil)
			continue
		}
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

// builtins are the modules that are part of the kernel itself.
func builtins(kernel string) (map[string]bool, error) {
	list, err := os.ReadFile(filepath.Join(kernel, "modules.builtin"))
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for _, path := range strings.Fields(string(list)) {
		names[moduleName(strings.TrimSuffix(filepath.Base(path), ".ko"))] = true
	}
	return names, nil
}

// readModule reads a module, which may be packed by xz.
func readModule(ctx context.Context, path string) ([]byte, error) {
	if strings.HasSuffix(path, ".xz") {
		return command(ctx, "", "xz", "-dc", path)
	}
	return os.ReadFile(path)
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
