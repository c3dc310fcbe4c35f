package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/tidewire/ws/conformance"
)

// column is one library in one role.
type column struct {
	peer, role string
	results    []conformance.Result
}

// rows are what the table counts together: the cases whose numbers begin so.
var rows = []struct{ prefix, name string }{
	{"1.", "1 framing"},
	{"2.", "2 pings and pongs"},
	{"3.", "3 reserved bits"},
	{"4.", "4 opcodes"},
	{"5.", "5 fragmentation"},
	{"6.4.", "6.4 failing fast on invalid UTF-8"},
	{"6.", "6 UTF-8, the others"},
	{"7.", "7 closing"},
	{"9.", "9 limits and performance"},
	{"10.", "10 automatic fragmentation"},
	{"12.", "12 compression, by data"},
	{"13.", "13 compression, by parameters"},
	{"X.1.", "X.1 masks and lengths"},
	{"X.2.", "X.2 unusual compressed messages"},
}

func markdown(columns []column) string {
	var b strings.Builder
	head, rule := []string{"cases"}, []string{"---"}
	for _, c := range columns {
		head, rule = append(head, c.peer+" "+c.role), append(rule, "---")
	}
	line := func(cells []string) { fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | ")) }
	line(head)
	line(rule)
	for _, row := range rows {
		cells := []string{row.name}
		for _, c := range columns {
			cells = append(cells, cell(c.results, row.prefix))
		}
		if slices.ContainsFunc(cells[1:], func(s string) bool { return s != "" }) {
			line(cells)
		}
	}
	return b.String()
}

// cell sums up the results of one row. A case counts once, by what it did, or by how it closed if only that was wrong.
func cell(results []conformance.Result, prefix string) string {
	count := map[string]int{}
	total := 0
	for _, r := range results {
		if !strings.HasPrefix(r.Case.ID, prefix) || prefix == "6." && strings.HasPrefix(r.Case.ID, "6.4.") {
			continue
		}
		total++
		switch {
		case r.Pass():
		case r.Behavior.Pass():
			count["closing "+strings.ToLower(string(r.BehaviorClose))]++
		default:
			count[strings.ToLower(string(r.Behavior))]++
		}
	}
	if total == 0 {
		return ""
	}
	if len(count) == 0 {
		return fmt.Sprintf("**%d OK**", total)
	}
	var parts []string
	for what, n := range count {
		parts = append(parts, fmt.Sprintf("%d %s", n, what))
		total -= n
	}
	slices.Sort(parts)
	return fmt.Sprintf("%d OK, %s", total, strings.Join(parts, ", "))
}

const begin, end = "<!-- table -->\n", "<!-- end of table -->\n"

// replaceTable puts the table between the markers in the file.
func replaceTable(name, table string) error {
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(b), begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		return fmt.Errorf("%s has no lines %q and %q", name, begin, end)
	}
	return os.WriteFile(name, []byte(before+begin+"\n"+table+"\n"+end+after), 0o644)
}
