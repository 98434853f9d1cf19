// Package kernel are the drivers of what the kernel measures already: they
// read files of sysfs, and know when such a file says something else than it
// seems to. No bus is touched here and no chip spoken to.
package kernel

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"example.org/dormouse/sensors"
)

// readText reads an attribute without the newline that ends it.
func readText(ctx context.Context, f sensors.Files, path string) (string, error) {
	data, err := f.ReadFile(ctx, path)
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(data)), nil
}

// atOnce is what board's files have besides, for attributes that never keep
// their reader waiting.
type atOnce interface {
	ReadAtOnce(path string) (data []byte, inode uint64, err error)
}

// readAtOnce is readText of such an attribute. Its inode tells it from one of
// the same name that was made since; 0: it isn't known.
func readAtOnce(ctx context.Context, f sensors.Files, path string) (text string, inode uint64, err error) {
	quick, ok := f.(atOnce)
	if !ok {
		text, err = readText(ctx, f, path)
		return text, 0, err
	}
	if err := ctx.Err(); err != nil {
		return "", 0, err
	}
	data, inode, err := quick.ReadAtOnce(path)
	return strings.TrimSpace(string(data)), inode, err
}

// milli reads a number of thousandths, as the kernel writes temperatures.
func milli(path, text string) (int, error) {
	v, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return 0, sensors.Errorf(sensors.IO, "%s holds %s where a number of m°C is expected", path, excerpt(text))
	}
	return int(v), nil
}

// excerpt quotes the beginning of what may be long or no text at all.
func excerpt(text string) string {
	const most = 40
	if len(text) > most {
		return fmt.Sprintf("%q…", text[:most])
	}
	return strconv.Quote(text)
}
