package files

import "strings"

// suggest says which names there are, or the one that was probably meant.
func suggest(got string, known []string) string {
	best, distance := "", len(got)/3+2
	for _, k := range known {
		if got != "" && strings.HasPrefix(k, strings.ToLower(got)) {
			best = k
			break
		}
		if d := edits(strings.ToLower(got), k); d < distance {
			best, distance = k, d
		}
	}
	if best != "" {
		return `Did you mean "` + best + `"?`
	}
	return "Use one of " + strings.Join(known, ", ") + "."
}

// edits counts the insertions, deletions and replacements of bytes that turn a into b.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := corner
			if a[i] != b[j] {
				cost++
			}
			corner = row[j+1]
			row[j+1] = min(cost, row[j]+1, corner+1)
		}
	}
	return row[len(b)]
}
