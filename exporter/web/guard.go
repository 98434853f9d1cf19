package web

import (
	"crypto/sha256"
	"fmt"
	"net/http"

	"golang.org/x/crypto/bcrypt"
)

// guard passes those requests to h that the present Config allows.
func (s *Server) guard(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := s.config.Load()
		for name, value := range c.header {
			w.Header().Set(name, value)
		}
		switch {
		case c.limiter != nil && !c.limiter.Allow():
			http.Error(w, "too many requests: see rate_limit in the web configuration", http.StatusTooManyRequests)
		case c.tls != nil && r.TLS == nil:
			w.Header().Set("Connection", "close")
			http.Error(w, "TLS is required since the last reload: connect again by https", http.StatusUpgradeRequired)
		case !c.allows(r):
			w.Header().Set("WWW-Authenticate", `Basic realm="dormouse", charset="UTF-8"`)
			http.Error(w, "a user and a password are required", http.StatusUnauthorized)
		default:
			h.ServeHTTP(w, r)
		}
	})
}

// unknownUserHash is the hash, of a random password, that the password of an
// unknown user is compared with, so that the time taken doesn't tell which
// users exist.
const unknownUserHash = "$2a$10$VxXnQusXoFBQY14MMSeY5eafwvjUWRhsPCEwxhAm/HklHfUoaDTo6"

// maxResults bounds the memory that guessed passwords can take.
const maxResults = 64

// allows tells whether the request has a user's password. bcrypt is slow on
// purpose, half a second on a small Pi, so the result is kept by a digest of
// what was sent.
func (c *Config) allows(r *http.Request) bool {
	if len(c.users) == 0 {
		return true
	}
	user, password, ok := r.BasicAuth()
	if !ok {
		return false
	}
	// The length of the user's name keeps the two apart.
	digest := sha256.Sum256(fmt.Appendf(nil, "%d:%s:%s", len(user), user, password))
	c.mu.Lock()
	allowed, known := c.results[digest]
	c.mu.Unlock()
	if known {
		return allowed
	}
	hash, exists := c.users[user]
	if !exists {
		hash = unknownUserHash
	}
	c.bcrypt.Lock()
	err := bcrypt.CompareHashAndPassword([]byte(hash), []byte(password))
	c.bcrypt.Unlock()
	allowed = exists && err == nil

	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.results) >= maxResults {
		clear(c.results)
	}
	c.results[digest] = allowed
	return allowed
}
