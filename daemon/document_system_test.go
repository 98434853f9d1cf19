//go:build system

package daemon

import (
	"syscall"
	"testing"
)

// What a machine that builds Go programs may lack, Python and util-linux, is run
// as a user without rights.
func TestDocumentCommandsOfDebian(t *testing.T) {
	for _, needs := range []string{"python3", "utilities"} {
		runDemos(t, needs, &syscall.Credential{Uid: 65534, Gid: 65534})
	}
}

// What mounts file systems needs a kernel that grants user namespaces.
func TestDocumentCommandsInNamespaces(t *testing.T) {
	runDemos(t, "namespaces", nil)
}
