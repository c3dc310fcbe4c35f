// Package cli holds what the commands of the conformance suite have in common: flags and output.
package cli

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/tidewire/ws/conformance"
)

// Flags are the flags that each command has.
type Flags struct {
	cases, exclude, agent, json string
	verbose                     bool
	second                      time.Duration
	scale, patience             int
}

// Register defines the flags on fs. What they are set to is known once fs was parsed.
func Register(fs *flag.FlagSet) *Flags {
	f := &Flags{}
	fs.StringVar(&f.cases, "cases", "", "comma-separated `patterns` of cases to run, as 1.*,6.4.1 (default all)")
	fs.StringVar(&f.exclude, "exclude", "", "comma-separated `patterns` of cases to leave out")
	fs.StringVar(&f.agent, "agent", "", "`name` of the peer in the report (default: its own)")
	fs.StringVar(&f.json, "json", "", "write the report as JSON to this `file`")
	fs.IntVar(&f.scale, "scale", 1, "divide the sizes and counts of sections 9, 12 and 13 by this `number`")
	fs.BoolVar(&f.verbose, "v", false, "print each result as it comes in")
	fs.DurationVar(&f.second, "second", time.Second, "`duration` of a second of the suite's pauses and timeouts")
	fs.IntVar(&f.patience, "patience", 1, "`factor` on the time that the peer has to answer")
	return f
}

// Options is what the flags say.
func (f *Flags) Options() conformance.Options {
	o := conformance.Options{
		Cases: list(f.cases), Exclude: list(f.exclude), Agent: f.agent, Scale: f.scale, Second: f.second, Patience: f.patience,
	}
	if f.verbose {
		o.Log = func(r conformance.Result) { fmt.Println(r) }
	}
	return o
}

// Publish prints the report and writes the JSON file that the flags ask for. It reports whether all is well.
func (f *Flags) Publish(r *conformance.Report) (passed bool, err error) {
	if err := r.WriteText(os.Stdout); err != nil {
		return false, err
	}
	if f.json != "" {
		if err := writeFile(f.json, r); err != nil {
			return false, err
		}
	}
	return len(r.Blemishes()) == 0, nil
}

func writeFile(name string, r *conformance.Report) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	if err := r.WriteJSON(file); err != nil {
		file.Close()
		return err
	}
	return file.Close()
}

func list(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}
