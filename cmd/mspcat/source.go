package main

import (
	"errors"
	"io"
)

// sourceChunk is what is read from stdin at a time: as much as a pipe of the
// system holds.
const sourceChunk = 64 << 10

var (
	// errStopped is the end of reading stdin that was asked for.
	errStopped = errors.New("stopped")
	// errOver is that nobody is left to read stdin for.
	errOver = errors.New("the connection is over")
)

// A source hands out stdin in chunks, and lets go of a read that takes too
// long: stdin cannot be told to. It reads only when somebody asks, so that
// nothing is read that nobody takes; what arrives for one who has let go is the
// next one's. One at a time may ask.
type source struct {
	r       io.Reader
	buf     []byte
	got     chan chunk // the answer of the read that goes on
	reading bool
	end     error // of stdin
}

type chunk struct {
	n   int
	err error
}

func newSource(r io.Reader) *source {
	return &source{r: r, buf: make([]byte, sourceChunk), got: make(chan chunk, 1)}
}

// next returns the next bytes of stdin, valid until the next call, or io.EOF;
// errStopped if stop is closed first, errOver if over is.
func (s *source) next(stop, over <-chan struct{}) ([]byte, error) {
	select {
	case <-stop:
		return nil, errStopped
	default:
	}
	if s.end != nil {
		return nil, s.end
	}
	if !s.reading {
		s.reading = true
		go s.read()
	}
	select {
	case c := <-s.got:
		return s.take(c)
	case <-stop:
		return nil, errStopped
	case <-over:
		return nil, errOver
	}
}

// rest returns what was read for a question that was stopped, if anything. A read
// that has not come back by then counts as none: it may never.
func (s *source) rest() []byte {
	select {
	case c := <-s.got:
		b, _ := s.take(c)
		return b
	default:
		return nil
	}
}

func (s *source) take(c chunk) ([]byte, error) {
	s.reading = false
	s.end = c.err
	if c.n > 0 {
		return s.buf[:c.n], nil
	}
	return nil, c.err
}

// read reads until there is something to tell.
func (s *source) read() {
	var c chunk
	for c.n == 0 && c.err == nil {
		c.n, c.err = s.r.Read(s.buf)
	}
	s.got <- c
}
