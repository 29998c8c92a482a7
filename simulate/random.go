package simulate

import "math/bits"

// Hash returns a well mixed number that depends on nothing but its arguments: the seed of an
// account, then for example a kind of record, its index and a field. Data made this way needs no
// memory: any record of any size of account can be made again at any time.
func Hash(seed, a, b, c uint64) uint64 {
	h := mix(seed^0x9e3779b97f4a7c15, a^0xbf58476d1ce4e5b9)
	return mix(h^b^0x94d049bb133111eb, c^h^0xd6e8feb86659fd93)
}

// Next derives another number from h.
func Next(h uint64) uint64 { return mix(h^0xa0761d6478bd642f, 0xe7037ed1a0b428db) }

// Pick returns a number in [0, n) that depends on h. n must be positive.
func Pick(h uint64, n int) int {
	hi, _ := bits.Mul64(h, uint64(n))
	return int(hi)
}

// OneIn reports true for one in n values of h. It looks at other bits than Pick does, so that
// both can be asked about one number.
func OneIn(h uint64, n int) bool { return Pick(bits.ReverseBytes64(h), n) == 0 }

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}
