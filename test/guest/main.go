// Guest is the first and, at first, only program of the virtual machine in
// which the system tests run. As PID 1 it mounts the kernel's file systems and
// reaps what is orphaned; as its own child it serves the rig on the host over
// a virtio serial port: runs commands, moves files, drives GPIO lines, and
// plays the I2C and 1-Wire devices. It is no part of Dormouse.
package main

import (
	"fmt"
	"os"
)

func main() {
	var err error
	if os.Getpid() == 1 {
		err = initialise()
	} else {
		err = serve()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "guest:", err)
		os.Exit(1)
	}
}
