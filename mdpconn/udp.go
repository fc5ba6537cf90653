package mdpconn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// overlayUDPPort is the UDP port of announcements (docs/overlay.md §2).
// Specification.
const overlayUDPPort = 4110

// Implementation.
const (
	udpBuffer       = 8 << 20         // bytes asked of the system, each way
	interfacesEvery = 5 * time.Second // how often broadcast addresses are read from the system
	listenAgain     = 5 * time.Second // after the socket for broadcasts could not be opened
)

// loopbackBroadcast reaches all sockets of this host that receive broadcasts.
var loopbackBroadcast = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 255, 255, 255}), overlayUDPPort)

// A udpLink is a UDP socket. It sends and receives everything that has one
// address, and sends broadcasts. Broadcasts of others come in at another socket,
// see listenUDPBroadcasts.
type udpLink struct {
	// Constant.
	conn     *net.UDPConn
	local    netip.AddrPort
	wildcard bool // bound to all addresses
	fixed    bool // broadcasts is constant: the link is that of an Interface
	offload  offload
	ecn      udpECN

	// Constant. Where the system reads or writes only one packet with a call, they
	// are nil.
	raw    syscall.RawConn
	reader *messageReader // the one reader's

	zones zones

	// mu guards what follows.
	mu         sync.Mutex
	broadcasts []netip.AddrPort
	readAt     time.Time // when broadcasts were read from the system
}

// resolveBind gives the address to bind of HOST:PORT.
func resolveBind(bind string) (netip.AddrPort, error) {
	_, _, err := net.SplitHostPort(bind)
	var a *net.UDPAddr
	if err == nil {
		a, err = net.ResolveUDPAddr("udp", bind)
	}
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("mdpconn: UDP address %s: %w, expected HOST:PORT", clip(bind), err)
	}
	addr := unmap(a.AddrPort())
	if !addr.Addr().IsValid() {
		addr = netip.AddrPortFrom(netip.IPv4Unspecified(), addr.Port())
	}
	return addr, nil
}

// listenUDP opens a socket that is bound to an address.
func listenUDP(addr netip.AddrPort) (*udpLink, error) {
	// Several sockets can share port 4110 only if all of them agree to. Others
	// do not agree, so that nobody else can take their packets.
	share := addr.Port() == overlayUDPPort
	return openUDP(addr, share)
}

// listenUDPBroadcasts opens a socket that receives broadcasts, on a port that it
// shares with all other nodes of the host.
func listenUDPBroadcasts(port uint16) (*udpLink, error) {
	return openUDP(netip.AddrPortFrom(netip.IPv4Unspecified(), port), true)
}

func openUDP(addr netip.AddrPort, share bool) (*udpLink, error) {
	network := "udp6"
	if addr.Addr().Is4() {
		network = "udp4"
	}
	config := net.ListenConfig{Control: controlUDP(share)}
	c, err := config.ListenPacket(context.Background(), network, addr.String())
	if err != nil {
		return nil, err
	}
	conn := c.(*net.UDPConn)
	conn.SetReadBuffer(udpBuffer) // as much as the system allows
	conn.SetWriteBuffer(udpBuffer)
	local := unmap(conn.LocalAddr().(*net.UDPAddr).AddrPort())
	u := &udpLink{conn: conn, local: local, wildcard: local.Addr().IsUnspecified()}
	u.start()
	return u, nil
}

func (u *udpLink) ReadPackets(ps []Packet) (int, error) {
	if len(ps) == 0 {
		return 0, nil
	}
	if u.reader != nil {
		return u.reader.readPackets(ps)
	}
	p := &ps[0]
	k, addr, err := u.conn.ReadFromUDPAddrPort(p.Data[:cap(p.Data)])
	if err != nil {
		return 0, err
	}
	p.Data, p.Addr, p.ECN = p.Data[:k], unmap(addr), NotECT
	return 1, nil
}

func (u *udpLink) WritePackets(ps []Packet) (int, error) {
	if u.raw != nil && (len(ps) > 1 || len(ps) == 1 && ps[0].ECN != NotECT) {
		return u.writeSeveral(ps)
	}
	for i := range ps {
		if _, err := u.conn.WriteToUDPAddrPort(ps[i].Data, ps[i].Addr); err != nil {
			return i, err
		}
	}
	return len(ps), nil
}

func (u *udpLink) LocalAddr() netip.AddrPort { return u.local }

func (u *udpLink) Close() error {
	if err := u.conn.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// reaches reports whether packets to an address may go out here: of the same
// family, and loopback only from there or from everywhere.
func (u *udpLink) reaches(a netip.Addr) bool {
	local := u.local.Addr()
	if a.Is4() != local.Is4() {
		return false
	}
	return u.wildcard || local.IsLoopback() == a.IsLoopback() || a == local
}

// hearsBroadcasts reports whether the socket receives broadcasts itself.
func (u *udpLink) hearsBroadcasts() bool {
	return u.wildcard && u.local.Addr().Is4() && u.local.Port() == overlayUDPPort
}

// Broadcasts gives the broadcast addresses that the socket reaches: that of the
// loopback network if it is bound there, those of all networks and of the
// loopback one if it is bound to all addresses, that of the network of its
// address otherwise. They are read from the system every 5 s at most.
func (u *udpLink) Broadcasts() []netip.AddrPort {
	u.mu.Lock()
	defer u.mu.Unlock()
	if now := time.Now(); !u.fixed && (u.readAt.IsZero() || now.Sub(u.readAt) >= interfacesEvery) {
		u.readAt = now
		u.broadcasts = u.readBroadcasts()
	}
	return append([]netip.AddrPort(nil), u.broadcasts...)
}

func (u *udpLink) readBroadcasts() []netip.AddrPort {
	local := u.local.Addr()
	switch {
	case !local.Is4():
		return nil // broadcasts are IPv4's
	case local.IsLoopback():
		return []netip.AddrPort{loopbackBroadcast}
	}
	var addrs []netip.AddrPort
	if u.wildcard {
		addrs = append(addrs, loopbackBroadcast)
	}
	for _, p := range broadcastNetworks() {
		if u.wildcard || p.Addr() == local {
			addrs = append(addrs, netip.AddrPortFrom(broadcastOf(p), overlayUDPPort))
		}
	}
	return addrs
}

// broadcastNetworks gives the IPv4 addresses of this host on networks that can
// broadcast, each with the length of its network's prefix.
func broadcastNetworks() (networks []netip.Prefix) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil // then there are none for now
	}
	for _, i := range interfaces {
		if i.Flags&net.FlagUp == 0 || i.Flags&net.FlagBroadcast == 0 {
			continue
		}
		addrs, err := i.Addrs()
		if err != nil {
			continue
		}
		for _, a := range addrs {
			p, err := netip.ParsePrefix(a.String())
			if err == nil && p.Addr().Is4() && p.Bits() < 31 {
				networks = append(networks, p)
			}
		}
	}
	return networks
}

// broadcastOf gives the directed broadcast address of an IPv4 network.
func broadcastOf(p netip.Prefix) netip.Addr {
	a := p.Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		a[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom4(a)
}
