package report

import (
	"fmt"
	"io"
	"math"
	"strings"
)

// A Column is a competitor.
type Column struct {
	Name string
	Ours bool
	Peer bool // counts for the best peer
}

// A Table has a row for each workload and a column for each competitor.
type Table struct {
	Title    string
	Unit     string  // of the figures: "µs", "KB", ...
	Scale    float64 // samples are divided by this for Unit
	Ratios   bool    // cells are ratios to the baseline, whose own cell has the figure; else every cell has its figure
	Baseline string
	Versus   bool // a column more for each of ours: its ratio to the best peer
	Columns  []Column
	Rows     []Row
}

// A Row is one workload: the samples of each competitor by its name, one a round, NaN for a round that it missed.
type Row struct {
	Name    string
	Samples map[string][]float64
	Errors  map[string]error // why a competitor has no samples, where it should
}

// Write writes t in Markdown. Competitors without any sample have no column.
func (t *Table) Write(w io.Writer) error {
	columns := t.present()
	head := []string{"workload"}
	for _, c := range columns {
		head = append(head, c.Name)
	}
	head = append(head, t.versusHeads(columns)...)
	if t.Ratios {
		head = append(head, "95 %")
	}
	var b strings.Builder
	fmt.Fprintf(&b, "### %s\n\n", t.Title)
	writeLine(&b, head)
	rule := make([]string, len(head))
	for i := range rule {
		rule[i] = "--:"
	}
	rule[0] = ":--"
	writeLine(&b, rule)
	for _, r := range t.Rows {
		writeLine(&b, t.line(r, columns))
	}
	b.WriteString("\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func writeLine(b *strings.Builder, cells []string) {
	fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | "))
}

func (t *Table) present() (columns []Column) {
	for _, c := range t.Columns {
		for _, r := range t.Rows {
			if !math.IsNaN(Median(r.Samples[c.Name])) || r.Errors[c.Name] != nil {
				columns = append(columns, c)
				break
			}
		}
	}
	return columns
}

// versusHeads are the heads of the columns that compare ours with the best peer.
func (t *Table) versusHeads(columns []Column) (heads []string) {
	for _, c := range columns {
		if c.Ours && t.Versus {
			heads = append(heads, c.Name+" / best Go peer")
		}
	}
	return heads
}

func (t *Table) line(r Row, columns []Column) []string {
	cells := []string{r.Name}
	var versus []string
	var widths []float64
	best := BestPeer(r, columns, t.Baseline)
	for _, c := range columns {
		cells = append(cells, t.cell(r, c))
		if c.Ours && t.Versus {
			versus = append(versus, versusCell(r, c.Name, best))
		}
		if c.Name != t.Baseline {
			widths = append(widths, width(r.Samples[c.Name], r.Samples[t.Baseline]))
		}
	}
	cells = append(cells, versus...)
	if t.Ratios {
		cells = append(cells, percent(Median(widths)))
	}
	return cells
}

func (t *Table) cell(r Row, c Column) string {
	if r.Errors[c.Name] != nil {
		return "failed"
	}
	figure := Median(r.Samples[c.Name]) / t.Scale
	if !t.Ratios {
		return number(figure, "")
	}
	if c.Name == t.Baseline {
		return number(figure, " "+t.Unit)
	}
	if math.IsNaN(Median(r.Samples[t.Baseline])) {
		return number(figure, " "+t.Unit)
	}
	return number(Ratio(r.Samples[c.Name], r.Samples[t.Baseline]), "")
}

// width is half of the Interval, as a share of the Ratio.
func width(a, b []float64) float64 {
	low, high := Interval(a, b)
	return (high - low) / 2 / Ratio(a, b)
}

// BestPeer names the peer with the lowest Ratio to the baseline in r, or the lowest median if the baseline has no samples; ""
// if there is none.
func BestPeer(r Row, columns []Column, baseline string) string {
	figure := func(name string) float64 { return Ratio(r.Samples[name], r.Samples[baseline]) }
	if math.IsNaN(figure(baseline)) {
		figure = func(name string) float64 { return Median(r.Samples[name]) }
	}
	best, low := "", math.Inf(1)
	for _, c := range columns {
		if m := figure(c.Name); c.Peer && m < low {
			best, low = c.Name, m
		}
	}
	return best
}

func versusCell(r Row, ours, best string) string {
	if best == "" {
		return "–"
	}
	q := Ratio(r.Samples[ours], r.Samples[best])
	if math.IsNaN(q) {
		return "–"
	}
	return fmt.Sprintf("%s (%s)", RatioWithin(r.Samples[ours], r.Samples[best]), best)
}

// RatioWithin prints the Ratio and, where it is known, its Interval.
func RatioWithin(a, b []float64) string {
	low, high := Interval(a, b)
	if math.IsNaN(low) {
		return Number(Ratio(a, b))
	}
	return fmt.Sprintf("%s [%s, %s]", Number(Ratio(a, b)), Number(low), Number(high))
}

// Number prints x with about three digits.
func Number(x float64) string { return number(x, "") }

// number prints x with about three digits.
func number(x float64, unit string) string {
	switch a := math.Abs(x); {
	case math.IsNaN(x) || math.IsInf(x, 0):
		return "–"
	case a < 0.1:
		return fmt.Sprintf("%.3f%s", x, unit)
	case a < 10:
		return fmt.Sprintf("%.2f%s", x, unit)
	case a < 100:
		return fmt.Sprintf("%.1f%s", x, unit)
	}
	return fmt.Sprintf("%.0f%s", x, unit)
}

func percent(x float64) string {
	if math.IsNaN(x) {
		return "–"
	}
	return fmt.Sprintf("±%.0f %%", 100*x)
}

// Any tells whether a competitor has a sample in r.
func (r Row) Any() bool {
	for _, s := range r.Samples {
		if !math.IsNaN(Median(s)) {
			return true
		}
	}
	return false
}
