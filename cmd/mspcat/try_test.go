package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestTryFile(t *testing.T) {
	content := randomBytes(300_001)
	path := filepath.Join(t.TempDir(), "sample.bin")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(content)
	wantTry(t, []string{"try", path}, "sample.bin, 300001 bytes", hex.EncodeToString(sum[:4]))
}

func TestTryEmptyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wantTry(t, []string{"try", path}, "empty, 0 bytes", "e3b0c442")
}

func TestTryRandom(t *testing.T) {
	wantTry(t, []string{"try", "--size", "1"}, "1048576 bytes")
}

// wantTry runs a trial, of which all four ways and the round trip are to be
// told.
func wantTry(t *testing.T, args []string, said ...string) {
	t.Helper()
	status, stdout, stderr := runHere("", args...)
	if status != 0 || stderr != "" {
		t.Errorf("%q: status %d, stderr %q", args, status, stderr)
	}
	if n := strings.Count(stdout, " identical\n"); n != 4 {
		t.Errorf("%q: %d ways are identical, want 4", args, n)
	}
	for _, want := range append(said, "stream there", "stream back", "HTTP PUT", "HTTP GET", "round trip") {
		if !strings.Contains(stdout, want) {
			t.Errorf("%q: no %q in\n%s", args, want, stdout)
		}
	}
}

// A trial of which anything arrives damaged fails, and the table says where.
func TestTryTellsDamage(t *testing.T) {
	node, err := loopbackNode()
	if err != nil {
		t.Fatal(err)
	}
	defer node.Close()
	s, err := newSample(nil, 1)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	p := &program{stdout: &out}
	err = p.printTrial(&trial{sample: s, near: node, far: node}, []*result{
		{name: "good", sent: checksum{1}, got: checksum{1}},
		{name: "bad", sent: checksum{1}, got: checksum{2}},
		{name: "good again", sent: checksum{3}, got: checksum{3}},
	}, time.Millisecond)
	if !errors.Is(err, errDiffers) || exitStatus(err) != statusFailed {
		t.Errorf("the error is %v", err)
	}
	for _, line := range strings.Split(out.String(), "\n") {
		if strings.Contains(line, "DIFFERENT") != strings.HasPrefix(line, "bad") {
			t.Errorf("wrong verdict in %q", line)
		}
	}
}

func TestTryInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var out, stderr bytes.Buffer
	status := run(ctx, []string{"mspcat", "try", "--size", "1"}, strings.NewReader(""), &out, &stderr)
	if status != 130 || !strings.Contains(stderr.String(), "interrupted") || out.Len() > 0 {
		t.Errorf("status %d, stdout %q, stderr %q", status, out.String(), stderr.String())
	}
}
