package stream

// An earlyMessage is one that came in the published format (MSX-1.7).
type earlyMessage struct {
	data []byte // with its length in front
	fin  bool   // its direction ends behind it
}

// message takes message n of the opening, with fin the last of its direction and
// possibly empty. limit is what we have announced.
func (r *receiveBuffer) message(n uint64, data []byte, fin bool, limit uint64) error {
	if len(data) > unannounced.MaxMessage {
		return errMessageSize
	}
	if _, here := r.early[n]; here || n < r.messages || r.ended() {
		return nil
	}
	size := uint64(len(data))
	buf := r.alloc(varintLen(size) + len(data))
	if r.early == nil {
		r.early = make(map[uint64]earlyMessage)
	}
	r.early[n] = earlyMessage{append(appendVarint(buf[:0], size), data...), fin}
	return r.placeEarly(limit)
}

// placeEarly gives messages of the opening their place, as far as all before
// them are there (MSX-3.5).
func (r *receiveBuffer) placeEarly(limit uint64) error {
	for len(r.early) > 0 && r.atBoundary() {
		m, here := r.early[r.messages]
		if !here {
			return nil
		}
		delete(r.early, r.messages)
		if len(r.early) == 0 {
			r.early = nil
		}
		data := m.data
		if m.fin && len(data) == 1 { // bare
			data = nil
		}
		err := errWindow
		if r.next+uint64(len(data)) <= limit {
			err = r.place(r.next, data, m.fin)
		}
		r.free(m.data)
		if err != nil || m.fin {
			return err
		}
	}
	return nil
}
