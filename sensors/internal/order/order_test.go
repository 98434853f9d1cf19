package order

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestOf(t *testing.T) {
	for _, tt := range []struct {
		name  string
		nodes string
		after string // "ab": a depends on b
		want  string
		rings string
	}{
		{"nothing", "", "", "", ""},
		{"as given", "c a b", "", "c a b", ""},
		{"chain", "a b c", "ab bc", "c b a", ""},
		{"diamond", "a b c d", "ab ac bd cd", "d b c a", ""},
		{"what isn't given comes too", "a", "ab bc", "c b a", ""},
		{"itself", "a b", "aa ab", "b a", "a"},
		{"two", "a b", "ab ba", "b a", "ab"},
		{"entered from outside", "a b c d", "ab bc cd db", "d c b a", "bcd"},
		{"two cycles", "a b c", "ab ba ac ca", "b c a", "ab ac"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var rings []string
			got := Of(strings.Fields(tt.nodes), func(n string) []string {
				var on []string
				for _, pair := range strings.Fields(tt.after) {
					if pair[:1] == n {
						on = append(on, pair[1:])
					}
				}
				return on
			}, func(ring []string) { rings = append(rings, strings.Join(ring, "")) })
			if strings.Join(got, " ") != tt.want || strings.Join(rings, " ") != tt.rings {
				t.Errorf("order %q, cycles %q; want %q and %q", got, rings, tt.want, tt.rings)
			}
		})
	}
}

// Any graph: every node once, and each after what it depends on, except along
// a cycle that was told.
func TestOfAnyGraph(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		n := rnd.IntN(8)
		on := make([][]int, n)
		for i := range on {
			for range rnd.IntN(3) {
				on[i] = append(on[i], rnd.IntN(n))
			}
		}
		nodes := rnd.Perm(n)
		closes := map[string]bool{}
		got := Of(nodes, func(i int) []int { return on[i] }, func(ring []int) {
			for k, i := range ring {
				if !slices.Contains(on[i], ring[(k+1)%len(ring)]) {
					t.Fatalf("%v: %v is no cycle", on, ring)
				}
			}
			closes[fmt.Sprint(ring[len(ring)-1], ring[0])] = true
		})
		if s := slices.Sorted(slices.Values(got)); len(s) != n || len(slices.Compact(s)) != n {
			t.Fatalf("%v: order %v", on, got)
		}
		for i := range on {
			for _, j := range on[i] {
				if slices.Index(got, j) >= slices.Index(got, i) && !closes[fmt.Sprint(i, j)] {
					t.Fatalf("%v: %d isn't before %d in %v", on, j, i, got)
				}
			}
		}
	}
}
