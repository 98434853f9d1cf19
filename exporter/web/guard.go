package web

import (
	"crypto/sha256"
	"fmt"
	"net"
	"net/http"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// guard passes those requests to h that the present Config allows.
func (s *Server) guard(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn := r.Context().Value(connKey{}).(net.Conn)
		s.conns.running(conn, 1)
		defer s.conns.running(conn, -1)
		if s.conns.crowded() {
			w.Header().Set("Connection", "close")
		}
		if r.ContentLength != 0 && r.ProtoMajor == 1 {
			defer stopReading(w)
			leaveBody(w, r)
		}
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
		case r.ContentLength != 0 && (r.Method == http.MethodGet || r.Method == http.MethodHead):
			http.Error(w, "a request for a page has no body", http.StatusBadRequest)
		case !c.allows(r):
			w.Header().Set("WWW-Authenticate", `Basic realm="dormouse", charset="UTF-8"`)
			http.Error(w, "a user and a password are required", http.StatusUnauthorized)
		default:
			h.ServeHTTP(w, r)
		}
	})
}

// mostUnread is the size of a body above which net/http leaves it unread, but
// waits half a second before it closes the connection.
const mostUnread = 256 << 10

// leaveBody makes the connection end with this request, whose body no page uses.
// net/http would read it after the handler: a client that never ends it would
// occupy a connection that looks like a handler at work.
func leaveBody(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Connection", "close") // so that the body isn't read before the response either
	if r.ContentLength > mostUnread {
		panic(http.ErrAbortHandler)
	}
}

// stopReading makes net/http read no more of a body than it has already. A
// deadline in the past arms no timer.
func stopReading(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0)) // fails where the connection is closed
}

// noPassword is the hash of a random password, for a cost.
const noPassword = "$2a$%02d$VxXnQusXoFBQY14MMSeY5eafwvjUWRhsPCEwxhAm/HklHfUoaDTo6"

// compareHash is bcrypt's, for the tests.
var compareHash = bcrypt.CompareHashAndPassword

// check compares a user's password. It takes the same time for each user and
// for one that doesn't exist, so that the time doesn't tell who does: bcrypt
// takes 2^cost rounds, and 2^c + 2^c + 2^(c+1) + … + 2^(m-1) = 2^m.
func (c *Config) check(user, password string) bool {
	hash, exists := c.users[user]
	if !exists {
		hash = fmt.Sprintf(noPassword, c.maxCost)
	}
	c.bcrypt.Lock()
	defer c.bcrypt.Unlock()
	err := compareHash([]byte(hash), []byte(password))
	cost, costErr := bcrypt.Cost([]byte(hash))
	for ; costErr == nil && cost < c.maxCost; cost++ {
		_ = compareHash(fmt.Appendf(nil, noPassword, cost), []byte(password)) // it can't fit
	}
	return exists && err == nil
}

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
	allowed = c.check(user, password)

	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.results) >= maxResults {
		clear(c.results)
	}
	c.results[digest] = allowed
	return allowed
}
