package msp

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestPurity keeps the machine, its streams and its congestion controllers pure: no goroutine,
// no clock, no randomness, no lock, no I/O in any source but the tests.
func TestPurity(t *testing.T) {
	for _, dir := range []string{".", "../stream", "../cc"} {
		sources, err := filepath.Glob(filepath.Join(dir, "*.go"))
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
			for _, what := range impurities(t, name, string(src)) {
				t.Error(what)
			}
		}
		if n < 10 {
			t.Errorf("%d sources found in %s", n, dir)
		}
	}
}

// TestImpurities sees the check itself fail.
func TestImpurities(t *testing.T) {
	src := `package p
import ("sync"; "sync/atomic"; "net"; "net/netip"; "os"; "math/rand"; "math/rand/v2"; "log"; "log/slog"; "crypto/rand"; "syscall"; "context"
	"time"; clock "time")
func f() {
	go f()
	_ = time.Now
	time.After(1); time.AfterFunc(1, f); time.NewTimer(1); time.NewTicker(1); time.Tick(1); time.Sleep(1)
	time.Since(x); time.Until(x)
	_ = time.Second; x.Now(); x.Sub(x)
}`
	if got := impurities(t, "p.go", src); len(got) != 12+1+1+9 {
		t.Errorf("%d found, want 23:\n%s", len(got), strings.Join(got, "\n"))
	}
}

// pureImports are the packages below the machine, which are as pure.
var pureImports = []string{"mesh.example/msp/engine/stream", "mesh.example/msp/engine/cc"}

// impureImports are path prefixes.
var impureImports = []string{
	"sync", "net", "os", "io", "math/rand", "log", "crypto", "syscall", "context", "runtime", "unsafe", "golang.org", "mesh.example",
}

var impureTime = map[string]bool{
	"Now": true, "After": true, "AfterFunc": true, "NewTimer": true, "NewTicker": true, "Tick": true, "Sleep": true,
	"Since": true, "Until": true,
}

func impurities(t *testing.T, name, src string) (found []string) {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, src, 0)
	if err != nil {
		t.Fatal(err)
	}
	note := func(at token.Pos, what string) { found = append(found, fset.Position(at).String()+": "+what) }
	for _, imp := range file.Imports {
		path, _ := strconv.Unquote(imp.Path.Value)
		if slices.Contains(pureImports, path) {
			continue
		}
		for _, bad := range impureImports {
			if path == bad || strings.HasPrefix(path, bad+"/") {
				note(imp.Pos(), "imports "+path)
			}
		}
		if path == "time" && imp.Name != nil {
			note(imp.Pos(), "imports time under another name")
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			note(n.Pos(), "go statement")
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && impureTime[n.Sel.Name] {
				note(n.Pos(), "time."+n.Sel.Name)
			}
		}
		return true
	})
	return found
}
