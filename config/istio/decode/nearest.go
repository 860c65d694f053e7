package decode

// nearest returns the one of names that is most like name, or "" where none is near
// enough to be what was meant.
func nearest(name string, names []string) string {
	best, bestDistance := "", min(len(name)/3+2, 5)
	for _, candidate := range names {
		if foldName(candidate) == foldName(name) {
			return candidate
		}
		if d := distance(foldName(name), foldName(candidate)); d < bestDistance {
			best, bestDistance = candidate, d
		}
	}
	return best
}

// distance is the number of letters to insert, remove, replace or swap with their
// neighbour that turns a into b (optimal string alignment).
func distance(a, b string) int {
	const limit = 64
	if len(a) > limit || len(b) > limit {
		return limit // far from everything
	}
	var before, previous, current [limit + 1]int
	for j := range len(b) + 1 {
		current[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, previous = previous, current
		current[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			current[j] = min(previous[j]+1, current[j-1]+1, previous[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				current[j] = min(current[j], before[j-2]+1)
			}
		}
	}
	return current[len(b)]
}
