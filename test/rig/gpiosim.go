package rig

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

// gpioSimSources are the files that the module is made of. Debian's kernel has
// neither gpio-sim nor the simulated interrupts that it stands on.
var gpioSimSources = map[string]string{
	"drivers/gpio/gpio-sim.c": "gpio-sim-core.c",
	"drivers/gpio/gpiolib.h":  "gpiolib.h",
	"kernel/irq/irq_sim.c":    "irq_sim.c",
}

// gpioSimChanges make the sources build out of tree.
var gpioSimChanges = map[string]string{
	// Not exported to modules; this gives the same descriptor.
	"irq_to_desc(irqnum)": "irq_data_to_desc(irq_get_irq_data(irqnum))",
	// Nothing loads the module by the device tree, and modpost can't read an
	// ARM table of another machine's word size.
	"MODULE_DEVICE_TABLE(of, gpio_sim_of_match);": "",
}

const gpioSimMakefile = `obj-m := gpio-sim.o
gpio-sim-y := gpio-sim-core.o irq_sim.o
ccflags-y := -DCONFIG_IRQ_SIM=1
`

// unpackGPIOSim takes the sources out of Debian's package with the kernel's, by
// its version as in the package's name (6.1), and changes them so that they
// build out of tree.
func unpackGPIOSim(ctx context.Context, deb, version, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root := "linux-source-" + version
	// --occurrence lets tar stop at the last of them instead of reading 1.3 GB.
	args := []string{"-xf", "-", "--occurrence=1"}
	for source := range gpioSimSources {
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
	for source, name := range gpioSimSources {
		text, err := os.ReadFile(filepath.Join(dir, root, source))
		if err != nil {
			return err
		}
		for from, to := range gpioSimChanges {
			text = bytes.ReplaceAll(text, []byte(from), []byte(to))
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, "Makefile"), []byte(gpioSimMakefile), 0o644)
}

// A kernelKit is what modules of a kernel are built with.
type kernelKit struct {
	headers string   // directory of the kernel's headers
	common  string   // of those that the flavours share
	env     []string // for make and what it starts
	make    []string // arguments for make, as ARCH and CROSS_COMPILE
	strip   string   // the architecture's strip
}

// buildGPIOSim builds gpio-sim.ko in a directory with its sources.
func buildGPIOSim(ctx context.Context, dir string, kit kernelKit) ([]byte, error) {
	args := slices.Concat(kit.env, []string{"make", "-C", kit.common, "O=" + kit.headers,
		"M=" + dir, "CONFIG_DEBUG_INFO_BTF_MODULES="}, kit.make, []string{"modules"})
	if _, err := command(ctx, "", "env", args...); err != nil {
		return nil, err
	}
	module := filepath.Join(dir, "gpio-sim.ko")
	if _, err := command(ctx, "", "env", slices.Concat(kit.env, []string{kit.strip, "--strip-debug", module})...); err != nil {
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
