package http2

// streamTable has the open streams of a connection by their number. Since a client numbers
// its streams in a row, most have a slot of their own.
type streamTable struct {
	slots []*serverStream
	n     int
}

func (t *streamTable) slot(id uint32) **serverStream {
	return &t.slots[int(id>>1)&(len(t.slots)-1)]
}

func (t *streamTable) get(id uint32) *serverStream {
	if t.n == 0 {
		return nil
	}
	st := *t.slot(id)
	for st != nil && st.id != id {
		st = st.next
	}
	return st
}

func (t *streamTable) add(st *serverStream) {
	if t.n == len(t.slots) {
		t.grow()
	}
	head := t.slot(st.id)
	st.next, *head = *head, st
	t.n++
}

func (t *streamTable) grow() {
	old := t.slots
	t.slots = make([]*serverStream, max(8, 2*len(old)))
	for _, st := range old {
		for st != nil {
			next := st.next
			head := t.slot(st.id)
			st.next, *head = *head, st
			st = next
		}
	}
}

func (t *streamTable) remove(st *serverStream) {
	for at := t.slot(st.id); *at != nil; at = &(*at).next {
		if *at == st {
			*at, st.next = st.next, nil
			t.n--
			return
		}
	}
}

// each calls f for every stream; f may remove the one that it is called with.
func (t *streamTable) each(f func(*serverStream)) {
	for _, st := range t.slots {
		for st != nil {
			next := st.next
			f(st)
			st = next
		}
	}
}

// resetRing remembers the streams that we reset last: what the client had sent before it
// knew is no fault of its.
type resetRing struct {
	ids  [128]uint32
	next uint8
}

func (r *resetRing) add(id uint32) {
	r.ids[r.next%uint8(len(r.ids))] = id
	r.next++
}

func (r *resetRing) has(id uint32) bool {
	for _, other := range r.ids {
		if other == id {
			return true
		}
	}
	return false
}

// remove forgets a stream: the client has said itself that it is over.
func (r *resetRing) remove(id uint32) {
	for i := range r.ids {
		if r.ids[i] == id {
			r.ids[i] = 0
		}
	}
}
