package mdptest

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Limits of stock (docs/overlay.md §10).
const (
	maxPacket       = 1200 // a packet
	endBody         = 1200 // the shortest body that ends a daemon
	sealOverhead    = 40
	sessionOverhead = 24
	signatureLen    = 64
)

// CheckPacket reads the bytes of an overlay packet as stock does, and gives an
// error if it holds anything that ends a stock daemon, or that stock would
// misread (docs/overlay.md §11). It knows nothing of the code that made the
// packet, and resolves no address.
//
// What is enciphered it can only measure, unless open is given: it gets the body
// and returns the plaintext, or reports that it has no key. open may be nil.
func CheckPacket(b []byte, open func(body []byte) (plain []byte, ok bool)) error {
	if ours(b) {
		return checkOurs(b)
	}
	c := cursor{b: b}
	h, err := c.envelope()
	for err == nil && len(c.b) > 0 {
		err = c.payload(h, open)
	}
	if err == nil && len(b) > maxPacket {
		err = fmt.Errorf("packet of %d bytes, stock sends at most %d", len(b), maxPacket)
	}
	if err != nil {
		return fmt.Errorf("%w, at byte %d of packet %x", err, len(b)-len(c.b), b[:min(len(b), 200)])
	}
	return nil
}

// Packets of our own form, which stock drops at their first byte: it is another
// version (docs/extension.md §11).
const (
	compactByte               = 0x4d
	noticeByte                = 0x4e
	noticeLen                 = 5
	compactLeast, compactMost = 24, 65507
)

func ours(b []byte) bool { return len(b) > 0 && (b[0] == compactByte || b[0] == noticeByte) }

// checkOurs checks the length of one.
func checkOurs(b []byte) error {
	least, most := compactLeast, compactMost
	if b[0] == noticeByte {
		least, most = noticeLen, noticeLen
	}
	if len(b) < least || len(b) > most {
		return fmt.Errorf("packet of form %#02x of %d bytes, expected %d to %d", b[0], len(b), least, most)
	}
	return nil
}

// A cursor reads what is left of a packet or a body.
type cursor struct{ b []byte }

var errCut = errors.New("cut off")

func (c *cursor) take(n int) ([]byte, error) {
	if n > len(c.b) {
		return nil, errCut
	}
	b := c.b[:n]
	c.b = c.b[n:]
	return b, nil
}

func (c *cursor) byte() (byte, error) {
	b, err := c.take(1)
	if err != nil {
		return 0, err
	}
	return b[0], nil
}

// head is what of an envelope decides how payloads are read.
type head struct {
	version byte
	single  bool
	sender  []byte // as on the wire
	flags   byte
	seq     byte
}

// envelope reads the head of a packet (§3).
func (c *cursor) envelope() (h head, err error) {
	b, err := c.take(2)
	if err != nil {
		return h, err
	}
	h.version, h.single = b[0], b[1] == 2
	if b[0] > 1 || b[1] != 1 && b[1] != 2 {
		return h, fmt.Errorf("version %d, encapsulation %d", b[0], b[1])
	}
	at := c.b
	if err = c.address(); err != nil {
		return h, fmt.Errorf("sender: %w", err)
	}
	if h.sender = at[:len(at)-len(c.b)]; h.sender[0] >= 0xfd {
		return h, fmt.Errorf("sender of code %#02x", h.sender[0])
	}
	if h.flags, err = c.byte(); err != nil {
		return h, errors.New("packet ends with the sender: read as if all flags were set")
	}
	if h.flags&^0x07 != 0 {
		return h, fmt.Errorf("packet flags %#02x", h.flags)
	}
	if h.flags&0x02 != 0 {
		i, err := c.byte()
		if err != nil || i == 0 || i > 15 {
			return h, fmt.Errorf("interface %d", i)
		}
	}
	if h.flags&0x04 != 0 {
		if h.seq, err = c.byte(); err != nil {
			return h, err
		}
	}
	return h, nil
}

