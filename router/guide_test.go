package router_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestGuide type-checks the program of docs/router.md.
func TestGuide(t *testing.T) {
	guide, err := os.ReadFile("../docs/router.md")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for name, language := range map[string]string{"main.go": "go", "page.html": "html"} {
		_, text, _ := strings.Cut(string(guide), "\n```"+language+"\n")
		text, _, found := strings.Cut(text, "\n```\n")
		if !found {
			t.Fatalf("the guide has no %s", name)
		}
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	program := filepath.Join(folder, "main.go")
	if b, err := exec.CommandContext(t.Context(), "go", "vet", program).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, b)
	}
	if b, err := exec.CommandContext(t.Context(), "gofmt", "-l", program).CombinedOutput(); err != nil || len(b) > 0 {
		t.Errorf("gofmt: %s, %v", b, err)
	}
}
