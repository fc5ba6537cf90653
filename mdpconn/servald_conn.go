package mdpconn

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"mesh.example/msp/mdpconn/servald"
)

// Implementation.
const (
	daemonBuffers = 256 << 10              // of the socket, in bytes; stock's clients have 128 KiB
	daemonAnswers = 256                    // answers that wait for who asked
	sendPatience  = 250 * time.Millisecond // until a datagram that the daemon has no room for is dropped
)

// A daemonConn is a socket that is connected to the daemon's (§2).
type daemonConn struct {
	// Constant.
	daemon  *daemon
	socket  *net.UnixConn
	local   string // its name
	answers chan servald.Message
	dead    chan struct{}

	ended   atomic.Bool // dead is closed
	failing atomic.Bool // it was logged that datagrams are not accepted
}

// dial reaches the daemon.
func (d *daemon) dial() (*daemonConn, error) {
	if runtime.GOOS == "windows" {
		return nil, errors.New("mdpconn: no way to servald: this system has no unixgram sockets")
	}
	local, err := d.clientName()
	if err != nil {
		return nil, err
	}
	isPath := !strings.HasPrefix(local, "@")
	if isPath && d.client != "" {
		removeStale(local, d.name)
	}
	s, err := net.DialUnix("unixgram", &net.UnixAddr{Name: local, Net: "unixgram"}, &net.UnixAddr{Name: d.name, Net: "unixgram"})
	if err != nil {
		if isPath && !errors.Is(err, syscall.EADDRINUSE) {
			os.Remove(local)
		}
		if errors.Is(err, syscall.EADDRINUSE) {
			return nil, fmt.Errorf("mdpconn: the servald client %q is running already, expected one at a time: %w",
				d.client, os.NewSyscallError("bind", syscall.EADDRINUSE))
		}
		return nil, absentError(d.name, err)
	}
	s.SetReadBuffer(daemonBuffers) // the system may give less
	s.SetWriteBuffer(daemonBuffers)
	return &daemonConn{
		daemon: d, socket: s, local: local,
		answers: make(chan servald.Message, daemonAnswers),
		dead:    make(chan struct{}),
	}, nil
}

// clientName gives a name for the client's socket: the fixed one, or one of its
// own, which is short where the instance path is long.
func (d *daemon) clientName() (string, error) {
	if d.client != "" {
		return servald.ClientName(d.name, d.client)
	}
	var random [8]byte
	if _, err := rand.Read(random[:]); err != nil {
		return "", err
	}
	own := fmt.Sprintf("%d.%s", os.Getpid(), hex.EncodeToString(random[:]))
	name, err := servald.ClientName(d.name, own)
	if err != nil && strings.HasPrefix(d.name, "@") {
		return servald.ClientName("@", own)
	}
	return name, err
}

// removeStale removes the socket file of a client that has ended.
func removeStale(local, daemon string) {
	probe, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: local, Net: "unixgram"})
	if err == nil {
		probe.Close()
		return
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		os.Remove(local)
	}
}

// close ends the socket; bindings stay at the daemon.
func (c *daemonConn) close() error {
	if c.ended.Swap(true) {
		return nil
	}
	close(c.dead)
	if !strings.HasPrefix(c.local, "@") {
		os.Remove(c.local)
	}
	return c.socket.Close()
}

// patient bounds how long the next writes wait for room.
func (c *daemonConn) patient() { c.socket.SetWriteDeadline(time.Now().Add(sendPatience)) }

// write gives the daemon a datagram. An error is that the daemon is gone; what it
// has no room for is dropped and counted.
func (c *daemonConn) write(b []byte) (sent bool, err error) {
	_, err = c.socket.Write(b)
	switch {
	case err == nil:
		return true, nil
	case c.ended.Load():
		return false, c.daemon.lostError()
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, syscall.ENOBUFS),
		errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EMSGSIZE):
		c.daemon.node.count.sent.errors.Add(1)
		if !c.failing.Swap(true) {
			c.daemon.node.log.Warn("mdp servald takes no datagrams", "socket", c.daemon.name, "err", err)
		}
		return false, nil
	}
	c.daemon.lose(c, err)
	return false, c.daemon.lostError()
}

// tell sends a message that has no answer of its own. What may not be sent is not,
// as with plainTo. An error is that the daemon is gone.
func (c *daemonConn) tell(m *servald.Message) error {
	b, err := m.Append(make([]byte, 0, servald.HeaderLen))
	if err != nil {
		c.daemon.node.unsendable(err)
		return nil
	}
	c.patient()
	_, err = c.write(b)
	return err
}

// probe finds out whether the daemon is there, by a datagram that is too short
// to mean anything (§3).
func (c *daemonConn) probe() error {
	c.patient()
	_, err := c.write(make([]byte, servald.HeaderLen-1))
	return err
}

// ask sends a request and gives each answer to take, until that reports that it
// was the last. The caller has the turn.
func (d *daemon) ask(m *servald.Message, take func(*servald.Message) (last bool, err error)) error {
	c := d.current()
	if c == nil {
		return d.lostError()
	}
	d.takeStrays(c)
	if err := c.tell(m); err != nil {
		return err
	}
	timer := time.NewTimer(answerTime)
	defer timer.Stop()
	probe := time.NewTicker(probeEvery)
	defer probe.Stop()
	for {
		select {
		case a := <-c.answers:
			if last, err := take(&a); last || err != nil {
				return err
			}
		case <-probe.C:
			if err := c.probe(); err != nil {
				return err
			}
		case <-c.dead:
			return d.lostError()
		case <-d.node.done:
			return net.ErrClosed
		case <-timer.C:
			d.node.count.servald.silent.Add(1)
			if !d.isSilent {
				d.isSilent = true
				d.node.log.Warn("mdp servald does not answer", "socket", d.name)
			}
			return silentError(d.name)
		}
	}
}

// takeStrays takes answers that came too late for who asked. A binding that
// nobody waits for any more is released. The caller has the turn.
func (d *daemon) takeStrays(c *daemonConn) {
	for {
		select {
		case m := <-c.answers:
			d.node.count.servald.stray.Add(1)
			a := Addr{SID(m.LocalSID), Port(m.LocalPort)}
			if m.Flags == servald.Bind && m.RemotePort == servald.CommandNone && d.granted[a] == 0 {
				c.tell(&servald.Message{LocalSID: m.LocalSID, LocalPort: m.LocalPort, Flags: servald.Close})
			}
		default:
			return
		}
	}
}
