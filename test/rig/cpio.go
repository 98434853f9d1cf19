package rig

import (
	"fmt"
	"io"
	"path"
	"strings"
)

// File types in a cpio mode, as in stat(2).
const (
	typeDir     = 0o040000
	typeChar    = 0o020000
	typeFile    = 0o100000
	typeSymlink = 0o120000
)

// cpio writes an initramfs archive in the "newc" format
// (Documentation/driver-api/early-userspace/buffer-format.rst).
type cpio struct {
	w     io.Writer
	n     int64 // bytes written, for padding
	inode int
	made  map[string]bool
	err   error
}

func newCPIO(w io.Writer) *cpio { return &cpio{w: w, made: map[string]bool{"/": true}} }

// File adds a regular file, and the directories above it.
func (c *cpio) File(name string, perm uint32, content []byte) {
	c.parents(name)
	c.entry(name, typeFile|perm&0o7777, content, 0, 0)
}

// Symlink adds a symbolic link, and the directories above it.
func (c *cpio) Symlink(name, target string) {
	c.parents(name)
	c.entry(name, typeSymlink|0o777, []byte(target), 0, 0)
}

// Dir adds a directory, and those above it, once.
func (c *cpio) Dir(name string, perm uint32) {
	name = path.Clean("/" + name)
	if c.made[name] {
		return
	}
	c.parents(name)
	c.made[name] = true
	c.entry(name, typeDir|perm&0o7777, nil, 0, 0)
}

// CharDevice adds a character device.
func (c *cpio) CharDevice(name string, perm uint32, major, minor int) {
	c.parents(name)
	c.entry(name, typeChar|perm&0o7777, nil, major, minor)
}

func (c *cpio) parents(name string) { c.Dir(path.Dir(path.Clean("/"+name)), 0o755) }

func (c *cpio) entry(name string, mode uint32, content []byte, major, minor int) {
	c.inode++
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	links := 1
	if mode&typeDir != 0 && mode&typeFile == 0 {
		links = 2
	}
	c.header(name, c.inode, mode, links, len(content), major, minor)
	c.write(content)
	c.pad(4)
}

func (c *cpio) header(name string, inode int, mode uint32, links, size, major, minor int) {
	c.write(fmt.Appendf(nil, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		inode, mode, 0, 0, links, 0, size, 0, 0, major, minor, len(name)+1, 0, name))
	c.pad(4)
}

// Close ends the archive, padded so that another may follow it.
func (c *cpio) Close() error {
	c.header("TRAILER!!!", 0, 0, 1, 0, 0, 0)
	c.pad(512)
	return c.err
}

func (c *cpio) write(p []byte) {
	if c.err == nil {
		_, c.err = c.w.Write(p)
		c.n += int64(len(p))
	}
}

func (c *cpio) pad(to int64) {
	if r := c.n % to; r != 0 {
		c.write(make([]byte, to-r))
	}
}
