package main

import (
	"bytes"
	"context"
	"io"
	"path/filepath"
	"strings"
	"testing"
)

// testSID is fit for connecting, but nobody's.
const testSID = "2121212121212121212121212121212121212121212121212121212121212121"

// runHere runs mspcat in this process.
func runHere(stdin string, args ...string) (status int, stdout, stderr string) {
	var out, err bytes.Buffer
	status = run(context.Background(), append([]string{"mspcat"}, args...), strings.NewReader(stdin), &out, &err)
	return status, out.String(), err.String()
}

// wantError runs mspcat with args, which has to fail with one line on stderr
// that contains what is said.
func wantError(t *testing.T, args []string, wantStatus int, said ...string) {
	t.Helper()
	status, stdout, stderr := runHere("", args...)
	if status != wantStatus {
		t.Errorf("%q: status %d, want %d", args, status, wantStatus)
	}
	if stdout != "" {
		t.Errorf("%q: stdout %q, want nothing", args, stdout)
	}
	if strings.Count(stderr, "\n") != 1 || !strings.HasPrefix(stderr, "mspcat: ") {
		t.Errorf("%q: stderr %q, want one line that begins with mspcat:", args, stderr)
	}
	for _, s := range said {
		if !strings.Contains(stderr, s) {
			t.Errorf("%q: stderr %q, want it to contain %q", args, stderr, s)
		}
	}
}

// Each mistake in the command line gives one line that names the value and what
// was expected.
func TestUsageErrors(t *testing.T) {
	const sid = testSID
	topBit := sid[:62] + "A1"
	lowOrder := "01" + strings.Repeat("0", 62)
	for _, test := range []struct {
		args string
		said []string
	}{
		{"", []string{"expected", "SID PORT", "--help"}},
		{"lisen 5000", []string{`"lisen"`, `expected "listen"`}},
		{"xyz", []string{`"xyz"`, "64 hexadecimal digits"}},
		{"xyz 5000", []string{`"xyz"`, "expected 64 hexadecimal digits"}},
		{sid, []string{sid, "expected SID PORT"}},
		{sid + " 5 6", []string{"3 arguments", "expected SID PORT"}},
		{"connect", []string{"0 arguments", "expected SID PORT"}},
		{"connect " + sid[1:] + " 5", []string{sid[1:], "63", "expected 64 hexadecimal digits"}},
		{"connect " + sid[1:] + "g 5", []string{sid[1:] + "g", "expected 64"}},
		{"connect " + topBit + " 5", []string{topBit, "top bit", "expected"}},
		{"connect " + lowOrder + " 5", []string{lowOrder, "low order", "expected"}},
		{"connect " + sid + " 0", []string{`"0"`, "expected", "1 to 2147483647"}},
		{"connect " + sid + " 2147483648", []string{`"2147483648"`, "1 to 2147483647"}},
		{"connect " + sid + " 0x10", []string{`"0x10"`, "1 to 2147483647"}},
		{"connect " + sid + ":http", []string{`"http"`, "1 to 2147483647"}},
		{"connect " + sid + "@1.2.3.4 5", []string{`"1.2.3.4"`, "expected HOST:PORT"}},
		{"connect " + sid + ":5@1.2.3.4:x", []string{`"x"`, "expected", "1 to 65535"}},
		{"connect " + sid + ":5@:4110", []string{`":4110"`, "expected HOST:PORT"}},
		{"connect " + sid + " 5 --peer 1.2.3.4:5", []string{"1.2.3.4:5", "expected udp:HOST:PORT"}},
		{"connect " + sid + " 5 --peer udp:1.2.3.4", []string{"udp:1.2.3.4", "expected HOST:PORT"}},
		{"connect " + sid + " 5 --peer udp:1.2.3.4:0", []string{"udp:1.2.3.4:0", "1 to 65535"}},
		{"connect " + sid + " 5 --bind 4110", []string{`"4110"`, "expected HOST:PORT"}},
		{"connect " + sid + " 5 --bind no.such.host.invalid:0", []string{`"no.such.host.invalid:0"`, "expected HOST:PORT of this host"}},
		{"connect " + sid + " 5 --interface eth0:cable", []string{"cable", "expected wifi, ethernet or radio"}},
		{"listen 5 --interface wlan0:wifi:0", []string{`"0"`, "expected a number from 1 to 65535"}},
		{"peers --interface 192.0.2.0/99", []string{"192.0.2.0/99", "expected one of IPv4"}},
		{"peers --interface eth[", []string{"eth[", "expected one such as eth*"}},
		{"peers --interface eth0 --bind :0", []string{"eth0:wifi", "--bind :0", "expected one of them"}},
		{"listen 5 --interface eth0:radio --via servald", []string{"eth0:radio", "expected no --interface"}},
		{"peers 5", []string{`"5"`, "expected no arguments"}},
		{"peers -w 0", []string{`"0"`, "above zero"}},
		{"connect " + sid + " 5 -w soon", []string{`"soon"`, "expected a duration"}},
		{"connect " + sid + " 5 -w -3s", []string{`"-3s"`, "above zero"}},
		{"connect " + sid + " 5 -w 0", []string{`"0"`, "above zero"}},
		{"connect " + sid + " 5 --color", []string{"--color", "see mspcat connect --help"}},
		{sid + " 5 -k", []string{"--keep-open", "expected -l"}},
		{sid + " 5 --silent", []string{"--silent", "expected -l"}},
		{"listen", []string{"0 arguments", "PORT"}},
		{"listen 5 6", []string{"2 arguments", "PORT"}},
		{"listen -1", []string{"-1"}},
		{"listen 99999999999999999999", []string{`"99999999999999999999"`, "1 to 2147483647"}},
		{"listen http", []string{`"http"`, "1 to 2147483647"}},
		{"listen 5 --bind 127.0.0.1:65536", []string{"127.0.0.1:65536", "0 to 65535"}},
		{"-l 5 -w 3", []string{"--wait 3s", "expected no --wait"}},
		{"key", []string{"expected new, show or import"}},
		{"key old", []string{`"old"`, "expected new, show or import"}},
		{"key show a b", []string{"2 arguments", "expected one FILE"}},
		{"key import", []string{"0 arguments", "FILE"}},
		{"key import file", []string{"stdin has 0 characters", "expected", "64 hexadecimal digits"}},
		{"try a b", []string{"2 arguments", "expected one FILE"}},
		{"try --size 0", []string{"--size 0", "expected 1"}},
		{"try --size much", []string{`"much"`}},
		{"version 2", []string{`"2"`, "expected no arguments"}},
		{"completion csh", []string{`"csh"`, "expected bash"}},
	} {
		wantError(t, strings.Fields(test.args), statusUsage, test.said...)
	}
}

