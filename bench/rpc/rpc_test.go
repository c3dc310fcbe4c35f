//go:build linux

package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"
)

// TestMain is also the servers' process.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "-serve" {
		main()
		return
	}
	os.Exit(m.Run())
}

// Every server answers, and the table has a line for each.
func TestCompare(t *testing.T) {
	var table bytes.Buffer
	if err := compare(&table, 1, 2, 10*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(table.String()), "\n")
	if len(lines) != 2+len(servers) {
		t.Fatalf("%s", &table)
	}
	for i, s := range servers {
		if !strings.HasPrefix(lines[2+i], "| "+s.name+" | ") {
			t.Errorf("line %q instead of %s's", lines[2+i], s.name)
		}
	}
}

// A reply that is another one's is an error, whatever envelope it has.
func TestCheck(t *testing.T) {
	for _, s := range servers {
		name := map[bool]string{false: `"data"`, true: `"result"`}[s.jsonRPC]
		right := `{"id":7,"type":"chat.post",` + name + `:{"room":"gophers","text":"good morning, everybody","n":7}}`
		if err := check(s, 7, []byte(right), []byte(right)); err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
		for _, wrong := range []string{
			strings.Replace(right, "7", "8", 1), strings.Replace(right, `"n":7`, `"n":8`, 1), strings.Replace(right, name, `"x"`, 1),
			strings.Replace(right, "}}", `},"error":{}}`, 1), "", "{}",
		} {
			if check(s, 7, []byte(right), []byte(wrong)) == nil {
				t.Errorf("%s: %s is taken for a reply", s.name, wrong)
			}
		}
	}
}
