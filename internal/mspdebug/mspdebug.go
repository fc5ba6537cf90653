// Package mspdebug reads the environment variable MSPDEBUG, a list of settings
// with commas between them. They are for tests and comparisons.
package mspdebug

import (
	"os"
	"strings"
	"sync"
)

// Published reports whether nodes and connections are to keep to the published
// protocols: MSPDEBUG=published=1.
var Published = sync.OnceValue(func() bool {
	for setting := range strings.SplitSeq(os.Getenv("MSPDEBUG"), ",") {
		if setting == "published=1" {
			return true
		}
	}
	return false
})
