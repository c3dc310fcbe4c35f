package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidewire/ws/conformance"
	"github.com/tidewire/ws/conformance/internal/peers"
)

// Libraries in wide use handle what this module's author did not think of; if the suite refused them here, it would be
// the suite that is wrong.
func TestOtherLibrariesPassTheBasics(t *testing.T) {
	o := conformance.Options{Cases: []string{"1.*", "2.*", "3.*", "4.*", "5.*", "7.*", "10.*"}, Patience: 30}
	for _, p := range peers.All() {
		if p.Name != "gorilla/websocket" && p.Name != "lxzan/gws" {
			continue
		}
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			columns, err := testPeer(t.Context(), p, o)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range columns {
				for _, r := range c.results {
					if !r.Pass() {
						t.Errorf("as a %s: %v", c.role, r)
					}
				}
			}
		})
	}
}

func TestCell(t *testing.T) {
	cases, err := conformance.Cases([]string{"6.[34].*"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var results []conformance.Result
	verdicts := [][2]conformance.Verdict{
		{conformance.OK, conformance.OK}, {conformance.OK, conformance.WrongCode}, // 6.3
		{conformance.Failed, conformance.Failed}, {conformance.Failed, conformance.OK}, // 6.4
		{conformance.NonStrict, conformance.OK}, {conformance.Informational, conformance.OK},
	}
	for i, c := range cases {
		results = append(results, conformance.Result{Case: c, Behavior: verdicts[i][0], BehaviorClose: verdicts[i][1]})
	}
	for prefix, want := range map[string]string{
		"6.": "1 OK, 1 closing wrong code", "6.4.": "1 OK, 1 non-strict, 2 failed", "7.": "",
	} {
		if got := cell(results, prefix); got != want {
			t.Errorf("%s: %q, want %q", prefix, got, want)
		}
	}
	if got := cell(results[:1], "6."); got != "**1 OK**" {
		t.Errorf("all OK: %q", got)
	}
}

func TestReplaceTable(t *testing.T) {
	name := filepath.Join(t.TempDir(), "README.md")
	if err := os.WriteFile(name, []byte("above\n"+begin+"old\n"+end+"below\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // a second time it finds its own table
		if err := replaceTable(name, markdown([]column{{peer: "p", role: "server"}})); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	s := string(b)
	if strings.Contains(s, "old") || !strings.Contains(s, "| cases | p server |") || !strings.HasPrefix(s, "above\n") || !strings.HasSuffix(s, "below\n") {
		t.Errorf("the file is\n%s", s)
	}
	if err := os.WriteFile(name, []byte("no markers"), 0o600); err != nil {
		t.Fatal(err)
	}
	if replaceTable(name, "") == nil {
		t.Error("missing markers are no error")
	}
}
