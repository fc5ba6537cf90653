//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package mdpconn

import (
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// Opening a pipe for reading waits for a writer; a key file is not waited for.
func TestOpenKeyFileRefusesPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Skipf("no named pipes here: %v", err)
	}
	for _, err := range openErrors(path) {
		wantError(t, "a pipe", err, "no regular file")
	}
}
