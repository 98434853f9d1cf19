// Package python runs the examples of programs: those in Python, with Debian's
// interpreter and a virtual environment, and the hooks of docs/commands.md. Its
// tests need root on Debian.
package python
