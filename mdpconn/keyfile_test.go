package mdpconn

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// seedA is the seed of an identity made by stock, and sidA its SID.
const seedA = "7a14963bc8f1844b7e7c2fbf827ea54ae5f2e4a94df95eb98739520c01136e55"

// identityA is the identity of seedA.
func identityA(t testing.TB) *Identity {
	t.Helper()
	seed, err := hex.DecodeString(seedA)
	if err != nil {
		t.Fatal(err)
	}
	id, err := IdentityFromSeed(seed)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// wantFiles fails unless the directory has these files, and no others.
func wantFiles(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("files %q, want %q", got, want)
	}
}

// writeFile writes a file with mode 0600 and gives its path.
func writeFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestKeyFileRoundTrip(t *testing.T) {
	base := t.TempDir()
	dir := filepath.Join(base, "new", "directory")
	path := filepath.Join(dir, "key")
	id := identityA(t)
	k, err := CreateKeyFile(path, id)
	if err != nil {
		t.Fatal(err)
	}
	if k.Identity() != id {
		t.Errorf("Identity() = %v, want the one given", k.Identity())
	}
	wantFiles(t, dir, "key")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"seed: " + seedA, "# SID: " + sidA} {
		if !strings.Contains("\n"+string(content), "\n"+line+"\n") {
			t.Errorf("the file has no line %q:\n%s", line, content)
		}
	}
	if keyFileModes {
		for p, want := range map[string]fs.FileMode{path: 0o600, dir: 0o700, filepath.Dir(dir): 0o700} {
			info, err := os.Stat(p)
			if err != nil || info.Mode().Perm() != want {
				t.Errorf("mode of %s: %v, %v, want %v", p, info.Mode().Perm(), err, want)
			}
		}
	}
	if err := k.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := k.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("the second Close: %v, want os.ErrClosed", err)
	}

	again, err := OpenKeyFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if again.Identity().SID().String() != sidA {
		t.Errorf("read back %v, want %s", again.Identity(), sidA)
	}
}

func TestKeyFileIsLockedWhileOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	k, err := CreateKeyFile(path, identityA(t))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // as created, and as opened
		_, err := OpenKeyFile(path)
		if !errors.Is(err, ErrKeyFileInUse) {
			t.Errorf("OpenKeyFile of an open file: %v, want ErrKeyFileInUse", err)
		}
		wantError(t, "OpenKeyFile", err, "end the program that uses it, or use another key file")
		if id, err := ReadKeyFile(path); err != nil || id.SID().String() != sidA {
			t.Errorf("ReadKeyFile of an open file = %v, %v, want its identity", id, err)
		}
		k.Close()
		if k, err = OpenKeyFile(path); err != nil {
			t.Fatalf("OpenKeyFile after Close: %v", err)
		}
	}
	k.Close()
}

// keyFileHelper names, for a second process, the file to open.
const keyFileHelper = "MDPCONN_TEST_KEY_FILE"

func TestKeyFileIsLockedForOtherProcesses(t *testing.T) {
	if path := os.Getenv(keyFileHelper); path != "" { // this is the other process
		k, err := OpenKeyFile(path)
		fmt.Printf("in use: %v\n", errors.Is(err, ErrKeyFileInUse))
		if err == nil {
			k.Close()
		}
		return
	}
	path := filepath.Join(t.TempDir(), "key")
	k, err := CreateKeyFile(path, identityA(t))
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	for _, want := range []string{"in use: true\n", "in use: false\n"} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKeyFileIsLockedForOtherProcesses$")
		cmd.Env = append(os.Environ(), keyFileHelper+"="+path)
		out, err := cmd.CombinedOutput()
		if err != nil || !bytes.Contains(out, []byte(want)) {
			t.Errorf("the other process says %q, %v; want %q", out, err, want)
		}
		k.Close()
	}
}

func TestCreateKeyFileNeverOverwrites(t *testing.T) {
	for what, obstruct := range map[string]func(path string) error{
		"a file":          func(path string) error { return os.WriteFile(path, []byte("precious"), 0o600) },
		"a directory":     func(path string) error { return os.Mkdir(path, 0o700) },
		"a link":          func(path string) error { return os.Symlink("somewhere", path) },
		"a link to a dir": func(path string) error { return os.Symlink(".", path) },
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "key")
		if err := obstruct(path); err != nil {
			t.Logf("%s not made here: %v", what, err)
			continue
		}
		k, err := CreateKeyFile(path, identityA(t))
		if !errors.Is(err, fs.ErrExist) || k != nil {
			t.Errorf("CreateKeyFile over %s = %v, %v, want fs.ErrExist", what, k, err)
		}
		wantError(t, "CreateKeyFile over "+what, err, "not overwritten")
		wantFiles(t, dir, "key")
		if b, err := os.ReadFile(path); what == "a file" && string(b) != "precious" {
			t.Errorf("CreateKeyFile left %q, %v", b, err)
		}
	}
}

func TestCreateKeyFileWithoutDirectory(t *testing.T) {
	file := writeFile(t, "no directory")
	_, err := CreateKeyFile(filepath.Join(file, "key"), identityA(t))
	wantError(t, "CreateKeyFile below a file", err, "no directory")
}

// The way taken where there are no hard links.
func TestWriteKeyFileInPlace(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "key")
	f, err := writeKeyFileInPlace(path, identityA(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenKeyFile(path); !errors.Is(err, ErrKeyFileInUse) {
		t.Errorf("OpenKeyFile: %v, want ErrKeyFileInUse", err)
	}
	f.Close()
	if id, err := ReadKeyFile(path); err != nil || id.SID().String() != sidA {
		t.Errorf("ReadKeyFile = %v, %v", id, err)
	}
	if _, err := writeKeyFileInPlace(path, identityA(t)); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second time: %v, want fs.ErrExist", err)
	}
	wantFiles(t, dir, "key")
}

