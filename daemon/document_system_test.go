//go:build system && !emulated

package daemon

import (
	"syscall"
	"testing"
)

// What needs Python, which a machine that builds Go programs may lack, is run as
// a user without rights.
func TestDocumentCommandsInPython(t *testing.T) {
	runDemos(t, "python3", &syscall.Credential{Uid: 65534, Gid: 65534})
}

// What mounts file systems needs a kernel that grants user namespaces.
func TestDocumentCommandsInNamespaces(t *testing.T) {
	runDemos(t, "namespaces", nil)
}