// What is right but does not work gives one line too, and the other status.
func TestRuntimeErrors(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "no such file")
	const loopback = "127.0.0.1:0"
	for _, test := range []struct {
		args []string
		said []string
	}{
		{[]string{"key", "show", missing}, []string{missing, "mspcat key new '" + missing + "'"}},
		{[]string{"listen", "5", "-i", missing}, []string{missing, "does not exist"}},
		{[]string{"connect", testSID, "5", "-i", missing}, []string{missing, "does not exist"}},
		{[]string{"connect", testSID, "5", "--bind", "203.0.113.1:1"}, []string{"203.0.113.1:1"}},
		{[]string{"connect", testSID, "5", "--bind", loopback, "-w", "10ms"}, []string{testSID + ":5", "no answer in 10ms", "no known endpoint"}},
		{[]string{"try", missing}, []string{missing, "no such file"}},
		{[]string{"try", t.TempDir()}, []string{"no regular file", "expected"}},
	} {
		wantError(t, test.args, statusFailed, test.said...)
	}
}

func TestVersion(t *testing.T) {
	for _, arg := range []string{"version", "--version"} {
		status, stdout, stderr := runHere("", arg)
		if status != 0 || stderr != "" || !strings.HasPrefix(stdout, "mspcat ") || strings.Count(stdout, "\n") != 1 {
			t.Errorf("%s: status %d, stdout %q, stderr %q", arg, status, stdout, stderr)
		}
	}
}

// The value is in it once.
func TestInterfaceError(t *testing.T) {
	_, _, stderr := runHere("", "peers", "--interface", "eth0:cable")
	if strings.Count(stderr, "eth0:cable") != 1 {
		t.Errorf("stderr %q, want the value once", stderr)
	}
}

func TestHelpOfConnect(t *testing.T) {
	_, stdout, _ := runHere("", "connect", "--help")
	if !strings.Contains(stdout, "mspcat connect [flags] SID PORT | ") || strings.Count(stdout, "[flags]") != 1 {
		t.Errorf("the usage of connect does not tell of flags, once:\n%s", stdout)
	}
	const ignored = "a listener needs none and ignores it"
	if strings.Contains(stdout, ignored) {
		t.Errorf("the help of connect is about listeners:\n%s", stdout)
	}
	if _, stdout, _ = runHere("", "listen", "--help"); !strings.Contains(stdout, ignored) {
		t.Errorf("the help of listen does not tell that --peer has no effect:\n%s", stdout)
	}
}

func TestHelpTellsStatus(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"listen", "--help"}, {"connect", "--help"}} {
		status, stdout, _ := runHere("", args...)
		for _, want := range []string{"Exit status:", "acknowledged", "130", "interrupted"} {
			if status != 0 || !strings.Contains(stdout, want) {
				t.Errorf("%q: status %d, and %q not in %q", args, status, want, stdout)
			}
		}
	}
}

func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		status, stdout, stderr := runHere("", "completion", shell)
		if status != 0 || stderr != "" || !strings.Contains(stdout, "__complete") {
			t.Errorf("completion %s: status %d, %d bytes, stderr %q", shell, status, len(stdout), stderr)
		}
	}
	_, stdout, _ := runHere("", "__complete", "key", "")
	for _, want := range []string{"new", "show", "import"} {
		if !strings.Contains(stdout, want+"\t") {
			t.Errorf("the completion of key gives %q, without %s", stdout, want)
		}
	}
}

func TestStdoutOfCommandsFails(t *testing.T) {
	broken, w := io.Pipe()
	broken.Close()
	var stderr bytes.Buffer
	for _, args := range [][]string{{"mspcat", "version"}, {"mspcat", "try", "--size", "1"}} {
		status := run(context.Background(), args, strings.NewReader(""), w, &stderr)
		if status != statusFailed || !strings.Contains(stderr.String(), "stdout: ") {
			t.Errorf("%q: status %d, stderr %q", args, status, stderr.String())
		}
	}
}
