package mdpconn

import (
	"os"
	"strings"
	"sync"
)

// debugPublished reports whether the environment wants every node to keep to the
// published protocol: MSPDEBUG=published=1. It is for tests and comparisons.
var debugPublished = sync.OnceValue(func() bool {
	for knob := range strings.SplitSeq(os.Getenv("MSPDEBUG"), ",") {
		if knob == "published=1" {
			return true
		}
	}
	return false
})
