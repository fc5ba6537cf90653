package stream

import "slices"

// A span is the numbers from start up to, not including, end.
type span struct{ start, end uint64 }

func (s span) size() uint64 { return s.end - s.start }

// A rangeSet is a set of numbers as ascending spans that do not touch.
type rangeSet []span

// find returns the index of the first span that ends behind v.
func (s rangeSet) find(v uint64) int {
	i, _ := slices.BinarySearchFunc(s, v, func(r span, v uint64) int {
		if r.end <= v {
			return -1
		}
		return 1
	})
	return i
}

// add adds the numbers from start to end.
func (s *rangeSet) add(start, end uint64) {
	if start >= end {
		return
	}
	if n := len(*s); n > 0 && (*s)[n-1].end == start { // mostly
		(*s)[n-1].end = end
		return
	}
	i := s.find(start)
	if i > 0 && (*s)[i-1].end == start {
		i--
	}
	j := i
	for j < len(*s) && (*s)[j].start <= end {
		start = min(start, (*s)[j].start)
		end = max(end, (*s)[j].end)
		j++
	}
	if j == i {
		*s = slices.Insert(*s, i, span{start, end})
		return
	}
	(*s)[i] = span{start, end}
	*s = slices.Delete(*s, i+1, j)
}

// remove takes the numbers from start to end out.
func (s *rangeSet) remove(start, end uint64) {
	if start >= end {
		return
	}
	for i := s.find(start); i < len(*s) && (*s)[i].start < end; {
		r := &(*s)[i]
		switch {
		case r.start < start && r.end > end:
			rest := span{end, r.end}
			r.end = start
			*s = slices.Insert(*s, i+1, rest)
			return
		case r.start < start:
			r.end = start
			i++
		case r.end > end:
			r.start = end
			return
		default:
			*s = slices.Delete(*s, i, i+1)
		}
	}
}

// contains reports whether v is in the set.
func (s rangeSet) contains(v uint64) bool {
	i := s.find(v)
	return i < len(s) && s[i].start <= v
}

// missing calls f for the parts of start to end that are not in the set, in
// order.
func (s rangeSet) missing(start, end uint64, f func(start, end uint64)) {
	for i := s.find(start); start < end; i++ {
		if i == len(s) || s[i].start >= end {
			f(start, end)
			return
		}
		if s[i].start > start {
			f(start, s[i].start)
		}
		start = s[i].end
	}
}