// address passes over an address (§4).
func (c *cursor) address() error {
	code, err := c.byte()
	switch {
	case err != nil:
		return fmt.Errorf("address: %w", err)
	case code == 0:
		return errors.New("address with code 0: it ends a daemon")
	case code <= 32 || code == 0xfb:
		sid, err := c.take(min(int(code), 32))
		switch {
		case err != nil:
			return fmt.Errorf("address: %w", err)
		case code == 32 && (allOf(sid[:31], 0) || allOf(sid, 0xff)):
			return fmt.Errorf("address %x is no SID", sid)
		}
		return nil
	case code > 0xfb:
		return nil
	}
	return fmt.Errorf("address with code %#02x", code)
}

func allOf(b []byte, v byte) bool {
	for _, c := range b {
		if c != v {
			return false
		}
	}
	return true
}

// payload reads a payload (§5).
func (c *cursor) payload(h head, open func([]byte) ([]byte, bool)) error {
	flags, _ := c.byte()
	broadcast, oneHop := flags&0x02 != 0, flags&0x04 != 0
	sealed, signed := flags&0x10 != 0, flags&0x20 != 0
	switch {
	case flags&0x08 != 0:
		return fmt.Errorf("payload flags %#02x: 0x08 is not zero", flags)
	case sealed && broadcast:
		return fmt.Errorf("payload flags %#02x: an enciphered broadcast ends a daemon", flags)
	case sealed && !signed:
		return fmt.Errorf("payload flags %#02x: CIPHERED without SIGNED", flags)
	}
	if err := c.addresses(flags); err != nil {
		return err
	}
	if !oneHop {
		ttl, err := c.byte()
		if err != nil || ttl&0x1f == 0 || ttl&0x80 != 0 {
			return fmt.Errorf("TTL and queue %#02x", ttl)
		}
	}
	kind := byte(0x30)
	var err error
	if flags&0x80 != 0 {
		if kind, err = c.byte(); err != nil {
			return err
		}
	}
	if h.version >= 1 {
		if _, err := c.byte(); err != nil {
			return err
		}
	}
	body, err := c.body(h)
	if err != nil {
		return err
	}
	if len(body) >= endBody {
		return fmt.Errorf("body of %d bytes: it ends a daemon that has to queue it", len(body))
	}
	switch kind {
	case 0x30:
		return checkData(body, sealed, signed, open)
	case 0x60:
		return checkExplain(body)
	}
	return nil
}

// addresses passes over what stands between the flags and the TTL.
func (c *cursor) addresses(flags byte) error {
	read := func(what string) error {
		if err := c.address(); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		return nil
	}
	if flags&0x01 == 0 {
		if err := read("source"); err != nil {
			return err
		}
	}
	switch {
	case flags&0x06 == 0x02:
		_, err := c.take(8)
		return err
	case flags&0x02 != 0:
		return nil
	}
	if err := read("destination"); err != nil || flags&0x04 != 0 {
		return err
	}
	return read("next hop")
}

func (c *cursor) body(h head) ([]byte, error) {
	n := len(c.b)
	if !h.single {
		b, err := c.take(2)
		if err != nil {
			return nil, err
		}
		n = int(binary.BigEndian.Uint16(b))
	}
	body, err := c.take(n)
	if err != nil {
		return nil, fmt.Errorf("body of %d bytes: %w", n, err)
	}
	return body, nil
}

// checkData checks the body of a data payload (§6).
func checkData(body []byte, sealed, signed bool, open func([]byte) ([]byte, bool)) error {
	switch {
	case sealed && len(body) >= sessionOverhead && body[0] == 0x80:
		return nil // under session keys: no stock node is its destination (docs/extension.md §12)
	case sealed:
		if len(body) < sealOverhead+2 {
			return fmt.Errorf("enciphered body of %d bytes: without data it ends a daemon", len(body))
		}
		if body[0]&0x80 != 0 {
			return errors.New("nonce with its top bit set")
		}
		if open == nil {
			return nil
		}
		plain, ok := open(body)
		if !ok {
			return nil
		}
		body = plain
	case signed:
		if len(body) < signatureLen {
			return fmt.Errorf("signed body of %d bytes", len(body))
		}
		body = body[:len(body)-signatureLen]
	}
	return checkPlain(body)
}

