package servald

import (
	"runtime"
	"strings"
	"testing"
)

func TestSocketName(t *testing.T) {
	root := "/"
	if runtime.GOOS == "linux" {
		root = "@"
	}
	for _, c := range []struct{ instance, variable, want string }{
		{"/var/x", "", "var/x/mdp.2.socket"},
		{"/var/x/", "/ignored", "var/x/mdp.2.socket"},
		{"", "/var/y", "var/y/mdp.2.socket"},
		{"/a/../b", "", "a/../b/mdp.2.socket"},
		{"", "", "usr/local/var/run/serval/mdp.2.socket"},
		{"/" + strings.Repeat("d", 93), "", strings.Repeat("d", 93) + "/mdp.2.socket"},
	} {
		t.Setenv(PathVariable, c.variable)
		got, err := SocketName(c.instance)
		if err != nil || got != root+c.want {
			t.Errorf("instance %q, %s=%q: got %q, %v, want %q", c.instance, PathVariable, c.variable, got, err, root+c.want)
		}
	}
	for _, bad := range []string{"var/x", ".", "/a\x00b", "/" + strings.Repeat("d", 94)} {
		if got, err := SocketName(bad); err == nil {
			t.Errorf("instance %q: got %q, want an error", bad, got)
		}
	}
}

func TestClientName(t *testing.T) {
	socket, err := SocketName("/var/x")
	if err != nil {
		t.Fatal(err)
	}
	got, err := ClientName(socket, "chat")
	if want := strings.Replace(socket, "mdp.2.socket", "mdp.client.chat.socket", 1); err != nil || got != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	for _, bad := range []string{"", "a/b", "a\x00", strings.Repeat("c", 100)} {
		if got, err := ClientName(socket, bad); err == nil {
			t.Errorf("client %q: got %q, want an error", bad, got)
		}
	}
}
