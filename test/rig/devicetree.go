package rig

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// headerBuses are what the firmware makes of dtparam=i2c_arm=on,spi=on: i2c1 is
// /dev/i2c-1 by its alias; SPI has a device without a driver, that spidev takes
// (by a name that it knows: it refuses its own). SPI's DMA isn't emulated.
var headerBuses = []change{
	text("/aliases", "i2c1", "/soc/i2c@7e804000"),
	text("/soc/spi@7e204000", "status", "okay"),
	deletion("/soc/spi@7e204000", "dmas"),
	deletion("/soc/spi@7e204000", "dma-names"),
	addition("/soc/spi@7e204000/spidev@0"),
	text("/soc/spi@7e204000/spidev@0", "compatible", "rohm,dh2228fv"),
	cells("/soc/spi@7e204000/spidev@0", "reg", 0),
	cells("/soc/spi@7e204000/spidev@0", "spi-max-frequency", 1_000_000),
}

// A change is one of a device tree, by fdtput: its options, what follows the
// file's name, and the node whose phandle is the value, if any.
type change struct {
	options, args []string
	phandleOf     string
}

func text(node, property, value string) change {
	return change{options: []string{"-t", "s"}, args: []string{node, property, value}}
}

func cells(node, property string, values ...uint32) change {
	c := change{options: []string{"-t", "x"}, args: []string{node, property}}
	for _, v := range values {
		c.args = append(c.args, fmt.Sprintf("%x", v))
	}
	return c
}

func reference(node, property, to string) change {
	return change{options: []string{"-t", "x"}, args: []string{node, property}, phandleOf: to}
}

func addition(node string) change { return change{options: []string{"-c"}, args: []string{node}} }

func removal(node string) change { return change{options: []string{"-r"}, args: []string{node}} }

func deletion(node, property string) change {
	return change{options: []string{"-d"}, args: []string{node, property}}
}

// change makes changes to a device tree's file.
func (q qemuTree) change(tree string, changes []change) error {
	for _, c := range changes {
		args := slices.Concat(c.options, []string{tree}, c.args)
		if c.phandleOf != "" {
			out, err := q.output("fdtget", "-t", "x", tree, c.phandleOf, "phandle")
			if err != nil {
				return err
			}
			args = append(args, strings.TrimSpace(out))
		}
		if _, err := q.output("fdtput", args...); err != nil {
			return err
		}
	}
	return nil
}

// qemuTree is where QEMU is unpacked with all its libraries.
type qemuTree string

// command is a program of the tree, started by the tree's own dynamic linker:
// the host's is older than the program.
func (q qemuTree) command(name string, args ...string) *exec.Cmd {
	root := string(q)
	libraries := filepath.Join(root, "usr/lib/x86_64-linux-gnu")
	argv := []string{"--library-path", libraries, filepath.Join(root, "usr/bin", name)}
	return exec.Command(filepath.Join(root, "usr/lib64/ld-linux-x86-64.so.2"), append(argv, args...)...)
}

// startsItself replaces a program that picks another in its directory, and
// starts it by the host's dynamic linker, by a script that uses the tree's.
func (q qemuTree) startsItself(program, real string) error {
	start := q.command("")
	script := fmt.Sprintf("#!/bin/sh\nexec %s %s %s \"$@\"\n", start.Path, strings.Join(start.Args[1:3], " "), filepath.Join(filepath.Dir(program), real))
	return errors.Join(os.Remove(program), os.WriteFile(program, []byte(script), 0o755))
}

// output is what a program of the tree prints.
func (q qemuTree) output(name string, args ...string) (string, error) {
	out, err := q.command(name, args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, tail(string(out), 2000))
	}
	return string(out), nil
}
