package servaldtest

import (
	"errors"
	"slices"
	"syscall"
	"testing"

	"mesh.example/msp/mdpconn/servald"
)

// What would end a stock daemon ends this one, and tests learn of it.
func TestEnds(t *testing.T) {
	file := readRecorded(t)
	a, b := sidOf(t, file.A), sidOf(t, file.B)
	for _, c := range []struct {
		why  string
		m    servald.Message
		ends string // which daemon
	}{
		{"a queue of 5 or more", servald.Message{Queue: 5}, "A"},
		{"a data message without data", servald.Message{LocalSID: a, LocalPort: 1, RemoteSID: a, RemotePort: 1}, "A"},
		{"a data message without data", servald.Message{LocalSID: a, LocalPort: 1, RemoteSID: b, RemotePort: 20}, "B"},
		{"a long payload", servald.Message{LocalSID: a, LocalPort: 1, RemoteSID: b, RemotePort: 20, Payload: make([]byte, 1160)}, "A"},
	} {
		r := newReplay(t, file)
		r.daemons["A"].mesh.Mortal()
		ca, cb := r.client("A", "a"), r.client("B", "b")
		bind := servald.Message{LocalPort: 1, Flags: servald.Bind}
		ca.Write(bind.AppendAny(nil))
		r.read(ca)
		bind.LocalPort = 20
		cb.Write(bind.AppendAny(nil))
		r.read(cb)
		ca.Write(c.m.AppendAny(nil))
		r.daemons[c.ends].Await(func([]Binding) bool { return r.daemons[c.ends].ended != "" })
		if got := r.daemons[c.ends].Ended(); got != c.why {
			t.Errorf("ended by %q, want %q", got, c.why)
		}
	}
}

// Bindings of a client that died stay its name's, until the daemon ends.
func TestCrashedClient(t *testing.T) {
	r := newReplay(t, readRecorded(t))
	d := r.daemons["A"]
	bind := servald.Message{LocalPort: 80, Flags: servald.Bind}
	wantFlags := func(why, client string, want servald.Flags) {
		t.Helper()
		c := r.client("A", client)
		if _, err := c.Write(bind.AppendAny(nil)); err != nil {
			t.Fatal(err)
		}
		if m, _ := servald.Parse(r.read(c)); m.Flags != want {
			t.Errorf("%s: answer %v, want %v", why, &m, want)
		}
	}
	crash := func(client string) {
		r.clients[client].Close()
		delete(r.clients, client)
	}
	wantFlags("free", "first", servald.Bind)
	crash("first")
	wantFlags("the dead client has it", "second", servald.Error)
	wantFlags("the same name", "first", servald.Bind)
	d.Kill()
	if _, err := r.client("A", "first").Write(bind.AppendAny(nil)); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("sending to a daemon that has ended: %v, want ECONNREFUSED", err)
	}
	if err := d.Restart(); err != nil {
		t.Fatal(err)
	}
	crash("first")
	crash("second")
	wantFlags("a new daemon knows no bindings", "second", servald.Bind)
	if b := d.Bindings(); !slices.Equal(b, []Binding{{sidOf(t, readRecorded(t).A), 80}}) {
		t.Errorf("bindings %v", b)
	}
}
