package report_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/tidewire/ws/bench/report"
)

func TestTable(t *testing.T) {
	table := report.Table{
		Title: "Echo", Unit: "µs", Scale: 1000, Ratios: true, Versus: true, Baseline: "a",
		Columns: []report.Column{{Name: "us", Ours: true}, {Name: "a", Peer: true}, {Name: "b", Peer: true}, {Name: "floor"}, {Name: "away", Peer: true}},
		Rows: []report.Row{
			{Name: "small", Samples: map[string][]float64{
				"us": {5000, 6000}, "a": {10000, 12000}, "b": {8000, 9600}, "floor": {400, 480},
			}},
			{Name: "often", Samples: map[string][]float64{
				"us": {57, 55, 54, 50, 45, 48, 52}, "a": {100, 100, 100, 100, 100, 100, 100}, "b": {200, 210, 200, 200, 200, 200, 190},
			}},
			{Name: "large", Samples: map[string][]float64{"us": {100}, "b": {400}},
				Errors: map[string]error{"floor": errors.New("broke")}},
		},
	}
	want := `### Echo

| workload | us | a | b | floor | us / best Go peer | 95 % |
| :-- | --: | --: | --: | --: | --: | --: |
| small | 0.50 | 11.0 µs | 0.80 | 0.040 | 0.62 (b) | – |
| often | 0.52 | 0.10 µs | 2.00 | – | 0.52 [0.45, 0.57] (a) | ±8 % |
| large | 0.10 µs | – | 0.40 µs | failed | 0.25 (b) | – |

`
	var got strings.Builder
	if err := table.Write(&got); err != nil {
		t.Fatal(err)
	}
	if got.String() != want {
		t.Errorf("got\n%s\nwant\n%s", got.String(), want)
	}
}

func TestTableOfFigures(t *testing.T) {
	table := report.Table{
		Title: "Memory", Scale: 1000, Baseline: "a",
		Columns: []report.Column{{Name: "a", Peer: true}, {Name: "b", Peer: true}},
		Rows:    []report.Row{{Name: "idle", Samples: map[string][]float64{"a": {17900}, "b": {104000}}}},
	}
	var got strings.Builder
	if err := table.Write(&got); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(got.String(), "| idle | 17.9 | 104 |\n") {
		t.Errorf("got\n%s", got.String())
	}
}
