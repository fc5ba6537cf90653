package conformance

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// module is the root of the module, seen from this package.
const module = ".."

// exempt are the sentences of docs/protocol.md that need no test of their own,
// and why.
var exempt = map[string]string{
	"MSP-6.2.7": "it is about the node that talks to a stock daemon, which this module does not have yet",
}

var (
	definition = regexp.MustCompile(`(?m)^[-*] \*\*\[(MSP-[0-9]+(?:\.[0-9]+)+)\]\*\*`)
	citation   = regexp.MustCompile(`MSP-[0-9]+(?:\.[0-9]+)+`)
)

// TestRequirements: every numbered sentence of docs/protocol.md is cited by a
// test somewhere in the module, unless it is exempt; and no test cites one that
// does not exist.
func TestRequirements(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(module, "docs", "protocol.md"))
	if err != nil {
		t.Fatal(err)
	}
	defined := make(map[string]bool)
	for _, m := range definition.FindAllStringSubmatch(string(text), -1) {
		if defined[m[1]] {
			t.Errorf("docs/protocol.md defines %s twice", m[1])
		}
		defined[m[1]] = true
	}
	if len(defined) == 0 {
		t.Fatal("docs/protocol.md defines no sentence; has its format changed?")
	}
	for _, id := range citation.FindAllString(string(text), -1) {
		if !defined[id] {
			t.Errorf("docs/protocol.md refers to %s, which it does not define", id)
		}
	}
	cited := citations(t)
	for id, files := range cited {
		if !defined[id] {
			t.Errorf("%s: cites %s, which docs/protocol.md does not define", strings.Join(files, ", "), id)
		}
	}
	var missing []string
	for _, id := range slices.Sorted(maps.Keys(defined)) {
		if cited[id] == nil && exempt[id] == "" {
			missing = append(missing, id)
		}
	}
	if missing != nil {
		t.Errorf("%d of %d sentences of docs/protocol.md have no test: %s", len(missing), len(defined), strings.Join(missing, " "))
	}
	for id, why := range exempt {
		if !defined[id] || cited[id] != nil || len(why) < 20 {
			t.Errorf("%s is exempt (%q), but defined: %v, cited by %v", id, why, defined[id], cited[id])
		}
	}
}

// citations gives the test files that cite each sentence; this one does not
// count.
func citations(t *testing.T) map[string][]string {
	cited := make(map[string][]string)
	err := filepath.WalkDir(module, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") || filepath.Base(path) == "requirements_test.go" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, id := range citation.FindAllString(string(text), -1) {
			if name := filepath.ToSlash(path); !slices.Contains(cited[id], name) {
				cited[id] = append(cited[id], name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return cited
}
