package rig

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// piRecipe is part of the cache's key: raise it when what is built changes.
const piRecipe = "4"

// piImage is what QEMU boots as a Raspberry Pi.
type piImage struct {
	qemu   qemuTree
	kernel string
	tree   string // device tree, as the kernel's package has it
	base   string // initramfs without the guest's program
	cross  crossCompiler
}

func imageIn(dir string, m Model) piImage {
	return piImage{
		qemu: qemuTree(filepath.Join(dir, "qemu")), kernel: filepath.Join(dir, m.Name, "kernel"),
		tree: filepath.Join(dir, m.Name, "tree.dtb"), base: filepath.Join(dir, m.Name, "base.cpio"),
		cross: crossCompiler{filepath.Join(dir, m.Name, "cross"), m.cross},
	}
}

func (im piImage) there() error {
	for _, file := range []string{filepath.Join(string(im.qemu), "usr/bin/qemu-system-arm"), im.kernel, im.tree, im.base} {
		if _, err := os.Stat(file); err != nil {
			return err
		}
	}
	return nil
}

// preparePi returns the image from the cache, or builds those of all models.
func preparePi(ctx context.Context, model Model) (piImage, error) {
	cache, err := cacheDir()
	if err != nil {
		return piImage{}, err
	}
	key := sha256.New()
	fmt.Fprint(key, piRecipe)
	for _, m := range Models {
		fmt.Fprint(key, m.kernel, m.modules)
	}
	// A lock of their own: who needs no Pi doesn't wait for one.
	cache = filepath.Join(cache, "pi")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return piImage{}, err
	}
	dir := filepath.Join(cache, fmt.Sprintf("%x", key.Sum(nil)[:4]))
	im := imageIn(dir, model)
	if im.there() == nil {
		return im, nil
	}
	err = locked(cache, func() error {
		if im.there() == nil {
			return nil // another process built it meanwhile
		}
		return build(dir, func(dir string) error { return buildPis(ctx, cache, dir) })
	})
	return im, errors.Join(err, im.there())
}

// piBuild builds what all models boot.
type piBuild struct {
	debian apt
	work   string
	dir    string // where the result goes

	linux   map[string]string // model → its kernel's release
	debs    map[string]string // packages' files, by their qualified names
	sources map[string]func() (dir string, err error)
}

// buildPis fetches QEMU and the kernels, and builds all images below dir.
func buildPis(ctx context.Context, cache, dir string) error {
	if err := install(ctx, "gcc-12", "make", "xz-utils", "debian-archive-keyring"); err != nil {
		return err
	}
	work, err := os.MkdirTemp(cache, ".work-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	b := &piBuild{work: work, dir: dir, linux: map[string]string{}}
	if err := b.fetch(ctx); err != nil {
		return fmt.Errorf("fetching: %w", err)
	}
	failed := make([]error, len(Models))
	var all sync.WaitGroup
	for i, m := range Models {
		all.Go(func() {
			if err := b.build(ctx, m); err != nil {
				failed[i] = fmt.Errorf("building %s: %w", m.Name, err)
			}
		})
	}
	all.Wait()
	return errors.Join(failed...)
}

func (b *piBuild) qemu() qemuTree { return qemuTree(filepath.Join(b.dir, "qemu")) }

// root is where a model's packages are unpacked; those for the host are in a
// directory beside it.
func (b *piBuild) root(m Model) string { return filepath.Join(b.work, m.Name, "root") }

func (b *piBuild) host(m Model) string { return filepath.Join(b.work, m.Name, "host") }

// fetch fetches all packages and unpacks QEMU.
func (b *piBuild) fetch(ctx context.Context) (err error) {
	architectures := map[string][]string{"bookworm": {"amd64"}, "trixie": {"amd64"}}
	for _, m := range Models {
		architectures[m.release] = append(architectures[m.release], m.debian)
	}
	b.debian, err = newApt(ctx, filepath.Join(b.work, "apt"),
		source{"bookworm", architectures["bookworm"]}, source{"trixie", architectures["trixie"]})
	if err != nil {
		return err
	}
	var names []string
	for _, m := range Models {
		image, err := b.debian.dependency(ctx, m.kernel+":"+m.debian, regexp.MustCompile(`linux-image-\d\S*-`+m.flavour))
		if err != nil {
			return err
		}
		b.linux[m.Name] = strings.TrimPrefix(image, "linux-image-")
		names = append(names, b.packages(m)...)
		names = append(names, b.source(m))
	}
	if err := b.download(ctx, names); err != nil {
		return err
	}
	b.sources = map[string]func() (string, error){}
	for _, m := range Models {
		b.sources[b.source(m)] = sync.OnceValues(func() (string, error) {
			dir := filepath.Join(b.work, "source-"+b.version(m))
			return dir, gpioSim.unpack(ctx, b.debs[b.source(m)], b.version(m), dir)
		})
	}
	return b.fetchQEMU(ctx)
}

// download fetches packages, those of each release into a directory of its own:
// both have some of the same name.
func (b *piBuild) download(ctx context.Context, names []string) error {
	byRelease := map[string][]string{}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
		release := name[strings.LastIndexByte(name, '/')+1:]
		byRelease[release] = append(byRelease[release], name)
	}
	b.debs = map[string]string{}
	for release, names := range byRelease {
		files, err := b.debian.download(ctx, filepath.Join(b.work, "debs-"+release), names...)
		if err != nil {
			return err
		}
		maps.Copy(b.debs, files)
	}
	return nil
}

