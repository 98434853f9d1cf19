package cli

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// WantsColour tells whether w is a terminal whose user wants colours: NO_COLOR
// is that of no-color.org.
func WantsColour(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
