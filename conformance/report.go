package conformance

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
)

// Report collects the results of one or several agents. Its methods may be called at any time from any goroutine.
type Report struct {
	order map[*Case]int

	mu      sync.Mutex
	results map[string]map[string]Result // by agent and case
	added   chan struct{}                // closed and replaced with each new result
}

func newReport(cases []*Case) *Report {
	r := &Report{order: map[*Case]int{}, results: map[string]map[string]Result{}, added: make(chan struct{})}
	for i, c := range cases {
		r.order[c] = i
	}
	return r
}

// add stores a result, in place of an earlier one of the same agent and case, and tells log.
func (r *Report) add(res Result, log func(Result)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.results[res.Agent] == nil {
		r.results[res.Agent] = map[string]Result{}
	}
	r.results[res.Agent][res.Case.ID] = res
	close(r.added)
	r.added = make(chan struct{})
	if log != nil {
		log(res)
	}
}

// Agents returns the names of those that have results, sorted.
func (r *Report) Agents() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(maps.Keys(r.results))
}

// Results returns an agent's results in the order of the cases.
func (r *Report) Results(agent string) []Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.SortedFunc(maps.Values(r.results[agent]), func(a, b Result) int {
		return cmp.Compare(r.order[a.Case], r.order[b.Case])
	})
}

// wait returns a result as soon as it is there.
func (r *Report) wait(ctx context.Context, agent, id string) (Result, error) {
	for {
		r.mu.Lock()
		res, ok := r.results[agent][id]
		added := r.added
		r.mu.Unlock()
		if ok {
			return res, nil
		}
		select {
		case <-added:
		case <-ctx.Done():
			return Result{}, ctx.Err()
		}
	}
}

// Complete reports whether the agent has a result for each case.
func (r *Report) Complete(agent string) bool { return len(r.Results(agent)) == len(r.order) }

// Blemishes returns the results of all agents that don't Pass.
func (r *Report) Blemishes() []Result {
	var all []Result
	for _, agent := range r.Agents() {
		all = append(all, slices.DeleteFunc(r.Results(agent), Result.Pass)...)
	}
	return all
}

// WriteText writes a table of verdicts by group of cases for each agent, and below it each case without a clean pass.
func (r *Report) WriteText(w io.Writer) error {
	for _, agent := range r.Agents() {
		results := r.Results(agent)
		fmt.Fprintf(w, "%s: %d of %d cases\n\n", agent, len(results), len(r.order))
		tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(tw, "group\tcases\tbehaviour\tclosing")
		for _, t := range Tally(results) {
			fmt.Fprintf(tw, "%s\t%d\t%s\t%s\n", t.Group, t.Cases, counts(t.Behavior), counts(t.Close))
		}
		if err := tw.Flush(); err != nil {
			return err
		}
		for _, res := range slices.DeleteFunc(results, Result.Pass) {
			fmt.Fprintf(w, "\n%s\n", res)
		}
		if _, err := fmt.Fprintln(w); err != nil {
			return err
		}
	}
	return nil
}

// String describes the result in one line, or several if there is something to explain.
func (r Result) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-8s %s, closing %s", r.Case.ID, r.Behavior, r.BehaviorClose)
	if r.RemoteCloseCode != 0 {
		fmt.Fprintf(&b, " (%d)", r.RemoteCloseCode)
	}
	if r.Sent > 0 {
		fmt.Fprintf(&b, ", compressed to %.2f, echo to %.2f", r.Sent, r.Got)
	}
	fmt.Fprintf(&b, ", %d ms", r.Duration.Milliseconds())
	if r.Pass() {
		return b.String()
	}
	fmt.Fprintf(&b, "\n    %s: %s\n    expected: %s", r.Case.Section, r.Case.Title, r.Case.Expect)
	for _, why := range []string{r.Why, r.WhyClose} {
		if why != "" {
			fmt.Fprintf(&b, "\n    %s", why)
		}
	}
	for _, got := range r.Received {
		fmt.Fprintf(&b, "\n    received: %s", got)
	}
	return b.String()
}

// GroupTally counts the verdicts in one group of cases, such as "6.4".
type GroupTally struct {
	Group           string
	Cases           int
	Behavior, Close map[Verdict]int
}

// Tally counts verdicts by group, in the order of the results.
func Tally(results []Result) []GroupTally {
	var all []GroupTally
	for _, r := range results {
		group := r.Case.group()
		if len(all) == 0 || all[len(all)-1].Group != group {
			all = append(all, GroupTally{Group: group, Behavior: map[Verdict]int{}, Close: map[Verdict]int{}})
		}
		t := &all[len(all)-1]
		t.Cases++
		t.Behavior[r.Behavior]++
		t.Close[r.BehaviorClose]++
	}
	return all
}

// counts writes "7 OK, 1 FAILED".
func counts(m map[Verdict]int) string {
	var parts []string
	for _, v := range []Verdict{OK, Informational, NonStrict, Unimplemented, WrongCode, Unclean, FailedByClient, Failed} {
		if m[v] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", m[v], v))
		}
	}
	return strings.Join(parts, ", ")
}

// WriteJSON writes the results in the shape of the original suite's index.json: by agent and case, with the fields
// behavior, behaviorClose, duration (milliseconds) and remoteCloseCode (null: none), and some of its own.
func (r *Report) WriteJSON(w io.Writer) error {
	type entry struct {
		Result
		Duration        int64 `json:"duration"`
		RemoteCloseCode *int  `json:"remoteCloseCode"`
	}
	all := map[string]map[string]entry{}
	for _, agent := range r.Agents() {
		all[agent] = map[string]entry{}
		for _, res := range r.Results(agent) {
			e := entry{Result: res, Duration: res.Duration.Milliseconds()}
			if res.RemoteCloseCode != 0 {
				e.RemoteCloseCode = &res.RemoteCloseCode
			}
			all[agent][res.Case.ID] = e
		}
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(all)
}
