// Package browser opens the status page in a real browser: its tests need root
// on Debian, whose Chromium they install.
package browser
