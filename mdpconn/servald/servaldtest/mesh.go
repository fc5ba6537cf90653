package servaldtest

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"mesh.example/msp/mdpconn/mdptest"
	"mesh.example/msp/mdpconn/servald"
)

// A Mesh is daemons that reach each other. All methods, also those of daemons,
// may be called concurrently.
type Mesh struct {
	mu      sync.Mutex // guards the state of all daemons
	changed *sync.Cond // after every datagram that a daemon has handled
	daemons []*Daemon
	drop    func(from, to servald.SID, m *servald.Message) bool
	mortal  bool
}

// NewMesh makes a mesh without daemons.
func NewMesh() *Mesh {
	m := new(Mesh)
	m.changed = sync.NewCond(&m.mu)
	return m
}

// Drop sets what is asked for each message between daemons; those for which it
// reports true are lost. It must not call the mesh. Nil loses none.
func (m *Mesh) Drop(drop func(from, to servald.SID, m *servald.Message) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drop = drop
}

// Mortal lets clients send what ends a stock daemon: it then ends daemons
// (Daemon.Ended). Otherwise the mesh panics at such a datagram.
func (m *Mesh) Mortal() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mortal = true
}

// guardLocked panics at a datagram that no client may send.
func (m *Mesh) guardLocked(client string, b []byte) {
	if m.mortal {
		return
	}
	if err := mdptest.CheckMessage(b); err != nil {
		panic(fmt.Sprintf("servaldtest: client %q sends what no client may: %v", client, err))
	}
}

// Close kills all daemons.
func (m *Mesh) Close() {
	m.mu.Lock()
	daemons := m.daemons
	m.mu.Unlock()
	for _, d := range daemons {
		d.Kill()
		if runtime.GOOS != "linux" {
			os.RemoveAll(d.Instance)
		}
	}
}

// A Daemon is one of a mesh.
type Daemon struct {
	// Instance is the instance path, for clients.
	Instance string
	// Socket is the name of the socket, as package net has it.
	Socket string

	mesh *Mesh

	// Guarded by mesh.mu.
	sids     []servald.SID
	routes   []servald.Route // nil: made from the mesh
	bindings map[Binding]string
	nextPort uint32
	conn     *net.UnixConn // nil while it does not run
	stopped  chan struct{} // closed when the goroutine of conn has ended
	ended    string
	clients  int // counts datagrams of clients
}

// A Binding is a port that a client has bound.
type Binding struct {
	SID  servald.SID
	Port uint32
}

// RandomSID makes a SID that passes for one.
func RandomSID() (sid servald.SID) {
	rand.Read(sid[:])
	sid[31] &= 0x3f
	return sid
}

// Start starts a daemon with these identities, the primary one first; without
// any it makes one up, as stock does.
func (m *Mesh) Start(sids ...servald.SID) (*Daemon, error) {
	instance, err := newInstance()
	if err != nil {
		return nil, err
	}
	return m.StartAt(instance, sids...)
}

// StartAt is Start with an instance path of the caller's.
func (m *Mesh) StartAt(instance string, sids ...servald.SID) (*Daemon, error) {
	socket, err := servald.SocketName(instance)
	if err != nil {
		return nil, err
	}
	if len(sids) == 0 {
		sids = []servald.SID{RandomSID()}
	}
	d := &Daemon{Instance: instance, Socket: socket, mesh: m, sids: sids}
	m.mu.Lock()
	m.daemons = append(m.daemons, d)
	m.mu.Unlock()
	return d, d.Restart()
}

// newInstance makes an instance path. On Linux it need not exist.
func newInstance() (string, error) {
	if runtime.GOOS == "linux" {
		var b [8]byte
		rand.Read(b[:])
		return fmt.Sprintf("/servaldtest/%d.%s", os.Getpid(), hex.EncodeToString(b[:])), nil
	}
	return os.MkdirTemp("", "sd")
}

