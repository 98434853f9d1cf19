package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
)

// A scraper asks for pages as Prometheus does, over one connection where the
// server keeps it.
type scraper struct {
	client  http.Client
	request *http.Request
}

func newScraper(port int) (*scraper, error) {
	q, err := http.NewRequest(http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/metrics", port), nil)
	if err != nil {
		return nil, err
	}
	q.Header.Set("Accept", "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1")
	q.Header.Set("Accept-Encoding", "gzip")
	q.Header.Set("User-Agent", "Prometheus/3.5.0")
	q.Header.Set("X-Prometheus-Scrape-Timeout-Seconds", "10")
	return &scraper{http.Client{Transport: &http.Transport{DisableCompression: true}}, q}, nil
}

// scrape returns how many bytes the page has on the wire.
func (s *scraper) scrape() (int64, error) {
	response, err := s.client.Do(s.request)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(io.Discard, response.Body)
	if closed := response.Body.Close(); err == nil {
		err = closed
	}
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answered %s", s.request.URL, response.Status)
	}
	return n, err
}

func (s *scraper) times(n int) error {
	for range n {
		if _, err := s.scrape(); err != nil {
			return err
		}
	}
	return nil
}

// askToPoll has dormouse read its kernel sensor now, by its control socket.
func askToPoll(pidFile string) error {
	c := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", strings.TrimSuffix(pidFile, ".pid")+".sock")
		},
	}}
	response, err := c.Post("http://control/read?name=cpu", "", nil)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, response.Body)
	if err = errors.Join(err, response.Body.Close()); err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("asking for a poll: %s", response.Status)
	}
	return err
}

func (s *scraper) close() { s.client.CloseIdleConnections() }
