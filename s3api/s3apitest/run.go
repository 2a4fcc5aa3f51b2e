// Package s3apitest checks that something speaks S3 as Amazon S3 does: several
// hundred cases, each a rule of S3's documentation, run against an endpoint.
//
//	s3apitest.Run(t, s3apitest.Target{
//		Endpoint: "http://127.0.0.1:9000", Region: "us-east-1",
//		Main: s3apitest.Identity{AccessKey: "…", SecretKey: "…"},
//	}, nil)
//
// # Cases
//
// A [Case] is independent of every other: it makes buckets of its own and removes
// them when it is over, so all run at once, against an endpoint that holds other
// data too. What a case needs and the target does not have, such as a second
// account, makes it a skip with a reason. The client is the kit's own, over
// net/http alone: it signs by itself, so a case decides about every byte.
//
// # The result
//
// [Run] gives a [Report]: for each case its name, group, rule and outcome, which
// can be written as Markdown and as JSON. Cases that an endpoint is known to fail
// are named in [Options].Known with the reason; they fail the test only when they
// begin to pass.
//
// The kit has no clock: requests are dated by what the endpoint says that time is.
package s3apitest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Identity is who signs requests.
type Identity struct {
	AccessKey, SecretKey string
	ID                   string // canonical; "": cases that need it are skipped
	Account              string // the number, or the name, of its account
	User                 string // in policies: arn:aws:iam::Account:user/User
	DisplayName          string
}

// Target is the endpoint that is checked.
type Target struct {
	Endpoint string // scheme, host, port, and the path that it is mounted under
	Region   string
	// Main owns what cases make. Alt is another account that may make buckets,
	// and Tenant a third; without an access key there is none.
	Main, Alt, Tenant Identity
	// Transport carries the requests; nil: a new http.Transport.
	Transport http.RoundTripper
	// VirtualHost names buckets in the host: below Domain if it is set, which is
	// then what requests say, wherever Endpoint leads.
	VirtualHost bool
	Domain      string
	// MinPartBytes is what parts but the last must have; 0: 5 MiB.
	MinPartBytes int
	// KeyID is of a master key for SSE-KMS; "": cases of SSE-S3 and SSE-KMS are
	// skipped.
	KeyID string
	// Lacks says why groups of cases, or what [Case].Needs has, cannot be run.
	Lacks map[string]string
}

// Case is one rule of S3 and how it is checked.
type Case struct {
	Name  string // group/what
	Rule  string // one sentence
	Page  string // where S3 says so: a page of the API reference or the user guide
	Needs []string
	Run   func(*C)
}

// What a case may need.
const (
	NeedsAlt      = "a second account"
	NeedsTenant   = "a third account"
	NeedsIDs      = "canonical ids"
	NeedsPaths    = "buckets in paths"
	NeedsVersion2 = "signature version 2"
	// NeedsMasterKey is a KeyID.
	NeedsMasterKey = "a master key"
	// NeedsLargeParts is a MinPartBytes of more than one byte.
	NeedsLargeParts = "a least size of parts"
)

// Group is the first part of the name.
func (c *Case) Group() string {
	group, _, _ := strings.Cut(c.Name, "/")
	return group
}

// Options of a run; nil is the zero value.
type Options struct {
	// Only runs the cases whose names begin with one of these; none: all.
	Only []string
	// Known names cases that fail, and why. One that passes is a failure.
	Known map[string]string
	// Keep leaves the buckets of cases behind.
	Keep bool
}

