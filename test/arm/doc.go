// Package arm runs the unit tests as 32-bit ARM code. Its test needs root on
// Debian, and no machine of its own: so it runs beside one.
package arm
