package exporter

import (
	"io"
	"net/http"
)

func discard(r *http.Response) (int64, error) {
	n, err := io.Copy(io.Discard, r.Body)
	if err == nil {
		err = r.Body.Close()
	}
	return n, err
}
