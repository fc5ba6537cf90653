package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"mesh.example/msp/mdpconn"
)

func TestListenKeepsIdentity(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	args := []string{"listen", "5000", "--bind", "127.0.0.1:0"}
	first := startIn(t, home, os.Args[0], args...)
	sid := strings.Fields(first.waitLine(" connect "))[2]

	second := startIn(t, home, os.Args[0], args...)
	second.wantStatus("the key file is in use", 1)
	for _, want := range []string{"is in use", "-i KEYFILE", filepath.Join("mspcat", "identity")} {
		second.waitLine(want)
	}
	show := startIn(t, home, os.Args[0], "key", "show")
	wantBytes(t, "key show works meanwhile", show.readAll(), []byte(sid+"\n"))

	path := findKey(t, home)
	if runtime.GOOS != "windows" {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("the key file has mode %v, want 0600", info.Mode())
		}
	}
	interrupt(t, first)
	first.wantStatus("interrupted", 130)

	third := startIn(t, home, os.Args[0], args...)
	if again := strings.Fields(third.waitLine(" connect "))[2]; again != sid {
		t.Errorf("the second time the SID is %s, the first time it was %s", again, sid)
	}
}

// findKey returns the key file below a home directory.
func findKey(t *testing.T, home string) (path string) {
	t.Helper()
	filepath.WalkDir(home, func(p string, d os.DirEntry, err error) error {
		if err == nil && d.Name() == "identity" {
			path = p
		}
		return nil
	})
	if path == "" {
		t.Fatal("no key file")
	}
	return path
}

func TestKeyFileOfOthersRefused(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no file modes")
	}
	path := filepath.Join(t.TempDir(), "key")
	if status, stdout, stderr := runHere("", "key", "new", path); status != 0 || len(stdout) != 65 {
		t.Fatalf("key new: status %d, stdout %q, stderr %q", status, stdout, stderr)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"key", "show", path},
		{"listen", "5000", "-i", path},
		{"connect", testSID, "5000", "-i", path},
	} {
		wantError(t, args, 1, path, "0640", "0600", "chmod 600 "+path)
	}
}

func TestConnectUsesIdentity(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key")
	_, sid, _ := runHere("", "key", "new", path)
	l, command := listen(t, "-v")
	c := connect(t, command, "-i", path)
	if got := l.waitLine("msg=accepted"); !strings.Contains(got, strings.TrimSpace(sid)) {
		t.Errorf("accepted %q, want the identity %s", got, sid)
	}
	c.give(nil)
	l.give(nil)
	c.wantStatus("both ended in order", 0)
}

func TestKeyImport(t *testing.T) {
	seed := strings.Repeat("0123456789abcdef", 4)
	path := filepath.Join(t.TempDir(), "key")
	status, imported, stderr := runHere(seed+"\n", "key", "import", path)
	if status != 0 {
		t.Fatalf("status %d: %s", status, stderr)
	}
	_, shown, _ := runHere("", "key", "show", path)
	id, err := mdpconn.ReadKeyFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := id.SID().String() + "\n"; imported != want || shown != want {
		t.Errorf("imported %q, shown %q, want %q", imported, shown, want)
	}
	if again, err := mdpconn.IdentityFromSeed([]byte("\x01\x23\x45\x67\x89\xab\xcd\xef" + strings.Repeat("\x01\x23\x45\x67\x89\xab\xcd\xef", 3))); err != nil || again.SID() != id.SID() {
		t.Errorf("the identity is not that of the seed (%v)", err)
	}

	// It never overwrites, and no error shows the seed.
	for _, stdin := range []string{seed, seed[:62], seed + "00", seed[:63] + "g"} {
		status, stdout, stderr := runHere(stdin, "key", "import", path)
		if status == 0 || stdout != "" || !strings.Contains(stderr, "expected") && !strings.Contains(stderr, "exists") {
			t.Errorf("%d digits: status %d, stdout %q, stderr %q", len(stdin), status, stdout, stderr)
		}
		if strings.Contains(stderr, seed[:8]) {
			t.Errorf("the seed shows in %q", stderr)
		}
	}
}

func TestKeyNewDoesNotOverwrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dir", "key")
	_, sid, _ := runHere("", "key", "new", path)
	wantError(t, []string{"key", "new", path}, 1, path, "exists")
	if _, again, _ := runHere("", "key", "show", path); again != sid {
		t.Errorf("the SID is %q, want %q", again, sid)
	}
}
