package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"time"
)

// bulk sends size bytes on the given number of streams at once. What is measured
// begins when all are open, and ends when the sender has the receiver's verdict
// on every one.
func bulk(t *Transport, o clientOptions) (Result, error) {
	each := o.size / int64(o.streams)
	conns, err := openBulks(t, o.addr, o.streams, each)
	if err != nil {
		return Result{}, err
	}
	if err := o.start(); err != nil {
		return Result{}, err
	}
	res := begin()
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

// openBulks opens streams for n bytes each, one after the other.
func openBulks(t *Transport, addr string, streams int, n int64) ([]net.Conn, error) {
	conns, err := dialAll(t, addr, streams)
	if err != nil {
		return nil, err
	}
	for _, c := range conns {
		if err := openBulk(c, n); err != nil {
			return nil, err
		}
	}
	return conns, nil
}

// openBulk asks for a stream of n bytes and waits for a first byte from the
// server, so that nothing of the opening is left to do.
func openBulk(c net.Conn, n int64) error {
	c.SetDeadline(time.Now().Add(time.Minute))
	if _, err := c.Write(header(wantBulk, n)); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		return fmt.Errorf("first byte: %w", err)
	}
	return c.SetDeadline(time.Time{})
}

// sendBulk sends n bytes of the pattern and waits for the verdict.
func sendBulk(c net.Conn, n int64) error {
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
