//go:build !darwin && !dragonfly && !freebsd && !linux && !netbsd && !openbsd && !windows

package mdpconn

import (
	"os"
	"runtime"
)

// keyFileModes says whether the system's file modes tell who may read a file.
const keyFileModes = runtime.GOOS == "aix" || runtime.GOOS == "illumos" || runtime.GOOS == "solaris"

// openKeyFlags are further flags for opening a key file: none here.
const openKeyFlags = 0

// lockKeyFile does nothing: there are no locks here that end with the process.
func lockKeyFile(*os.File) error { return nil }

// publishKeyFile puts the key file at path. The file given is to be closed
// instead of tmp.
func publishKeyFile(tmp *os.File, path string, id *Identity) (*os.File, error) {
	tmp.Close()
	return writeKeyFileInPlace(path, id)
}
