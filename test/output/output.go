// Package output keeps what a program writes, to be read meanwhile.
package output

import (
	"bytes"
	"sync"
)

// A Buffer may be written and read by several goroutines. Its zero value is
// empty.
type Buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

// Bytes is what has been written so far.
func (b *Buffer) Bytes() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Clone(b.b.Bytes())
}

// String is what has been written so far.
func (b *Buffer) String() string { return string(b.Bytes()) }