func TestOpenKeyFileMissing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	for _, err := range openErrors(path) {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("error %v, want fs.ErrNotExist", err)
		}
		wantError(t, "a missing file", err, path)
	}
}

// openErrors gives the errors of both ways to open a file.
func openErrors(path string) [2]error {
	k, openErr := OpenKeyFile(path)
	if openErr == nil {
		k.Close()
	}
	_, readErr := ReadKeyFile(path)
	return [2]error{openErr, readErr}
}

func TestOpenKeyFileRefusesOpenModes(t *testing.T) {
	if !keyFileModes {
		t.Skip("file modes do not tell who may read a file here")
	}
	path := filepath.Join(t.TempDir(), "my key")
	if err := os.WriteFile(path, []byte(seedA), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		mode fs.FileMode
		good bool
	}{{0o600, true}, {0o400, true}, {0o700, true}, {0o640, false}, {0o604, false}, {0o620, false}, {0o602, false}, {0o610, false}, {0o666, false}} {
		if err := os.Chmod(path, test.mode); err != nil {
			t.Fatal(err)
		}
		for _, err := range openErrors(path) {
			if test.good {
				if err != nil {
					t.Errorf("mode %v: %v", test.mode, err)
				}
				continue
			}
			wantError(t, fmt.Sprintf("mode %v", test.mode), err, fmt.Sprintf("mode %04o", uint32(test.mode)))
			wantError(t, fmt.Sprintf("mode %v", test.mode), err, "run chmod 600 '"+path+"'")
		}
	}
}

func TestOpenKeyFileRefusesLinks(t *testing.T) {
	path := writeFile(t, seedA)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(path, link); err != nil {
		t.Skipf("no symbolic links here: %v", err)
	}
	for _, err := range openErrors(link) {
		wantError(t, "a link", err, "is a symbolic link")
	}
	for _, err := range openErrors(t.TempDir()) {
		wantError(t, "a directory", err, "no regular file")
	}
}

func TestParseKeyFile(t *testing.T) {
	for _, content := range []string{
		seedA,
		seedA + "\n",
		strings.ToUpper(seedA) + "\r\n",
		"seed: " + seedA + "\n",
		"seed:" + seedA,
		"# a comment\n\n   # another\n\tseed:   " + seedA + "  \r\n\r\n# the end",
		string(appendKeyFile(nil, identityA(t))),
	} {
		seed, err := parseKeyFile([]byte(content))
		if err != nil || hex.EncodeToString(seed[:]) != seedA {
			t.Errorf("parseKeyFile(%q) = %x, %v", content, seed, err)
		}
		if id, err := ReadKeyFile(writeFile(t, content)); err != nil || id.SID().String() != sidA {
			t.Errorf("ReadKeyFile of %q = %v, %v", content, id, err)
		}
	}
}

func TestParseKeyFileRefuses(t *testing.T) {
	for _, test := range []struct{ content, wantInError string }{
		{"", "has no seed"},
		{"# nothing\n", "has no seed"},
		{seedA[1:], "bad line 1"},
		{"\n\nseed: " + seedA + "00", "bad line 3"},
		{"# x\nseed: " + seedA[1:] + "g", "bad digit in line 2"},
		{seedA + "\nseed: " + seedA, "after the seed of line 1, in line 2"},
		{seedA + "\nanything", "after the seed of line 1, in line 2"},
		{"Seed: " + seedA, "bad line 1"},
		{"seed: seed: " + seedA, "bad line 1"},
		{"seed " + seedA, "bad line 1"},
		{seedA[:32] + " " + seedA[32:], "bad line 1"},
		{string(make([]byte, 64)), "bad digit in line 1"},
		{strings.Repeat("#\n", 3000) + seedA, "longer than 4096 bytes"},
	} {
		path := writeFile(t, test.content)
		for _, err := range openErrors(path) {
			wantError(t, fmt.Sprintf("%q", test.content), err, test.wantInError)
			wantError(t, fmt.Sprintf("%q", test.content), err, path)
			if err != nil && strings.Contains(err.Error(), seedA[1:9]) {
				t.Errorf("the error shows the seed: %v", err)
			}
		}
	}
}

func TestShellQuote(t *testing.T) {
	for in, want := range map[string]string{
		"/home/me/key-1_a.txt": "/home/me/key-1_a.txt",
		"my key":               "'my key'",
		"it's":                 `'it'\''s'`,
		"$(x)":                 "'$(x)'",
	} {
		if got := shellQuote(in); got != want {
			t.Errorf("shellQuote(%q) = %s, want %s", in, got, want)
		}
	}
}

func FuzzKeyFile(f *testing.F) {
	f.Add([]byte(seedA))
	f.Add([]byte("# comment\nseed: " + seedA + "\n"))
	f.Add([]byte("seed: " + seedA + "\n" + seedA))
	f.Add([]byte("\r\n#\r\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		seed, err := parseKeyFile(content)
		if err != nil {
			if s := err.Error(); strings.ContainsAny(s, "\r\n") || len(s) > 200 || !strings.Contains(s, "expected") {
				t.Errorf("error %q, want one short line with what was expected", s)
			}
			return
		}
		if !bytes.Contains(bytes.ToLower(content), []byte(hex.EncodeToString(seed[:]))) {
			t.Errorf("seed %x is not in %q", seed, content)
		}
		id, err := IdentityFromSeed(seed[:])
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseKeyFile(appendKeyFile(nil, id))
		if err != nil || again != seed {
			t.Errorf("what is written reads back as %x, %v, want %x", again, err, seed)
		}
	})
}
