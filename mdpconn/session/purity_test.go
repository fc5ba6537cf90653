package session

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// impure is what has no place in this package's sources.
var (
	impureImport = regexp.MustCompile(`^(sync|net|os|log|context|runtime|unsafe|syscall|math/rand|crypto/rand)(/|$)`)
	impureText   = regexp.MustCompile(`\btime\.(Now|After|AfterFunc|NewTimer|NewTicker|Tick|Sleep|Since|Until)\b|\n\t+go |\bchan\b`)
)

// Time and randomness are arguments; whoever calls has the locks and sockets.
func TestPurity(t *testing.T) {
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, name := range sources {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		n++
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, what := range impurities(t, string(src)) {
			t.Errorf("%s: %s", name, what)
		}
	}
	if n < 10 {
		t.Errorf("%d sources found", n)
	}
	const bad = "package p\nimport (\"sync/atomic\"; \"net\"; \"crypto/rand\"; \"network\")\nfunc f() {\n\tgo f()\n\t_ = time.Now()\n}"
	if got := impurities(t, bad); len(got) != 5 {
		t.Errorf("of five impurities %d are found: %q", len(got), got)
	}
}

func impurities(t *testing.T, src string) (found []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "", src, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	for _, imp := range file.Imports {
		if path, _ := strconv.Unquote(imp.Path.Value); impureImport.MatchString(path) {
			found = append(found, "imports "+path)
		}
	}
	return append(found, impureText.FindAllString(src, -1)...)
}