// Cases lists all cases, sorted by name.
func Cases() []Case {
	all := slices.Concat(bucketCases(), listingCases(), objectCases(), versionCases(), multipartCases(), tagCases(), protectionCases(), signatureCases(), accessCases(), policyCases(), webCases())
	slices.SortFunc(all, func(a, b Case) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// group gives the cases of a group their prefix, and the page to those that name
// none.
func group(name, page string, cases ...Case) []Case {
	for i := range cases {
		cases[i].Name = name + "/" + cases[i].Name
		if cases[i].Page == "" {
			cases[i].Page = page
		}
	}
	return cases
}

// Run runs the cases as parallel subtests, and returns when all are over.
func Run(t *testing.T, target Target, o *Options) *Report {
	t.Helper()
	if o == nil {
		o = &Options{}
	}
	r := &runner{target: target, opt: o, report: &Report{Endpoint: target.Endpoint}}
	if err := r.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Run("cases", func(t *testing.T) {
		for _, one := range Cases() {
			if len(o.Only) > 0 && !slices.ContainsFunc(o.Only, func(p string) bool { return strings.HasPrefix(one.Name, p) }) {
				continue
			}
			t.Run(one.Name, func(t *testing.T) {
				t.Parallel()
				r.run(t, one)
			})
		}
	})
	r.report.sort()
	return r.report
}

// runner is one run.
type runner struct {
	target Target
	opt    *Options
	base   *url.URL
	tag    string // in the names of all buckets of the run

	mu     sync.Mutex
	now    time.Time // the last that the endpoint said
	serial int
	report *Report
}

// prepare asks the endpoint for its time.
func (r *runner) prepare(ctx context.Context) error {
	var err error
	if r.base, err = url.Parse(strings.TrimSuffix(r.target.Endpoint, "/")); err != nil {
		return fmt.Errorf("the endpoint: %w", err)
	}
	if r.target.Transport == nil {
		r.target.Transport = &http.Transport{MaxIdleConnsPerHost: 64}
	}
	if r.target.MinPartBytes == 0 {
		r.target.MinPartBytes = 5 << 20
	}
	var tag [4]byte
	rand.Read(tag[:]) // never fails
	r.tag = hex.EncodeToString(tag[:])
	c := &C{runner: r, ctx: ctx, main: &r.target.Main}
	answer, err := c.send(get("/").anonymous())
	if err != nil {
		return fmt.Errorf("the endpoint does not answer: %w", err)
	}
	if r.now, err = http.ParseTime(answer.header.Get("Date")); err != nil {
		return fmt.Errorf("the endpoint does not say what time it is: %w", err)
	}
	return nil
}

// lacking says why a case cannot be run; "": it can.
func (r *runner) lacking(one *Case) string {
	if why := r.target.Lacks[one.Group()]; why != "" {
		return why
	}
	for _, need := range one.Needs {
		switch {
		case r.target.Lacks[need] != "":
			return r.target.Lacks[need]
		case need == NeedsAlt && r.target.Alt.AccessKey == "", need == NeedsTenant && r.target.Tenant.AccessKey == "",
			need == NeedsMasterKey && r.target.KeyID == "",
			need == NeedsIDs && r.target.Main.ID == "", need == NeedsPaths && r.target.VirtualHost,
			need == NeedsLargeParts && r.target.MinPartBytes < 2:
			return "needs " + need
		}
	}
	return ""
}

// run runs one case and writes its line of the report.
func (r *runner) run(t *testing.T, one Case) {
	line := Line{Name: one.Name, Group: one.Group(), Rule: one.Rule, Page: one.Page, Outcome: Passed}
	if why := r.lacking(&one); why != "" {
		line.Outcome, line.Why = Skipped, why
		r.add(line)
		return
	}
	c := &C{runner: r, ctx: t.Context(), main: &r.target.Main, alt: &r.target.Alt, tenant: &r.target.Tenant, name: one.Name}
	if why := c.attempt(one.Run); why != "" {
		line.Outcome, line.Why = Failed, why
	}
	if !r.opt.Keep {
		c.ctx, c.name = context.WithoutCancel(c.ctx), ""
		c.sweep()
	}
	known, isKnown := r.opt.Known[one.Name]
	switch {
	case isKnown && line.Outcome == Failed:
		line.Known = known
	case isKnown:
		t.Errorf("passes, and was known to fail: %s", known)
	case line.Outcome == Failed:
		t.Errorf("%s (%s)\n%s", one.Rule, one.Page, line.Why)
	}
	r.add(line)
}

func (r *runner) add(line Line) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.Lines = append(r.report.Lines, line)
}

// Outcome is how a case ended.
type Outcome string

// The outcomes.
const (
	Passed  Outcome = "pass"
	Failed  Outcome = "fail"
	Skipped Outcome = "skip"
)

// Line is a case that was run, or why it was not.
type Line struct {
	Name    string  `json:"name"`
	Group   string  `json:"group"`
	Rule    string  `json:"rule"`
	Page    string  `json:"page"`
	Outcome Outcome `json:"outcome"`
	Why     string  `json:"why,omitempty"`   // of a failure or a skip
	Known   string  `json:"known,omitempty"` // the reason of a failure that is known
}

// Report is the result of a run, sorted by name.
type Report struct {
	Endpoint string `json:"endpoint"`
	Lines    []Line `json:"cases"`
}

func (r *Report) sort() {
	slices.SortFunc(r.Lines, func(a, b Line) int { return strings.Compare(a.Name, b.Name) })
}

// Count says how many cases of a group ended so; "" is all groups.
func (r *Report) Count(group string, o Outcome) int {
	n := 0
	for i := range r.Lines {
		if r.Lines[i].Outcome == o && (group == "" || r.Lines[i].Group == group) {
			n++
		}
	}
	return n
}

// Groups lists the groups, sorted.
func (r *Report) Groups() []string {
	var groups []string
	for i := range r.Lines {
		groups = append(groups, r.Lines[i].Group)
	}
	slices.Sort(groups)
	return slices.Compact(groups)
}

// JSON writes everything.
func (r *Report) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "\t")
	return e.Encode(r)
}

// Markdown writes a table of the groups and one of what did not pass.
func (r *Report) Markdown(w io.Writer) error {
	var b strings.Builder
	b.WriteString("| group | cases | pass | fail | skip |\n|---|--:|--:|--:|--:|\n")
	row := func(title, group string) {
		pass, fail, skip := r.Count(group, Passed), r.Count(group, Failed), r.Count(group, Skipped)
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d |\n", title, pass+fail+skip, pass, fail, skip)
	}
	for _, group := range r.Groups() {
		row(group, group)
	}
	row("all", "")
	if rest := r.notPassed(); rest != "" {
		b.WriteString("\n| case | rule | outcome | why |\n|---|---|---|---|\n" + rest)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Report) notPassed() string {
	var b strings.Builder
	plain := strings.NewReplacer("\n", " ", "|", "\\|")
	for i := range r.Lines {
		l := &r.Lines[i]
		if l.Outcome == Passed {
			continue
		}
		why := l.Why
		if l.Known != "" {
			why = l.Known
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", l.Name, plain.Replace(l.Rule), l.Outcome, plain.Replace(why))
	}
	return b.String()
}
