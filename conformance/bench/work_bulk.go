package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
)

// bulk sends size bytes on the given number of streams at once. The clock stops
// when the sender has the receiver's verdict on every one.
func bulk(t *Transport, o clientOptions) (Result, error) {
	conns, err := dialAll(t, o.addr, o.streams)
	if err != nil {
		return Result{}, err
	}
	res := begin()
	each := o.size / int64(o.streams)
	done := make(chan error, len(conns))
	for _, c := range conns {
		go func() { done <- sendBulk(c, each) }()
	}
	expiry := o.expiry()
	for range conns {
		select {
		case e := <-done:
			err = errors.Join(err, e)
		case <-expiry:
			res.Capped = true
		}
		if res.Capped || err != nil {
			break
		}
	}
	res.M["seconds"] = res.seconds()
	res.M["bytes"] = float64(each * int64(o.streams))
	return res, err
}

// sendBulk sends n bytes of the pattern and waits for the verdict.
func sendBulk(c net.Conn, n int64) error {
	if _, err := c.Write(header(wantBulk, n)); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	crc := uint32(0)
	for sent := int64(0); sent < n; {
		b := patternAt(sent, int(min(blockLen, n-sent)))
		crc = crc32.Update(crc, castagnoli, b)
		k, err := c.Write(b)
		sent += int64(k)
		if err != nil {
			return fmt.Errorf("write after %d bytes: %w", sent, err)
		}
	}
	var reply [verdict]byte
	if _, err := io.ReadFull(c, reply[:]); err != nil {
		return fmt.Errorf("verdict: %w", err)
	}
	if reply[0] != 1 || binary.BigEndian.Uint32(reply[9:]) != crc {
		return fmt.Errorf("the server got something else, %d of %d bytes", binary.BigEndian.Uint64(reply[1:]), n)
	}
	return nil
}
