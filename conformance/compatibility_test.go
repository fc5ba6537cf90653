package conformance

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	row      = regexp.MustCompile(`(?m)^\| ([A-Z][0-9]+) \|(.*)\|$`)
	testName = regexp.MustCompile("`(Test[A-Za-z0-9_]+)`")
	testFunc = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)[A-Za-z0-9_]+)\(`)
	caseName = regexp.MustCompile("(?m)^- `([a-z ]+)`")
)

// TestCompatibility: every row of docs/compatibility.md has an id of its own and
// names tests (that they exist is TestDocsNameTests), and every case that it says is
// run against a real servald exists.
func TestCompatibility(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(module, "docs", "compatibility.md"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	rows := row.FindAllStringSubmatch(text, -1)
	ids := map[string]bool{}
	for _, m := range rows {
		id, cells := m[1], strings.Split(m[2], "|")
		if ids[id] {
			t.Errorf("row %s is there twice", id)
		}
		ids[id] = true
		if len(cells) != 4 {
			t.Errorf("row %s has %d cells behind its id, want 4", id, len(cells))
			continue
		}
		if !testName.MatchString(cells[3]) {
			t.Errorf("row %s names no test", id)
		}
	}
	if len(rows) < 40 {
		t.Errorf("%d rows were found; has the format changed?", len(rows))
	}
	program, err := os.ReadFile(filepath.Join(module, "cmd", "mspcat", "realservald_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	cases := caseName.FindAllStringSubmatch(text, -1)
	if len(cases) == 0 {
		t.Error("no case is named")
	}
	for _, m := range cases {
		if !strings.Contains(string(program), `"`+m[1]+`"`) {
			t.Errorf("docs/compatibility.md names the case %q, which is not run against a real servald", m[1])
		}
	}
}

// tests gives the names of all tests, fuzz targets and benchmarks of the module.
func tests(t *testing.T) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	err := filepath.WalkDir(module, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range testFunc.FindAllStringSubmatch(string(text), -1) {
			all[m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
