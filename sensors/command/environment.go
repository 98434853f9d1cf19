package command

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"

	"example.org/dormouse/sensors"
	"golang.org/x/sys/unix"
)

// mostEnvironment is how large an environment file may be.
const mostEnvironment = 64 << 10

// readEnvironment reads a file of NAME=VALUE lines. Empty lines and those that
// begin with # or ; are comments, and a value may stand in single or double
// quotes, as in systemd's EnvironmentFile=; a value in several lines may not.
func readEnvironment(path string) ([]string, error) {
	fail := func(err error) ([]string, error) {
		return nil, sensors.Errorf(sensors.Command, "environment-file: %w", err)
	}
	// A FIFO in its place must not make the daemon wait.
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return fail(fmt.Errorf("%w%s", err, whyMissing(path, err)))
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fail(err)
	}
	if !info.Mode().IsRegular() {
		return fail(fmt.Errorf("%s %w", path, errNotRegular))
	}
	data, err := io.ReadAll(io.LimitReader(f, mostEnvironment+1))
	if err != nil {
		return fail(err)
	}
	if len(data) > mostEnvironment {
		return fail(fmt.Errorf("%s has more than %d bytes", path, mostEnvironment))
	}
	list, line, err := parseEnvironment(data)
	if err != nil {
		return fail(fmt.Errorf("%s:%d: %w", path, line, err))
	}
	return list, nil
}

// parseEnvironment returns the variables; with an error, its line.
func parseEnvironment(data []byte) (list []string, line int, err error) {
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, mostEnvironment)
	for lines.Scan() {
		line++
		text := strings.TrimSpace(lines.Text())
		if text == "" || text[0] == '#' || text[0] == ';' {
			continue
		}
		name, value, ok := strings.Cut(strings.TrimPrefix(text, "export "), "=")
		if !ok || !envName.MatchString(name) {
			return nil, line, fmt.Errorf("%q is not NAME=VALUE", text)
		}
		if value, err = unquote(value); err != nil {
			return nil, line, err
		}
		list = append(list, name+"="+value)
	}
	return list, line, lines.Err()
}

func unquote(value string) (string, error) {
	if value == "" || value[0] != '"' && value[0] != '\'' {
		return value, nil
	}
	quote := value[:1]
	if len(value) < 2 || !strings.HasSuffix(value, quote) {
		return "", fmt.Errorf("the quote %s isn't closed in the same line", quote)
	}
	inner := value[1 : len(value)-1]
	if quote == `"` {
		inner = strings.NewReplacer(`\"`, `"`, `\\`, `\`, `\$`, `$`, "\\`", "`").Replace(inner)
	}
	return inner, nil
}
