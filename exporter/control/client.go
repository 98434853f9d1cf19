package control

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"example.org/dormouse/exporter"
)

// ErrNoDaemon is that no daemon can be asked.
var ErrNoDaemon = errors.New("no daemon answers")

// ErrNotYet is that the daemon has just started and has read nothing yet.
var ErrNotYet = errors.New("the daemon has not read its sensors yet")

// Readings asks the daemon of a pidfile for its latest readings.
func Readings(ctx context.Context, pidFile string) (*exporter.Readings, error) {
	return parseReadings(ask(ctx, pidFile, http.MethodGet, "/readings.json", nil))
}

// Read asks for fresh readings of the named sensors, of all without a name.
func Read(ctx context.Context, pidFile string, names []string) (*exporter.Readings, error) {
	return parseReadings(ask(ctx, pidFile, http.MethodPost, "/read", url.Values{"name": names}))
}

// Reload has the daemon reload; the error is the outcome.
func Reload(ctx context.Context, pidFile string) error {
	_, err := ask(ctx, pidFile, http.MethodPost, "/reload", nil)
	return err
}

// Addresses asks the daemon of a pidfile where it serves its page.
func Addresses(ctx context.Context, pidFile string) ([]string, error) {
	return get[[]string](ctx, pidFile, "/addresses", nil)
}

// LongestEnd asks the daemon of a pidfile how long its programs may take to end
// when it does.
func LongestEnd(ctx context.Context, pidFile string) (time.Duration, error) {
	seconds, err := get[float64](ctx, pidFile, "/end", nil)
	return time.Duration(seconds * float64(time.Second)), err
}

// get asks for a JSON document.
func get[T any](ctx context.Context, pidFile, path string, values url.Values) (document T, err error) {
	return parse[T](ask(ctx, pidFile, http.MethodGet, path, values))
}

func parseReadings(body []byte, err error) (*exporter.Readings, error) {
	readings, err := parse[exporter.Readings](body, err)
	if err != nil {
		return nil, err
	}
	return &readings, nil
}

func parse[T any](body []byte, err error) (document T, _ error) {
	if err != nil {
		return document, err
	}
	if err := json.Unmarshal(body, &document); err != nil {
		return document, fmt.Errorf("parse the daemon's answer: %w", err)
	}
	return document, nil
}

// ask sends a request to the daemon of a pidfile.
func ask(ctx context.Context, pidFile, method, path string, values url.Values) ([]byte, error) {
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", Path(pidFile))
		},
	}}
	request, err := http.NewRequestWithContext(ctx, method, "http://dormouse"+path+"?"+values.Encode(), nil)
	if err != nil {
		return nil, fmt.Errorf("ask the daemon: %w", err)
	}
	response, err := client.Do(request)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // without the URL, which nobody typed
		}
		return nil, fmt.Errorf("%w: %w", ErrNoDaemon, cmp.Or(context.Cause(ctx), err))
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("ask the daemon: %w", cmp.Or(context.Cause(ctx), err))
	}
	text := strings.TrimSpace(string(body))
	switch response.StatusCode {
	case http.StatusOK:
		return body, nil
	case http.StatusBadRequest:
		return nil, &ConfigError{errors.New(text)}
	case http.StatusServiceUnavailable:
		return nil, ErrNotYet
	}
	return nil, fmt.Errorf("the daemon reports: %s", text)
}