// Restart starts the daemon again; it knows no bindings.
func (d *Daemon) Restart() error {
	d.mesh.mu.Lock()
	defer d.mesh.mu.Unlock()
	if d.conn != nil {
		return errors.New("servaldtest: the daemon runs already")
	}
	if d.Socket[0] != '@' {
		os.Remove(d.Socket)
	}
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: d.Socket, Net: "unixgram"})
	if err != nil {
		return err
	}
	d.conn, d.stopped, d.ended = c, make(chan struct{}), ""
	d.bindings = make(map[Binding]string)
	d.nextPort = 257
	go d.serve(c, d.stopped)
	return nil
}

// Kill ends the daemon without a word. Killing one that does not run does
// nothing.
func (d *Daemon) Kill() {
	d.mesh.mu.Lock()
	stopped := d.stopped
	d.killLocked("")
	d.mesh.mu.Unlock()
	if stopped != nil {
		<-stopped
	}
}

func (d *Daemon) killLocked(why string) {
	if d.conn != nil {
		d.conn.Close()
		d.conn, d.ended = nil, why
		if d.Socket[0] != '@' {
			os.Remove(d.Socket)
		}
		d.mesh.changed.Broadcast()
	}
}

// Ended tells what input has ended the daemon, "" if none has.
func (d *Daemon) Ended() string {
	d.mesh.mu.Lock()
	defer d.mesh.mu.Unlock()
	return d.ended
}

// SetSIDs sets the identities, the primary one first.
func (d *Daemon) SetSIDs(sids ...servald.SID) {
	d.mesh.mu.Lock()
	defer d.mesh.mu.Unlock()
	d.sids = sids
}

// SetNextPort sets the port that the next binding of port 0 gets.
func (d *Daemon) SetNextPort(port uint32) {
	d.mesh.mu.Lock()
	defer d.mesh.mu.Unlock()
	d.nextPort = port
}

// SetRoutes sets the route table, in place of one made from the mesh.
func (d *Daemon) SetRoutes(routes []servald.Route) {
	d.mesh.mu.Lock()
	defer d.mesh.mu.Unlock()
	d.routes = routes
}

// Bindings gives what clients have bound.
func (d *Daemon) Bindings() []Binding {
	d.mesh.mu.Lock()
	defer d.mesh.mu.Unlock()
	return d.bindingsLocked()
}

func (d *Daemon) bindingsLocked() (bs []Binding) {
	for b := range d.bindings {
		bs = append(bs, b)
	}
	slices.SortFunc(bs, func(a, b Binding) int {
		if a.Port != b.Port {
			return int(a.Port) - int(b.Port)
		}
		return slices.Compare(a.SID[:], b.SID[:])
	})
	return bs
}

// Await waits until the bindings are as ok wants them. It looks again after
// every datagram that a daemon of the mesh has handled.
func (d *Daemon) Await(ok func([]Binding) bool) {
	d.mesh.mu.Lock()
	defer d.mesh.mu.Unlock()
	for !ok(d.bindingsLocked()) {
		d.mesh.changed.Wait()
	}
}

// AwaitDatagrams waits until the daemon has handled n more datagrams of clients.
func (d *Daemon) AwaitDatagrams(n int) {
	d.mesh.mu.Lock()
	defer d.mesh.mu.Unlock()
	for until := d.clients + n; d.clients < until; {
		d.mesh.changed.Wait()
	}
}

// Send sends any message to the client with this name (servald.ClientName), as
// if the daemon had something to say.
func (d *Daemon) Send(client string, m *servald.Message) error {
	name, err := servald.ClientName(d.Socket, client)
	if err != nil {
		return err
	}
	d.mesh.mu.Lock()
	conn := d.conn
	d.mesh.mu.Unlock()
	if conn == nil {
		return net.ErrClosed
	}
	conn.SetWriteDeadline(time.Now().Add(patience))
	_, err = conn.WriteToUnix(m.AppendAny(nil), &net.UnixAddr{Name: name, Net: "unixgram"})
	return err
}

// SIDs gives the identities, the primary one first.
func (d *Daemon) SIDs() []servald.SID {
	d.mesh.mu.Lock()
	defer d.mesh.mu.Unlock()
	return slices.Clone(d.sids)
}
