package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// A sample is what mspcat try sends. It is read anew for each passage.
type sample struct {
	name string
	size int64
	open func() (io.ReadCloser, error)
}

// newSample returns the file that args name, or mib MiB of pseudo-random bytes.
func newSample(args []string, mib int64) (*sample, error) {
	const maxMiB = 1 << 20
	switch {
	case len(args) > 1:
		return nil, usagef("%d arguments: expected one FILE at most", len(args))
	case len(args) == 1:
		return fileSample(args[0])
	case mib < 1 || mib > maxMiB:
		return nil, usagef("--size %d: expected 1 to %d", mib, maxMiB)
	}
	size := mib << 20
	var seed [32]byte // the same bytes at each opening, and each run
	open := func() (io.ReadCloser, error) {
		return io.NopCloser(io.LimitReader(rand.NewChaCha8(seed), size)), nil
	}
	return &sample{"pseudo-random bytes", size, open}, nil
}

func fileSample(path string) (*sample, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("file %s: %s", path, reason(err))
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("file %s is no regular file (%v): expected one, as it is read several times", path, info.Mode())
	}
	size := info.Size()
	open := func() (io.ReadCloser, error) {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		// A file that grows meanwhile is sent as long as it was.
		return struct {
			io.Reader
			io.Closer
		}{io.LimitReader(f, size), f}, nil
	}
	return &sample{filepath.Base(path), size, open}, nil
}

// A checksum is a SHA-256.
type checksum [sha256.Size]byte

// short returns the first digits.
func (c checksum) short() string { return hex.EncodeToString(c[:4]) + "…" }

func sumOf(h hash.Hash) (c checksum) {
	h.Sum(c[:0])
	return c
}

// sendTo writes the sample to w and returns its checksum.
func (s *sample) sendTo(w io.Writer) (checksum, error) {
	r, err := s.open()
	if err != nil {
		return checksum{}, err
	}
	defer r.Close()
	hashed := newHashingReader(r)
	_, err = io.Copy(w, hashed)
	return hashed.sum(), err
}

// A hashingReader computes the checksum of what is read through it.
type hashingReader struct {
	io.Reader
	h hash.Hash
}

func newHashingReader(r io.Reader) *hashingReader {
	h := sha256.New()
	return &hashingReader{io.TeeReader(r, h), h}
}

func (r *hashingReader) sum() checksum { return sumOf(r.h) }

// receiveFrom reads r to its end and returns what it was.
func receiveFrom(r io.Reader, bar progress) (n int64, sum checksum, err error) {
	h := sha256.New()
	n, err = io.Copy(io.MultiWriter(h, bar), r)
	return n, sumOf(h), err
}
