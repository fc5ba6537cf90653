//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package mdpconn

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// keyFileModes says whether the system's file modes tell who may read a file.
const keyFileModes = true

// openKeyFlags are further flags for opening a key file: no link is followed,
// and no pipe put in the file's place is waited for.
const openKeyFlags = unix.O_NOFOLLOW | unix.O_NONBLOCK

// lockKeyFile locks the file until it is closed. The error is ErrKeyFileInUse
// if it is locked already.
func lockKeyFile(f *os.File) error {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EWOULDBLOCK):
			return ErrKeyFileInUse
		}
		return err
	}
}

// publishKeyFile puts the finished file tmp at path, locked, in one step: it is
// locked first, and a link does not overwrite. The file given is to be closed
// instead of tmp.
func publishKeyFile(tmp *os.File, path string, id *Identity) (*os.File, error) {
	err := lockKeyFile(tmp)
	if err == nil {
		err = os.Link(tmp.Name(), path)
	}
	switch {
	case err == nil:
		syncDir(filepath.Dir(path))
		return tmp, nil
	case errors.Is(err, fs.ErrExist):
		tmp.Close()
		return nil, err
	}
	tmp.Close()
	f, err := writeKeyFileInPlace(path, id)
	if err == nil {
		syncDir(filepath.Dir(path))
	}
	return f, err
}

// syncDir writes a directory down to the disk, as far as the file system can:
// the file in it is whole either way.
func syncDir(dir string) {
	if d, err := os.Open(dir); err == nil {
		d.Sync()
		d.Close()
	}
}
