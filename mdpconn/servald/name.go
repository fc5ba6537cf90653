package servald

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

const (
	// PathVariable names the instance path of the daemon, in the environment.
	PathVariable = "SERVALINSTANCE_PATH"
	// DefaultPath is the run directory of a daemon that was built as it comes
	// (§1).
	DefaultPath = "/usr/local/var/run/serval"

	socketName  = "mdp.2.socket"
	maxSockPath = 107 // bytes of sun_path, less a NUL
)

// SocketName returns the name of the daemon's socket in the form that package
// net takes: on Linux "@" for an abstract name. instance is the instance path;
// if empty, what the environment says, else [DefaultPath]. The path is not
// canonicalised: client and daemon use the same spelling (§1).
func SocketName(instance string) (string, error) {
	if instance == "" {
		instance = os.Getenv(PathVariable)
	}
	if instance == "" {
		instance = DefaultPath
	}
	if !strings.HasPrefix(instance, "/") || strings.Contains(instance, "\x00") {
		return "", fmt.Errorf("servald: instance path %q is not absolute, expected one that begins with \"/\"", instance)
	}
	name := strings.TrimSuffix(instance, "/") + "/" + socketName
	if len(name) > maxSockPath {
		return "", fmt.Errorf("servald: socket name %q has %d bytes, at most %d fit", name, len(name), maxSockPath)
	}
	return localName(name), nil
}

// ClientName returns the name of a client's socket, beside the daemon's, in the
// form that package net takes. Bindings of a client that ended without releasing
// them belong to whoever has the same name (§4.1). client is a part of the name
// and has neither "/" nor NUL.
func ClientName(socket, client string) (string, error) {
	if client == "" || strings.ContainsAny(client, "/\x00") {
		return "", fmt.Errorf("servald: client name %q, expected one without \"/\"", client)
	}
	// In the root directory the name of an abstract socket has no "/" left.
	name := socket[:strings.LastIndexAny(socket, "/@")+1] + "mdp.client." + client + ".socket"
	if len(name) > maxSockPath {
		return "", fmt.Errorf("servald: socket name %q has %d bytes, at most %d fit", name, len(name), maxSockPath)
	}
	return name, nil
}

// localName makes an absolute path the name of a socket: on Linux its leading
// "/" gives way to a NUL, which package net writes as "@" (§1).
func localName(name string) string {
	if runtime.GOOS == "linux" {
		return "@" + name[1:]
	}
	return name
}
