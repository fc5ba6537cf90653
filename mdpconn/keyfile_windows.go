package mdpconn

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// keyFileModes says whether the system's file modes tell who may read a file:
// on Windows the directory's access list does, and a file in the user's profile
// inherits that.
const keyFileModes = false

// openKeyFlags are further flags for opening a key file: none here.
const openKeyFlags = 0

// lockKeyFile locks the file until it is closed. The error is ErrKeyFileInUse
// if it is locked already. The lock is on a byte far behind the contents: locks
// are mandatory here, and ReadKeyFile must be able to read.
func lockKeyFile(f *os.File) error {
	behind := windows.Overlapped{OffsetHigh: 0x4000_0000}
	err := windows.LockFileEx(windows.Handle(f.Fd()),
		windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &behind)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return ErrKeyFileInUse
	}
	return err
}

// publishKeyFile puts the finished file tmp at path in one step, by a rename
// that does not overwrite, and locks it. The file given is to be closed instead
// of tmp.
func publishKeyFile(tmp *os.File, path string, id *Identity) (*os.File, error) {
	if err := tmp.Close(); err != nil {
		return nil, err
	}
	from, err := windows.UTF16PtrFromString(tmp.Name())
	if err != nil {
		return nil, err
	}
	to, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return nil, err
	}
	if err := windows.MoveFileEx(from, to, windows.MOVEFILE_WRITE_THROUGH); err != nil {
		return nil, &os.LinkError{Op: "rename", Old: tmp.Name(), New: path, Err: err}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := lockKeyFile(f); err != nil {
		f.Close()
		return nil, lockError(path, err)
	}
	return f, nil
}
