package command

import (
	"fmt"
	"hash"
	"hash/fnv"
	"io"
	"strings"
	"sync"
	"unicode"
)

const (
	// keptOutput is how much of the end of what a run printed is kept.
	keptOutput = 16 << 10
	// keptMessages is how much of the end of its standard error alone is kept.
	keptMessages = 4 << 10
)

// A transcript is what a program wrote: to both of its outputs, in the order in
// which it arrived, and to its standard error alone. Of each the end is kept.
type transcript struct {
	mu       sync.Mutex
	all      tail
	messages tail
	sums     [2]hash.Hash64 // of all that was written to each output; nil: nothing was
}

func (t *transcript) stdout(p []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all.add(p, keptOutput)
	t.sum(0, p)
}

func (t *transcript) stderr(p []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all.add(p, keptOutput)
	t.messages.add(p, keptMessages)
	t.sum(1, p)
}

func (t *transcript) sum(output int, p []byte) {
	if t.sums[output] == nil {
		t.sums[output] = fnv.New64a()
	}
	t.sums[output].Write(p) // never fails: hash.Hash
}

// digest is equal for transcripts of which both outputs are: which of them
// arrives first, where a program writes to both, differs from run to run.
func (t *transcript) digest() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var text string
	for i, sum := range t.sums {
		if sum != nil {
			text += fmt.Sprintf("%d:%016x ", i, sum.Sum64())
		}
	}
	return text
}

// copy takes all that comes from a pipe.
func (t *transcript) copy(in io.Reader, messages bool) error {
	to := t.stdout
	if messages {
		to = t.stderr
	}
	_, err := io.Copy(writer(to), in)
	return err
}

// writer is an io.Writer that never fails.
type writer func([]byte)

func (w writer) Write(p []byte) (int, error) {
	w(p)
	return len(p), nil
}

// tail keeps the end of what is added to it.
type tail struct {
	end []byte
	cut int64 // bytes before it
}

func (t *tail) add(p []byte, most int) {
	t.end = append(t.end, p...)
	if excess := len(t.end) - most; excess > 0 {
		t.cut += int64(excess)
		t.end = append(t.end[:0], t.end[excess:]...)
	}
}

// text is the transcript as text, whatever was printed.
func (t *transcript) text() (text string, cut int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.ToValidUTF8(string(t.all.end), "\uFFFD"), t.all.cut
}

// lastWords are the last lines of its standard error, in one; empty where there
// are none.
func (t *transcript) lastWords() string {
	const lines, most = 3, 300
	t.mu.Lock()
	defer t.mu.Unlock()
	kept := make([]string, 0, lines)
	for line := range strings.Lines(strings.ToValidUTF8(string(t.messages.end), "?")) {
		line = strings.TrimSpace(strings.Map(func(c rune) rune {
			if unicode.IsPrint(c) {
				return c
			}
			return ' '
		}, line))
		if line == "" {
			continue
		}
		if len(kept) == lines {
			kept = append(kept[:0], kept[1:]...)
		}
		kept = append(kept, line)
	}
	text := strings.Join(kept, " | ")
	if len(text) > most {
		text = "…" + strings.ToValidUTF8(text[len(text)-most:], "")
	}
	return text
}
