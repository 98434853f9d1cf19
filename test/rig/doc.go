// Package rig gives a test a machine with GPIO, I2C and 1-Wire where the
// machine that runs the test has none: it boots Debian's kernel in QEMU by
// software emulation, with a gpio-sim chip named like a Raspberry Pi's, I2C
// adapters and a 1-Wire adapter whose devices are models in the guest.
//
// The kernel, its drivers, its character devices, sysfs and tracefs are real;
// the chips on the buses are models (packages test/guest/i2c and
// test/guest/onewire). Timing is the emulation's: a slow host gives late
// edges, so tests compare the kernel's own time stamps and never the host's.
//
// BootPi boots a Raspberry Pi instead, as QEMU 10 emulates it. There the GPIO,
// I2C, SPI and serial controllers are QEMU's, with the kernel's own drivers for
// them, and so are the sensors on the I2C bus. The rig talks to such a machine
// over its serial console, and to QEMU by QMP and qtest.
//
// What it needs comes from Debian packages, fetched once and kept below
// $DORMOUSE_RIG_CACHE, by default dormouse-rig in the user's cache directory.
// Building that cache needs root where packages are missing; using it doesn't.
// Remove the directory to fetch a newer kernel.
//
// Acceleration is always TCG: a /dev/kvm that exists may still hang the guest.
package rig
