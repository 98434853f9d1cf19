package state

import (
	"errors"
	"os"
	"path/filepath"
)

// Replace makes data the content of the file path: it writes data to temp, a new
// file in the same directory, has prepare set its mode or owner, closes it, and
// renames it. A reader finds the previous content or data, and nothing between,
// also after a crash of the process. With flush that holds after a power cut,
// too, and data is on the disk when Replace returns. prepare may be nil.
//
// Where it fails the previous file stays and temp is removed.
func Replace(path string, temp *os.File, data []byte, prepare func(*os.File) error, flush bool) error {
	err := fill(temp, data, prepare, flush)
	if err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	if flush {
		return syncDirectory(filepath.Dir(path))
	}
	return nil
}

func fill(temp *os.File, data []byte, prepare func(*os.File) error, flush bool) error {
	_, err := temp.Write(data)
	if err == nil && prepare != nil {
		err = prepare(temp)
	}
	if err == nil && flush {
		err = temp.Sync()
	}
	return errors.Join(err, temp.Close())
}
