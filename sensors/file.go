package sensors

import (
	"context"
	"fmt"
	"strings"
)

// PathOption is an absolute path.
const PathOption OptionType = "path"

// Files are what the kernel shows of a sensor: the attributes of sysfs and
// procfs, and device nodes. Paths are absolute ("/sys/class/thermal"). A read
// in sysfs can't be cancelled: when ctx ends first the call returns and the
// read is left behind, at most one per file.
type Files interface {
	ReadFile(ctx context.Context, path string) ([]byte, error)
	WriteFile(ctx context.Context, path string, data []byte) error
	Glob(pattern string) ([]string, error)
}

var fileWire = &wire{
	kind: FileWire, reasons: []Reason{NoAnswer, Busy}, use: Shared, noun: "a file",
	options: map[OptionType]func(Option, string) (any, error){PathOption: parsePath},
	claims: func(d *Driver, o *Options) []Claim {
		var claims []Claim
		for _, opt := range d.Options {
			if path, ok := o.values[opt.Name].(string); ok && opt.Type == PathOption && o.given[opt.Name] {
				claims = append(claims, Claim{Kind: FileWire, Option: opt.Name, Path: path})
			}
		}
		return claims
	},
	key: func(c Claim) string { return c.Path + c.Name },
	words: func(c Claim) string {
		if c.Path != "" {
			return c.Path
		}
		return c.Name
	},
}

// unnamedFile is the claim of a driver that finds its file at the read: by the
// first option that is given, or by itself.
func unnamedFile(d *Driver, o *Options) Claim {
	for _, opt := range d.Options {
		if text, ok := o.values[opt.Name].(string); ok && o.given[opt.Name] {
			return Claim{Kind: FileWire, Option: opt.Name, Name: fmt.Sprintf("%s %s %s", d.Name, opt.Name, text)}
		}
	}
	return Claim{Kind: FileWire, Name: "by the kernel"}
}

func parsePath(_ Option, text string) (any, error) {
	if !strings.HasPrefix(text, "/") {
		return nil, fmt.Errorf("%q is not an absolute path: the daemon's working directory is /", text)
	}
	return text, nil
}

// programWire is a program that a sensor runs; its driver claims it.
var programWire = &wire{
	kind: ProgramWire, reasons: []Reason{Command}, use: Shared, noun: "a program",
	key:   func(c Claim) string { return c.Path },
	words: func(c Claim) string { return "program " + c.Path },
}