// fetchQEMU unpacks QEMU with its libraries, and the device tree's compiler.
// What else they depend on (adduser, passwd) is for installing.
func (b *piBuild) fetchQEMU(ctx context.Context) error {
	files, err := b.debian.withDependencies(ctx, filepath.Join(b.work, "qemu"), "qemu-system-arm/trixie", "device-tree-compiler/trixie")
	if err != nil {
		return err
	}
	wanted := regexp.MustCompile(`^(lib|zlib1g|qemu-|device-tree-)`)
	for _, file := range files {
		if wanted.MatchString(filepath.Base(file)) {
			if err := extract(ctx, file, string(b.qemu())); err != nil {
				return err
			}
		}
	}
	_, err = b.qemu().output("qemu-system-arm", "-version") // it starts
	return err
}

// of qualifies a package by an architecture and the model's release.
func of(m Model, name, architecture string) string {
	return name + ":" + architecture + "/" + m.release
}

// packages are what a model's image is made from, but the kernel's source.
func (b *piBuild) packages(m Model) []string {
	linux := b.linux[m.Name]
	names := []string{
		of(m, "linux-image-"+linux, m.debian), of(m, "linux-headers-"+linux, m.debian), of(m, "busybox-static", m.debian),
		of(m, "linux-headers-"+b.common(m), "all"), of(m, b.kbuild(m), "amd64"), b.busybox(m),
	}
	return append(names, m.compiler()...)
}

// compiler is a cross compiler of C: bookworm's, which finds all else in the
// host's own. Only the Zero's gets a C library.
func (m Model) compiler() []string {
	var names []string
	for _, name := range []string{"gcc-12-", "cpp-12-", "binutils-"} {
		names = append(names, name+m.cross+":amd64/bookworm")
	}
	if m.Name == Zero.Name {
		for _, name := range []string{"libc6", "libc6-dev", "libgcc-12-dev", "libgcc-s1", "linux-libc-dev"} {
			names = append(names, name+"-"+m.debian+"-cross:all/bookworm")
		}
	}
	return names
}

// busybox is the host's, which tells what the model's can do.
func (b *piBuild) busybox(m Model) string { return of(m, "busybox-static", "amd64") }

func (b *piBuild) common(m Model) string {
	return strings.TrimSuffix(b.linux[m.Name], m.flavour) + "common"
}

// version is the kernel's series: 6.1.
func (b *piBuild) version(m Model) string {
	return strings.Join(strings.SplitN(b.linux[m.Name], ".", 3)[:2], ".")
}

func (b *piBuild) source(m Model) string { return of(m, "linux-source-"+b.version(m), "all") }

// kbuild is the package with the programs that build modules: one for a series
// in bookworm, one for each kernel in trixie.
func (b *piBuild) kbuild(m Model) string {
	if m.release == "bookworm" {
		return "linux-kbuild-" + b.version(m)
	}
	return "linux-kbuild-" + strings.TrimSuffix(b.linux[m.Name], "-"+m.flavour)
}

