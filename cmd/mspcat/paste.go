package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"mesh.example/msp/mspnet"
)

// connectLine returns the command that connects to a listener.
// Through which servald the other side goes is its own affair.
func (p *program) connectLine(to mspnet.Addr, by *via) string {
	line := fmt.Sprintf("%s connect %v %d", commandName(p.name), to.SID, to.Port)
	if to.UDP.IsValid() {
		line += " --peer " + shellQuote("udp:"+to.UDP.String())
	}
	if by.servald {
		line += " --via servald"
	}
	return line
}

// commandName returns what starts mspcat, which was called by name: the same,
// save for "go run", whose program is in a directory of its own that goes away.
func commandName(name string) string {
	dir := filepath.ToSlash(filepath.Dir(name))
	if strings.Contains(dir, "/go-build") && !strings.HasSuffix(name, ".test") {
		if _, err := os.Stat("cmd/mspcat/main.go"); err == nil {
			return "go run ./cmd/mspcat"
		}
		return "go run mesh.example/msp/cmd/mspcat"
	}
	return shellQuote(name)
}

// shellQuote quotes s for a shell, where need be.
func shellQuote(s string) string {
	for _, c := range s {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case strings.ContainsRune("/.-_:", c):
		case c == '\\' && runtime.GOOS == "windows": // a path's, and nothing to its shells
		default:
			return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
		}
	}
	return s
}
