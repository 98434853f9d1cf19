package syntax

import "example.org/dormouse/sensors/internal/document"

// What is said of what is written.
type (
	Origin   = document.Origin
	Problem  = document.Problem
	Problems = document.Problems
)
