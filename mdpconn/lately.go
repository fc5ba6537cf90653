package mdpconn

// A lately holds the last things that were put into it.
type lately[T any] struct {
	all  []T
	next int // what makes room next, once it is full
}

// put puts v in. Once there are limit things, full is set and v takes the place of old.
func (l *lately[T]) put(v T, limit int) (old T, full bool) {
	if len(l.all) < limit {
		l.all = append(l.all, v)
		return old, false
	}
	old, l.all[l.next] = l.all[l.next], v
	l.next = (l.next + 1) % limit
	return old, true
}