// build builds one model's image.
func (b *piBuild) build(ctx context.Context, m Model) error {
	im := imageIn(b.dir, m)
	if err := os.MkdirAll(filepath.Dir(im.kernel), 0o755); err != nil {
		return err
	}
	for _, name := range b.packages(m) {
		to := b.root(m)
		switch {
		case name == b.busybox(m):
			to = b.host(m)
		case slices.Contains(m.compiler(), name):
			to = im.cross.root
		}
		if err := extract(ctx, b.debs[name], to); err != nil {
			return err
		}
	}
	linux := b.linux[m.Name]
	if err := errors.Join(
		copyFile(im.kernel, filepath.Join(b.root(m), "boot/vmlinuz-"+linux)),
		copyFile(im.tree, filepath.Join(b.root(m), "usr/lib/linux-image-"+linux, m.tree)),
	); err != nil {
		return err
	}
	content := baseContent{modules: m.modules}
	var err error
	if content.built, err = b.gpioSim(ctx, m); err != nil {
		return fmt.Errorf("building gpio-sim: %w", err)
	}
	for to, name := range map[*string]string{&content.busybox: b.root(m) + "/bin/busybox", &content.lister: b.host(m) + "/bin/busybox",
		&content.kernel: b.root(m) + "/lib/modules/" + linux} {
		if *to, err = merged(name); err != nil {
			return err
		}
	}
	if m.Name != Zero.Name {
		if err := os.RemoveAll(im.cross.root); err != nil {
			return err
		}
	}
	return writeBase(ctx, im.base, content)
}

func copyFile(to, from string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o644)
}

// merged finds a file of a package that Debian may have moved from / to /usr:
// bookworm's are in /bin and /lib, trixie's in /usr/bin and /usr/lib.
func merged(path string) (string, error) {
	dir, name := filepath.Split(path)
	for _, top := range []string{"bin/", "lib/", "lib/modules/"} {
		if root, ok := strings.CutSuffix(dir, top); ok {
			if _, err := os.Stat(path); err == nil {
				return path, nil
			}
			path = filepath.Join(root, "usr", top, name)
			_, err := os.Stat(path)
			return path, err
		}
	}
	return "", fmt.Errorf("%s is in none of the directories that were merged", path)
}

// gpioSim builds gpio-sim for the model's kernel.
func (b *piBuild) gpioSim(ctx context.Context, m Model) (map[string][]byte, error) {
	sources, err := b.sources[b.source(m)]()
	if err != nil {
		return nil, err
	}
	// A directory of its own for what the compiler leaves.
	dir := filepath.Join(b.work, m.Name, "gpio-sim")
	if err := os.CopyFS(dir, os.DirFS(sources)); err != nil {
		return nil, err
	}
	headers := filepath.Join(b.root(m), "usr/src/linux-headers-")
	cross := imageIn(b.dir, m).cross
	if err := b.ownModpost(m); err != nil {
		return nil, err
	}
	return gpioSim.build(ctx, dir, kernelKit{
		headers: headers + b.linux[m.Name], common: headers + b.common(m),
		env:   cross.environ(),
		make:  append([]string{"CROSS_COMPILE=" + m.cross + "-", "CC=" + m.cross + "-gcc-12"}, m.make...),
		strip: m.cross + "-strip",
	})
}

// A crossCompiler is unpacked, not installed.
type crossCompiler struct{ root, triplet string }

// environ is what the compiler needs to find its programs and libraries.
func (c crossCompiler) environ() []string {
	return []string{
		"PATH=" + filepath.Join(c.root, "usr/bin") + ":" + os.Getenv("PATH"),
		"LD_LIBRARY_PATH=" + filepath.Join(c.root, "usr/lib/x86_64-linux-gnu"),
	}
}

// CompileForZero compiles a C program for the Zero, static.
func CompileForZero(ctx context.Context, target, source string) error {
	im, err := preparePi(ctx, Zero)
	if err != nil {
		return fmt.Errorf("preparing the compiler: %w", err)
	}
	args := append(im.cross.environ(), im.cross.triplet+"-gcc-12", "-O2", "-Wall", "-static", "-o", target, source)
	_, err = command(ctx, "", "env", args...)
	return err
}

// ownModpost replaces trixie's modpost, which picks one by the word size and
// starts it by the host's dynamic linker, by one that uses the tree's.
func (b *piBuild) ownModpost(m Model) error {
	if m.release == "bookworm" {
		return nil
	}
	return b.qemu().startsItself(filepath.Join(b.root(m), "usr/lib", b.kbuild(m), "scripts/mod/modpost"), "modpost.real-lsb-64")
}
