package ws_test

import (
	"go/build"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const modulePath = "github.com/tidewire/ws"

type layer struct {
	of  string
	may []string
}

// layers says which packages of this module a package may import; the first
// line that fits it counts. A pattern with /... means everything below as well.
// External tests may import what they like.
var layers = []layer{
	{"internal/...", []string{"internal/..."}},
	{"codec/...", []string{"codec/..."}},
	{"conn", []string{"codec", "internal/..."}},
	{".", []string{"codec", "conn", "internal/..."}},
	{"wstest", []string{".", "codec", "conn"}},
	{"middleware", []string{".", "internal/upgrade", "internal/handshake"}},
	{"router/schema", []string{"codec"}},
	{"router", []string{".", "codec", "conn", "router/schema", "internal/..."}},
	{"hub/brokertest", []string{".", "codec", "conn", "hub", "router/...", "wstest"}},
	{"hub/...", []string{".", "codec", "conn", "router/...", "hub/...", "internal/..."}},
	{"examples/...", []string{".", "codec", "conn", "middleware", "router/...", "hub/...", "wstest", "examples/..."}},
}

// dependencies says which packages need another module.
var dependencies = []struct{ of, module string }{
	{"internal/deflate", "github.com/klauspost/compress"},
	{"middleware", "golang.org/x/time"},
	{"examples/...", "github.com/go-chi/chi"},
	{"examples/...", "golang.org/x/time"},
}

func TestImportDirection(t *testing.T) {
	for _, im := range moduleImports(t) {
		inside, ours := strings.CutPrefix(im.path, modulePath)
		if !ours {
			continue
		}
		inside = cleanPath(inside)
		if at := slices.IndexFunc(layers, func(l layer) bool { return fits(im.pkg, l.of) }); at < 0 {
			t.Errorf("%s: the package %s is in no layer", im.file, im.pkg)
		} else if !slices.ContainsFunc(layers[at].may, func(p string) bool { return fits(inside, p) }) {
			t.Errorf("%s: %s must not import %s", im.file, im.pkg, inside)
		}
	}
}

func TestDependencies(t *testing.T) {
	for _, im := range moduleImports(t) {
		if isStandard(im.path) || strings.HasPrefix(im.path, modulePath) || strings.HasSuffix(im.file, "_test.go") {
			continue
		}
		allowed := slices.ContainsFunc(dependencies, func(d struct{ of, module string }) bool {
			return fits(im.pkg, d.of) && strings.HasPrefix(im.path+"/", d.module+"/")
		})
		if !allowed {
			t.Errorf("%s: %s must not import %s", im.file, im.pkg, im.path)
		}
	}
}

// TestConnKnowsNoHTTP: a connection can stand on anything, and a program that
// carries websockets over something else doesn't link an HTTP server.
func TestConnKnowsNoHTTP(t *testing.T) {
	imports := map[string][]string{}
	for _, im := range moduleImports(t) {
		if !strings.HasSuffix(im.file, "_test.go") {
			imports[im.pkg] = append(imports[im.pkg], im.path)
		}
	}
	seen := map[string]bool{}
	var visit func(path string, chain []string)
	visit = func(path string, chain []string) {
		if chain = append(chain, path); path == "net/http" {
			t.Errorf("conn imports net/http: %s", strings.Join(chain, " > "))
		}
		if seen[path] {
			return
		}
		seen[path] = true
		next := standardImports(path)
		if inside, ours := strings.CutPrefix(path, modulePath); ours {
			next = imports[cleanPath(inside)]
		}
		for _, p := range next {
			visit(p, slices.Clip(chain))
		}
	}
	visit(modulePath+"/conn", nil)
	for _, want := range []string{modulePath + "/internal/wire", "sync", "internal/race"} {
		if !seen[want] {
			t.Errorf("%s has not been looked at", want)
		}
	}
}

// moduleImport is one import of one file.
type moduleImport struct{ file, pkg, path string }

// moduleImports returns the imports of all files of this module but those of
// external tests. It reads the files itself: the results of a test that starts
// the go command are cached although the files have changed.
func moduleImports(t *testing.T) (all []moduleImport) {
	t.Helper()
	fset := token.NewFileSet()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != "." && isElsewhere(path):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go"):
			return nil
		}
		f, err := parser.ParseFile(fset, path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		if strings.HasSuffix(path, "_test.go") && strings.HasSuffix(f.Name.Name, "_test") {
			return nil
		}
		for _, spec := range f.Imports {
			p, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			all = append(all, moduleImport{filepath.ToSlash(path), filepath.ToSlash(filepath.Dir(path)), p})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// isElsewhere reports whether a folder is no part of this module.
func isElsewhere(path string) bool {
	name := filepath.Base(path)
	if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil {
		return true
	}
	return strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata" || name == "node_modules"
}

func cleanPath(p string) string {
	if p = strings.TrimPrefix(p, "/"); p == "" {
		return "."
	}
	return p
}

// fits reports whether a package is what a pattern means.
func fits(pkg, pattern string) bool {
	top, below := strings.CutSuffix(pattern, "/...")
	return pkg == top || below && strings.HasPrefix(pkg, top+"/")
}

func isStandard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}

// standardImports returns what a package of the standard library imports.
func standardImports(path string) []string {
	if !isStandard(path) || path == "C" || path == "unsafe" {
		return nil
	}
	p, err := build.Import(path, "", 0)
	if err != nil {
		return nil // vendored: no part of HTTP is
	}
	return p.Imports
}
