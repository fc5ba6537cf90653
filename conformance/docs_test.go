package conformance

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// docTest is the name of a test, a fuzz target or a benchmark in a text.
var docTest = regexp.MustCompile(`\b(?:Test|Fuzz|Benchmark)[A-Z][A-Za-z0-9_]*`)

// TestDocsNameTests: every test that a text of the module names exists.
func TestDocsNameTests(t *testing.T) {
	texts := []string{filepath.Join(module, "README.md"), filepath.Join("bench", "README.md")}
	docs, err := filepath.Glob(filepath.Join(module, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	exists, named := tests(t), 0
	for _, path := range append(texts, docs...) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range docTest.FindAllString(string(b), -1) {
			named++
			if !exists[name] {
				t.Errorf("%s names %s, which does not exist", filepath.Base(path), name)
			}
		}
	}
	if named < 100 {
		t.Errorf("%d names were found; has their form changed?", named)
	}
}
