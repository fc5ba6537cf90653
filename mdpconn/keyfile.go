package mdpconn

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// ErrKeyFileInUse is what errors.Is finds in the error of opening a key file
// that is open already, in this process or another one.
var ErrKeyFileInUse = errors.New("key file in use")

// keyFileLimit is the longest key file read, in bytes. Implementation: room for
// comments.
const keyFileLimit = 4096

// A KeyFile is an open key file: the file on disk that holds an identity. It
// stays locked until Close, so that two nodes never are the same identity by
// mistake. Systems without file locks (neither Windows nor a BSD, Linux or
// macOS) do without.
//
// A key file is text: empty lines and lines that start with "#" say nothing;
// one line says "seed: " and the 64 hexadecimal digits of the seed. The 64
// digits alone will do.
type KeyFile struct {
	id *Identity
	f  *os.File // holds the lock; constant
}

// OpenKeyFile reads a key file and keeps it locked until Close. It is an error
// if the file is
//
//   - missing (errors.Is fs.ErrNotExist);
//   - open already (ErrKeyFileInUse);
//   - a symbolic link, or no regular file;
//   - readable or writable by others than its owner, where the system knows
//     file modes;
//   - malformed.
//
// No error contains any of the file's contents.
func OpenKeyFile(path string) (*KeyFile, error) {
	f, err := openKeyFile(path)
	if err != nil {
		return nil, err
	}
	if err := lockKeyFile(f); err != nil {
		f.Close()
		return nil, lockError(path, err)
	}
	id, err := readKeyFile(f, path)
	if err != nil {
		f.Close()
		return nil, err
	}
	return &KeyFile{id: id, f: f}, nil
}

// ReadKeyFile reads a key file as OpenKeyFile does, but neither locks it nor
// minds that it is locked: to show the SID of an identity, say.
func ReadKeyFile(path string) (*Identity, error) {
	f, err := openKeyFile(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readKeyFile(f, path)
}

// CreateKeyFile writes the identity to a new key file with mode 0600, which
// stays locked until Close. It makes missing directories, with mode 0700. It
// never overwrites: if there is anything at path the error is fs.ErrExist
// (errors.Is). The file appears at path with its whole contents or not at all,
// save on a file system that knows no hard links.
func CreateKeyFile(path string, id *Identity) (*KeyFile, error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("mdpconn: no directory for the key file: %w", err)
	}
	tmp, err := os.CreateTemp(dir, ".mdp-key-*.tmp") // with mode 0600
	if err != nil {
		return nil, fmt.Errorf("mdpconn: key file not created: %w", err)
	}
	defer os.Remove(tmp.Name())
	if err := writeKeyFile(tmp, id); err != nil {
		tmp.Close()
		return nil, fmt.Errorf("mdpconn: key file not written: %w", err)
	}
	f, err := publishKeyFile(tmp, path, id)
	if err != nil {
		if errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("mdpconn: key file %s is not overwritten: %w", path, fs.ErrExist)
		}
		return nil, fmt.Errorf("mdpconn: key file not created: %w", err)
	}
	return &KeyFile{id: id, f: f}, nil
}

// Identity gives the identity in the file. It outlives Close.
func (k *KeyFile) Identity() *Identity { return k.id }

// Close unlocks and closes the file. A second Close is an error (os.ErrClosed)
// and does no harm.
func (k *KeyFile) Close() error { return k.f.Close() }