// checkPlain checks ports and data: those of the services inside the daemon too.
func checkPlain(plain []byte) error {
	c := cursor{plain}
	to, err := c.port()
	if err != nil {
		return err
	}
	from := to >> 1
	if to&1 == 0 {
		if from, err = c.port(); err != nil {
			return err
		}
	}
	if to >>= 1; to == 0 || from == 0 || from >= 1<<31 {
		return fmt.Errorf("data from port %d to port %d", from, to)
	}
	return checkService(to, from, c.b)
}

// checkService checks the data for a port as the daemon's own service there
// reads it (§8, §9).
func checkService(to, from uint32, data []byte) error {
	c := cursor{data}
	switch to {
	case 2:
		return c.linkState()
	case 4, 5, 8:
		for len(c.b) > 0 {
			if err := c.address(); err != nil {
				return fmt.Errorf("data for port %d: %w", to, err)
			}
			if to == 8 {
				continue
			}
			if _, err := c.take(6); err != nil {
				return fmt.Errorf("data for port %d: %w", to, err)
			}
		}
	case 7:
		// The answer is enciphered, and its ports may take more room.
		if n := sealOverhead + varintLen(from<<1) + varintLen(to) + len(data); from != to && n >= endBody {
			return fmt.Errorf("echo of %d bytes of data: the answer of %d ends a daemon", len(data), n)
		}
	}
	if len(data) == 0 {
		return errors.New("data payload without data: it ends a daemon")
	}
	return nil
}

// port reads a variable-length integer (§6.1).
func (c *cursor) port() (v uint32, err error) {
	for i := 0; i < 5; i++ {
		b, err := c.byte()
		if err != nil {
			return 0, fmt.Errorf("ports: %w", err)
		}
		v |= uint32(b&0x7f) << (7 * i)
		if b < 0x80 {
			return v, nil
		}
	}
	return 0, errors.New("port of more than 5 bytes")
}

func varintLen(v uint32) int {
	n := 1
	for ; v >= 0x80; v >>= 7 {
		n++
	}
	return n
}

// linkState reads records (§8.1).
func (c *cursor) linkState() error {
	for len(c.b) > 0 && c.b[0] != 0 {
		n := int(c.b[0])
		if n > len(c.b) {
			return fmt.Errorf("link-state record of %d bytes, %d are left: it ends a daemon", n, len(c.b))
		}
		r := cursor{c.b[1:n]}
		if err := r.record(); err != nil {
			return fmt.Errorf("link-state record: %w", err)
		}
		c.b = c.b[n:]
	}
	return nil
}

// record reads one, without its length.
func (c *cursor) record() error {
	flags, err := c.byte()
	if err != nil {
		return err
	}
	if err := c.address(); err != nil {
		return fmt.Errorf("receiver: %w", err)
	}
	version, err := c.byte()
	if err != nil {
		return err
	}
	noPath := flags&0x02 != 0
	if version > 127 && !(version == 255 && noPath) {
		return fmt.Errorf("version %d", version)
	}
	if !noPath {
		if err := c.address(); err != nil {
			return fmt.Errorf("transmitter: %w", err)
		}
	}
	if flags&0x01 != 0 {
		if i, err := c.byte(); err != nil || i > 15 {
			return fmt.Errorf("interface %d: what follows is misread", i)
		}
	}
	n := 0
	if flags&0x10 != 0 {
		n += 5
	}
	if flags&0x20 != 0 {
		n++
	}
	_, err = c.take(n)
	return err
}

// checkExplain reads the items of a please-explain (§4.3).
func checkExplain(body []byte) error {
	for c := (cursor{body}); len(c.b) > 0; {
		if code := c.b[0]; code > 32 && code != 0xfb && code != 0xfd {
			return fmt.Errorf("please-explain item %#02x", code)
		}
		if err := c.address(); err != nil {
			return fmt.Errorf("please-explain: %w", err)
		}
	}
	return nil
}
