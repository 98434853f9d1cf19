// Package order sorts things that depend on each other: rails that come up
// after others, sensors that need the readings of others.
package order

import "slices"

// Of returns the nodes and everything that they depend on, each once and after
// what it depends on; else in the order given (a depth-first search). A
// dependency that closes a cycle is left out, and cycle, unless it is nil, is
// called with the nodes of that cycle: each depends on the next, and the last
// on the first. A node that depends on itself is a cycle of one.
func Of[T comparable](nodes []T, dependencies func(T) []T, cycle func([]T)) []T {
	s := search[T]{dependencies: dependencies, cycle: cycle, done: make(map[T]bool, len(nodes))}
	for _, n := range nodes {
		s.visit(n)
	}
	return s.sorted
}

type search[T comparable] struct {
	dependencies func(T) []T
	cycle        func([]T)
	path         []T // from a node that was given to the one that is looked at
	done         map[T]bool
	sorted       []T
}

func (s *search[T]) visit(n T) {
	if s.done[n] {
		return
	}
	if i := slices.Index(s.path, n); i >= 0 {
		if s.cycle != nil {
			s.cycle(slices.Clone(s.path[i:]))
		}
		return
	}
	s.path = append(s.path, n)
	for _, d := range s.dependencies(n) {
		s.visit(d)
	}
	s.path = s.path[:len(s.path)-1]
	s.done[n] = true
	s.sorted = append(s.sorted, n)
}
