package rig

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// An ownModule is a module that Debian's kernel lacks, built out of tree from
// the sources in one of Debian's packages; or several at once.
type ownModule struct {
	name     string            // its file's, without .ko; of several, of the lot
	several  []string          // their files', without .ko
	sources  map[string]string // path in the kernel's tree → name here
	changes  map[string]string // to the sources: from → to
	makefile string            // what kbuild needs to know besides the names
}

// spiCH341 is the driver of an SPI controller that is plugged in by USB. Linux
// has it since 6.12.
var spiCH341 = ownModule{
	name:    "spi-ch341",
	sources: map[string]string{"drivers/spi/spi-ch341.c": "spi-ch341.c"},
	changes: map[string]string{
		// The driver calls the chip behind the adapter spi-ch341a, which no driver
		// of a chip takes. A parameter gives it another name.
		"static int ch341_probe(": "module_param_string(alias, chip.modalias, sizeof(chip.modalias), 0644);\n\nstatic int ch341_probe(",
		// The name before 6.2 (linux/spi/spi.h).
		"devm_spi_alloc_host(": "devm_spi_alloc_master(",
	},
}

// chipDrivers are the kernel's drivers of chips that Debian's package for PCs
// leaves out.
var chipDrivers = ownModule{
	name: "chips",
	several: []string{
		"hts221", "hts221_i2c", "hdc100x", "hdc3020", "tmp117", "adt7x10", "adt7410", "aht10", "ina2xx", "ina3221", "scd4x", "tsl2591",
		"bme680_core", "bme680_i2c",
	},
	sources: byBaseName(
		"drivers/hwmon/adt7410.c", "drivers/hwmon/adt7x10.c", "drivers/hwmon/adt7x10.h",
		"drivers/hwmon/aht10.c", "drivers/hwmon/ina2xx.c", "drivers/hwmon/ina3221.c",
		"drivers/iio/chemical/bme680.h", "drivers/iio/chemical/bme680_core.c", "drivers/iio/chemical/bme680_i2c.c",
		"drivers/iio/chemical/scd4x.c",
		"drivers/iio/humidity/hdc100x.c", "drivers/iio/humidity/hdc3020.c",
		"drivers/iio/humidity/hts221.h", "drivers/iio/humidity/hts221_buffer.c", "drivers/iio/humidity/hts221_core.c", "drivers/iio/humidity/hts221_i2c.c",
		"drivers/iio/light/tsl2591.c", "drivers/iio/temperature/tmp117.c"),
	// These are found by a device tree only, which no PC has.
	changes: map[string]string{
		".probe = scd4x_probe,":    ".probe = scd4x_probe, .id_table = (const struct i2c_device_id[]){{ \"scd4x\" }, { }},",
		".probe = tsl2591_probe\n": ".probe = tsl2591_probe, .id_table = (const struct i2c_device_id[]){{ \"tsl2591\" }, { }},",
	},
	makefile: "hts221-y := hts221_core.o hts221_buffer.o\n",
}

// byBaseName are sources that keep the last part of their path as their name.
func byBaseName(paths ...string) map[string]string {
	names := map[string]string{}
	for _, path := range paths {
		names[path] = filepath.Base(path)
	}
	return names
}

// unpack takes the sources out of Debian's package with the kernel's, by its
// version as in the package's name (6.1), and changes them so that they build
// out of tree.
func (m *ownModule) unpack(ctx context.Context, deb, version, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root := "linux-source-" + version
	// --occurrence lets tar stop at the last of them instead of reading 1.3 GB.
	args := []string{"-xf", "-", "--occurrence=1"}
	for source := range m.sources {
		args = append(args, root+"/"+source)
	}
	err := pipeline(ctx, dir,
		exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", deb),
		exec.CommandContext(ctx, "tar", "-xOf", "-", "./usr/src/"+root+".tar.xz"),
		exec.CommandContext(ctx, "xz", "-T0", "-dc"),
		exec.CommandContext(ctx, "tar", args...))
	if err != nil {
		return err
	}
	for source, name := range m.sources {
		text, err := os.ReadFile(filepath.Join(dir, root, source))
		if err != nil {
			return err
		}
		for from, to := range m.changes {
			text = bytes.ReplaceAll(text, []byte(from), []byte(to))
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return err
		}
	}
	objects := "obj-m := " + strings.Join(m.files(), ".o ") + ".o\n"
	return os.WriteFile(filepath.Join(dir, "Makefile"), []byte(objects+m.makefile), 0o644)
}

// A kernelKit is what modules of a kernel are built with.
type kernelKit struct {
	headers string   // directory of the kernel's headers
	common  string   // of those that the flavours share
	env     []string // for make and what it starts
	make    []string // arguments for make, as ARCH and CROSS_COMPILE
	strip   string   // the architecture's strip
}

// files are the modules', without .ko.
func (m *ownModule) files() []string {
	if m.several == nil {
		return []string{m.name}
	}
	return m.several
}

// names are the modules', as the kernel calls them.
func (m *ownModule) names() []string {
	var names []string
	for _, file := range m.files() {
		names = append(names, moduleName(file))
	}
	return names
}

// build builds the modules in a directory with their sources, and returns them
// by the kernel's names for them.
func (m *ownModule) build(ctx context.Context, dir string, kit kernelKit) (map[string][]byte, error) {
	args := slices.Concat(kit.env, []string{"make", "-j" + strconv.Itoa(runtime.NumCPU()), "-C", kit.common, "O=" + kit.headers,
		"M=" + dir, "CONFIG_DEBUG_INFO_BTF_MODULES="}, kit.make, []string{"modules"})
	if _, err := command(ctx, "", "env", args...); err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.ko"))
	if err != nil {
		return nil, err
	}
	built := map[string][]byte{}
	for _, file := range files {
		if _, err := command(ctx, "", "env", slices.Concat(kit.env, []string{kit.strip, "--strip-debug", file})...); err != nil {
			return nil, err
		}
		if built[moduleName(strings.TrimSuffix(filepath.Base(file), ".ko"))], err = os.ReadFile(file); err != nil {
			return nil, err
		}
	}
	for _, name := range m.names() {
		if built[name] == nil {
			return nil, fmt.Errorf("make left no %s.ko in %s", name, dir)
		}
	}
	return built, nil
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
