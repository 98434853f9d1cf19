package kit

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// A Block is a part of a document that shows what to type: indented by four
// spaces, or fenced as sh, as console or without a language.
type Block struct {
	// Name is the document and the heading above, with the block's number where
	// the heading has several.
	Name string
	Text string
}

// Blocks are those of a document of the repository, in their order.
func Blocks(t testing.TB, file string) []Block {
	t.Helper()
	text, err := os.ReadFile(Source(file))
	Must(t, err)
	var blocks []Block
	counts := map[string]int{}
	heading, fence, body := "", "", ""
	end := func() {
		if body == "" {
			return
		}
		name := file + ", " + heading
		if counts[name]++; counts[name] > 1 {
			name += fmt.Sprintf(" (%d)", counts[name])
		}
		blocks = append(blocks, Block{name, body})
		body = ""
	}
	for line := range strings.Lines(string(text)) {
		indented, isIndented := strings.CutPrefix(line, "    ")
		switch language, isFence := strings.CutPrefix(strings.TrimSpace(line), "```"); {
		case isFence && fence == "":
			end()
			fence = "```" + language
		case isFence:
			end()
			fence = ""
		case fence == "```" || fence == "```sh" || fence == "```console":
			body += line
		case fence != "":
		case strings.HasPrefix(line, "#"):
			end()
			heading = strings.TrimSpace(strings.TrimLeft(line, "#"))
		case isIndented:
			body += indented
		default:
			end()
		}
	}
	end()
	return blocks
}

// BlockOf is the block of that name, which begins with the document.
func BlockOf(t testing.TB, name string) string {
	t.Helper()
	file, _, _ := strings.Cut(name, ",")
	for _, b := range Blocks(t, file) {
		if b.Name == name {
			return b.Text
		}
	}
	t.Fatalf("there is no block %q", name)
	return ""
}
