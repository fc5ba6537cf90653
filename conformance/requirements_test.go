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

// exempt are the sentences of the texts that need no test of their own,
// and why.
var exempt = map[string]string{}

// texts are the protocols' texts, and what their sentences are called.
var texts = []struct{ name, ids string }{
	{"protocol.md", `MSP-[0-9]+`},
	{"extension.md", `MSX-[0-9]+`},
}

// TestRequirements: every numbered sentence of the protocols' texts is cited by a
// test somewhere in the module, unless it is exempt; and no test cites one that
// does not exist.
func TestRequirements(t *testing.T) {
	for _, text := range texts {
		t.Run(text.name, func(t *testing.T) { requirements(t, text.name, text.ids) })
	}
}

func requirements(t *testing.T, name, ids string) {
	citation := regexp.MustCompile(`\b` + ids + `(?:\.[0-9]+)+`)
	definition := regexp.MustCompile(`(?m)^[-*] \*\*\[(` + ids + `(?:\.[0-9]+)+)\]\*\*`)
	text, err := os.ReadFile(filepath.Join(module, "docs", name))
	if err != nil {
		t.Fatal(err)
	}
	defined := make(map[string]bool)
	for _, m := range definition.FindAllStringSubmatch(string(text), -1) {
		if defined[m[1]] {
			t.Errorf("docs/%s defines %s twice", name, m[1])
		}
		defined[m[1]] = true
	}
	if len(defined) == 0 {
		t.Fatalf("docs/%s defines no sentence; has its format changed?", name)
	}
	for _, id := range citation.FindAllString(string(text), -1) {
		if !defined[id] {
			t.Errorf("docs/%s refers to %s, which it does not define", name, id)
		}
	}
	cited := citations(t, citation)
	for id, files := range cited {
		if !defined[id] {
			t.Errorf("%s: cites %s, which docs/%s does not define", strings.Join(files, ", "), id, name)
		}
	}
	var missing []string
	for _, id := range slices.Sorted(maps.Keys(defined)) {
		if cited[id] == nil && exempt[id] == "" {
			missing = append(missing, id)
		}
	}
	if missing != nil {
		t.Errorf("%d of %d sentences of docs/%s have no test: %s", len(missing), len(defined), name, strings.Join(missing, " "))
	}
	for id, why := range exempt {
		if citation.FindString(id) != id {
			continue // of another text
		}
		if !defined[id] || cited[id] != nil || len(why) < 20 {
			t.Errorf("%s is exempt (%q), but defined: %v, cited by %v", id, why, defined[id], cited[id])
		}
	}
}

// citations gives the test files that cite each sentence; this one does not
// count.
func citations(t *testing.T, citation *regexp.Regexp) map[string][]string {
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
