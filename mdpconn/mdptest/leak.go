// Package mdptest helps tests of what is built on MDP nodes.
package mdptest

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// Main runs the tests of a package, for its TestMain, and fails if a goroutine
// that this module or net/http started outlives them. Goroutines that are about
// to end get a second. It does not return.
func Main(m *testing.M) {
	code := m.Run()
	if code == 0 {
		if left := leftBehind(); left != "" {
			fmt.Fprintf(os.Stderr, "goroutines left behind by the tests:\n\n%s\n", left)
			code = 1
		}
	}
	os.Exit(code)
}

// leftBehind returns the stacks of these goroutines, without the caller's.
func leftBehind() string {
	var left []string
	for wait := time.Millisecond; wait < time.Second; wait *= 2 {
		buf := make([]byte, 4<<20)
		buf = buf[:runtime.Stack(buf, true)]
		left = left[:0]
		for _, stack := range strings.Split(string(buf), "\n\n")[1:] {
			if strings.Contains(stack, "mesh.example/msp") || strings.Contains(stack, "net/http") {
				left = append(left, stack)
			}
		}
		if len(left) == 0 {
			return ""
		}
		time.Sleep(wait)
	}
	return strings.Join(left, "\n\n")
}
