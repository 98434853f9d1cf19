// Package python runs the examples in Python, with Debian's interpreter and a
// virtual environment. Its tests need root on Debian.
package python
