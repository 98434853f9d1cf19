// Package pi tests dormouse on Raspberry Pis that QEMU emulates: a Zero, a 2B
// and a 3B, with Debian's kernels for them, the kernel's device trees and
// drivers of the board's own controllers, and sensors that QEMU models.
//
// docs/testing.md tells what that shows and what it doesn't.
package pi