// openKeyFile opens a key file for reading, if it is fit to hold a secret.
func openKeyFile(path string) (*os.File, error) {
	before, err := os.Lstat(path)
	if err != nil {
		return nil, fmt.Errorf("mdpconn: key file not opened: %w", err)
	}
	if before.Mode()&fs.ModeSymlink != 0 {
		return nil, fmt.Errorf("mdpconn: key file %s is a symbolic link, expected the file itself", path)
	}
	if !before.Mode().IsRegular() {
		return nil, fmt.Errorf("mdpconn: key file %s is no regular file (%v), expected one", path, before.Mode())
	}
	f, err := os.OpenFile(path, os.O_RDONLY|openKeyFlags, 0)
	if err != nil {
		return nil, fmt.Errorf("mdpconn: key file not opened: %w", err)
	}
	info, err := f.Stat()
	switch {
	case err != nil:
		err = fmt.Errorf("mdpconn: key file not opened: %w", err)
	case !os.SameFile(before, info):
		err = fmt.Errorf("mdpconn: key file %s was replaced while it was opened: try again", path)
	case keyFileModes && info.Mode().Perm()&0o077 != 0:
		err = fmt.Errorf("mdpconn: key file %s is open to others than its owner (mode %04o), expected 0600: run chmod 600 %s",
			path, info.Mode().Perm(), shellQuote(path))
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// readKeyFile reads the identity in an open key file.
func readKeyFile(f io.Reader, path string) (*Identity, error) {
	b, err := io.ReadAll(io.LimitReader(f, keyFileLimit+1))
	if err != nil {
		return nil, fmt.Errorf("mdpconn: key file not read: %w", err)
	}
	seed, err := parseKeyFile(b)
	clear(b)
	if err != nil {
		return nil, fmt.Errorf("mdpconn: key file %s %w", path, err)
	}
	return IdentityFromSeed(seed[:])
}

// parseKeyFile finds the seed in the contents of a key file. Errors read on
// after the name of the file, and quote nothing.
func parseKeyFile(b []byte) (seed [SeedSize]byte, err error) {
	if len(b) > keyFileLimit {
		return seed, fmt.Errorf("is longer than %d bytes, expected a comment and a seed", keyFileLimit)
	}
	found := 0 // the line, from 1
	for i, line := range bytes.Split(b, []byte("\n")) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		if found != 0 {
			return seed, fmt.Errorf("has something after the seed of line %d, in line %d, expected one seed", found, i+1)
		}
		if rest, ok := bytes.CutPrefix(line, []byte("seed:")); ok {
			line = bytes.TrimSpace(rest)
		}
		if len(line) != hex.EncodedLen(SeedSize) {
			return seed, fmt.Errorf("has a bad line %d, expected \"seed: \" and %d hexadecimal digits",
				i+1, hex.EncodedLen(SeedSize))
		}
		if _, err := hex.Decode(seed[:], line); err != nil {
			return seed, fmt.Errorf("has a bad digit in line %d, expected \"seed: \" and %d hexadecimal digits",
				i+1, hex.EncodedLen(SeedSize))
		}
		found = i + 1
	}
	if found == 0 {
		return seed, fmt.Errorf("has no seed, expected a line of \"seed: \" and %d hexadecimal digits",
			hex.EncodedLen(SeedSize))
	}
	return seed, nil
}

// appendKeyFile appends the contents of the identity's key file to b.
func appendKeyFile(b []byte, id *Identity) []byte {
	return fmt.Appendf(b, "# Serval MDP identity. The seed is its secret: keep this file to yourself.\n"+
		"# SID: %v\nseed: %x\n", id.sid, id.secret.seed)
}

// writeKeyFile writes a key file down to the disk.
func writeKeyFile(f *os.File, id *Identity) error {
	b := appendKeyFile(nil, id)
	defer clear(b)
	if keyFileModes {
		if err := f.Chmod(0o600); err != nil {
			return err
		}
	}
	if _, err := f.Write(b); err != nil {
		return err
	}
	return f.Sync()
}

// writeKeyFileInPlace writes a key file at its final path, where a file cannot
// be put there in one step. It does not overwrite either.
func writeKeyFileInPlace(path string, id *Identity) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	if err = lockKeyFile(f); err == nil {
		err = writeKeyFile(f, id)
	}
	if err != nil {
		f.Close()
		os.Remove(path)
		return nil, err
	}
	return f, nil
}

// lockError is the error for a key file that could not be locked.
func lockError(path string, err error) error {
	if errors.Is(err, ErrKeyFileInUse) {
		return fmt.Errorf("mdpconn: key file %s is in use: end the program that uses it, or use another key file: %w",
			path, ErrKeyFileInUse)
	}
	return fmt.Errorf("mdpconn: key file %s not locked: %w", path, err)
}

// shellQuote quotes a path for the command in an error message, where need be.
func shellQuote(path string) string {
	for _, c := range path {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '/', c == '.', c == '-', c == '_':
		default:
			return "'" + string(bytes.ReplaceAll([]byte(path), []byte("'"), []byte(`'\''`))) + "'"
		}
	}
	return path
}
