package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/sherd-storage/sherd"
)

// maxNotices is how many of the newest notices the admin view keeps.
const maxNotices = 200

// admin is the view for whoever runs the server: what the store knows of its
// drives, its work and its damage, as a page and as JSON. It shows paths and keys
// and asks for no credentials, so it has an address of its own, on the loopback,
// and nothing in it changes anything.
type admin struct {
	health func() (sherd.Health, bool) // false: the store is being opened

	mu      sync.Mutex
	notices []sherd.Notice // newest last
}

// note keeps a notice.
func (a *admin) note(n sherd.Notice) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.notices) == maxNotices {
		a.notices = append(a.notices[:0], a.notices[1:]...)
	}
	a.notices = append(a.notices, n)
}

// adminView is the admin view with the server that it is on, if it is on any.
type adminView struct {
	admin
	listener net.Listener // nil: the view is off
	server   *http.Server
	ended    chan struct{} // closed when the server ended
}

// serveAdmin takes the address of the admin view, where one is asked for, and
// answers.
func (s *server) serveAdmin(f *front) (*adminView, error) {
	v := &adminView{admin: admin{health: f.health}}
	if s.admin == "" {
		return v, nil
	}
	var err error
	if v.listener, err = net.Listen("tcp", s.admin); err != nil {
		return nil, fmt.Errorf("the address of -admin can not be used: %w", err)
	}
	v.ended = make(chan struct{})
	v.server = &http.Server{
		Handler: v, ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readHeaderTimeout, WriteTimeout: time.Minute,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	go func() {
		_ = v.server.Serve(v.listener) // until close
		close(v.ended)
	}()
	return v, nil
}

func (v *adminView) close() {
	if v.listener != nil {
		_ = v.server.Close()
		<-v.ended
	}
}

// health is that of the store; false while it is being opened.
func (f *front) health() (sherd.Health, bool) {
	b := f.backend.Load()
	if b == nil {
		return sherd.Health{}, false
	}
	return b.health(), true
}

// overview is what the view shows.
type overview struct {
	Time     time.Time     `json:"time"`
	Mode     string        `json:"mode"` // opening, or the store's
	Reason   string        `json:"reason,omitempty"`
	Degraded bool          `json:"degraded"`
	InSync   int           `json:"in_sync"`
	Needed   int           `json:"needed_to_write"`
	Sets     []setView     `json:"sets"`
	Drives   []driveView   `json:"drives"`
	Work     []workView    `json:"work"`
	Margin   *marginView   `json:"margin"`  // null while objects were not counted
	Notices  []noticeView  `json:"notices"` // newest first
	Damage   []findingView `json:"damage"`  // newest first
}

type setView struct {
	Pool     int    `json:"pool"`
	Set      int    `json:"set"`
	Mode     string `json:"mode"`
	Reason   string `json:"reason,omitempty"`
	Degraded bool   `json:"degraded"`
	Needed   int    `json:"needed_to_write"`
}

type driveView struct {
	Pool   int       `json:"pool"`
	Set    int       `json:"set"`
	Path   string    `json:"path"`
	ID     string    `json:"id,omitempty"`
	Slot   int       `json:"slot"` // -1 while it is not known
	Status string    `json:"status"`
	Since  time.Time `json:"since"`
	Error  string    `json:"error,omitempty"`
	Total  uint64    `json:"total_bytes"`
	Free   uint64    `json:"free_bytes"`
}

type workView struct {
	Kind       string    `json:"kind"`
	Drive      string    `json:"drive,omitempty"`
	Begun      time.Time `json:"begun"`
	Items      uint64    `json:"items"`
	TotalItems uint64    `json:"total_items,omitempty"`
	Bytes      uint64    `json:"bytes"`
	TotalBytes uint64    `json:"total_bytes,omitempty"`
	Percent    *float64  `json:"percent,omitempty"`
	Rate       string    `json:"rate"`
	Left       *float64  `json:"seconds_left,omitempty"`
}

// marginView says how many objects are how many lost drives away from harm.
type marginView struct {
	Counted time.Time    `json:"counted"`
	Objects []marginLine `json:"objects"`
}

type marginLine struct {
	Losses  int    `json:"losses"` // that they survive; -1: they can not be read now
	Objects uint64 `json:"objects"`
}

type noticeView struct {
	Time  time.Time `json:"time"`
	Kind  string    `json:"kind"`
	Drive string    `json:"drive,omitempty"`
	Text  string    `json:"text,omitempty"`
	Error string    `json:"error,omitempty"`
}

type findingView struct {
	Kind   string `json:"kind"`
	Drive  string `json:"drive,omitempty"`
	Key    string `json:"key,omitempty"` // as a Go string, since keys are bytes
	Text   string `json:"text"`
	Lost   bool   `json:"lost"`
	Healed bool   `json:"healed"`
}

// look gathers what there is to see.
func (a *admin) look(now time.Time) overview {
	v := overview{Time: now.UTC(), Mode: statusOpening, Sets: []setView{}, Drives: []driveView{}, Work: []workView{}, Notices: []noticeView{}, Damage: []findingView{}}
	h, open := a.health()
	if open {
		v.Mode, v.Reason, v.Degraded, v.Needed = h.Mode.String(), h.Reason, h.Degraded, h.Needed
	}
	for _, set := range h.Sets {
		v.Sets = append(v.Sets, setView{set.Pool, set.Set, set.Mode.String(), set.Reason, set.Degraded, set.Needed})
	}
	for _, d := range h.Drives {
		status := d.Status.String()
		if status == driveInSync {
			v.InSync++
		}
		v.Drives = append(v.Drives, driveView{d.Pool, d.Set, d.Path, d.ID, d.Slot, status, d.Since, text(d.Err), d.Total, d.Free})
	}
	for _, w := range h.Work {
		out := workView{w.Kind.String(), w.Drive, w.Begun, w.Items, w.TotalItems, w.Bytes, w.TotalBytes, nil, rate(w), nil}
		if done, ok := part(w); ok {
			percent := done * 100
			out.Percent = &percent
		}
		if w.Left >= 0 {
			left := w.Left.Seconds()
			out.Left = &left
		}
		v.Work = append(v.Work, out)
	}
	for i := len(h.Damage) - 1; i >= 0; i-- {
		f := h.Damage[i]
		out := findingView{Kind: f.Kind, Drive: f.Path, Text: f.Text, Lost: f.Lost, Healed: f.Healed}
		if f.Key != "" {
			out.Key = strconv.Quote(f.Key)
		}
		v.Damage = append(v.Damage, out)
	}
	if h.Margin.Known {
		v.Margin = &marginView{Counted: h.Margin.Counted, Objects: []marginLine{}}
		for _, c := range h.Margin.Objects {
			v.Margin.Objects = append(v.Margin.Objects, marginLine(c))
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := len(a.notices) - 1; i >= 0; i-- {
		n := a.notices[i]
		v.Notices = append(v.Notices, noticeView{n.Time, n.Kind.String(), n.Drive, n.Text, text(n.Err)})
	}
	return v
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// ServeHTTP answers / with the page and /status.json with the same as JSON. A
// request that names another host than this machine's loopback comes from a
// page that had its own name lead here, and is refused.
func (a *admin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Security-Policy", adminPolicy())
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	switch {
	case !onLoopback(r.Host):
		http.Error(w, "this view is for the machine itself", http.StatusForbidden)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		header.Set("Allow", "GET, HEAD")
		http.Error(w, "there is nothing to change here", http.StatusMethodNotAllowed)
	case r.URL.Path == "/":
		header.Set("Content-Type", "text/html; charset=utf-8")
		_ = adminPage().Execute(w, a.look(time.Now())) // who asked may have gone away
	case r.URL.Path == "/status.json":
		header.Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(a.look(time.Now()))
	default:
		http.NotFound(w, r)
	}
}

// onLoopback tells whether an address, with or without a port, is this machine's
// own.
func onLoopback(address string) bool {
	host := address
	if h, _, err := net.SplitHostPort(address); err == nil {
		host = h
	}
	if host == "localhost" {
		return true
	}
	if n := len(host); n > 2 && host[0] == '[' && host[n-1] == ']' {
		host = host[1 : n-1]
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// adminPolicy lets a browser take the page's own style and nothing else.
func adminPolicy() string {
	sum := sha256.Sum256([]byte(adminStyle))
	return "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; style-src 'sha256-" +
		base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

const adminStyle = `body{font:14px/1.4 system-ui,sans-serif;margin:2em;color:#222}table{border-collapse:collapse;margin:.5em 0 1.5em}` +
	`th,td{text-align:left;padding:.2em 1em .2em 0;border-bottom:1px solid #ddd;vertical-align:top}td.n{text-align:right}` +
	`.bad{color:#a00}h2{font-size:1.1em;margin:0}`

// adminPage is the page: no script, nothing from elsewhere, anew every 5 seconds.
func adminPage() *template.Template {
	return template.Must(template.New("admin").Funcs(template.FuncMap{
		"size":    size,
		"at":      func(t time.Time) string { return t.UTC().Format(time.DateTime) },
		"left":    func(s *float64) string { return (time.Duration(*s) * time.Second).String() },
		"percent": func(p *float64) string { return fmt.Sprintf("%.1f %%", *p) },
	}).Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="5"><title>sherd: {{.Mode}}</title><style>` + adminStyle + `</style></head><body>
<h1>{{.Mode}}{{if .Degraded}}, <span class="bad">degraded</span>{{end}}</h1>
{{with .Reason}}<p class="bad">{{.}}</p>{{end}}
<p>{{.InSync}} of {{len .Drives}} drives are in-sync, {{.Needed}} are needed to write. {{at .Time}} UTC, <a href="/status.json">as JSON</a></p>
{{if gt (len .Sets) 1}}<h2>Sets</h2><table><tr><th>pool<th>set<th>mode<th>needed to write<th></tr>
{{range .Sets}}<tr><td class="n">{{.Pool}}<td class="n">{{.Set}}<td{{if or .Degraded (ne .Mode "serving")}} class="bad"{{end}}>{{.Mode}}{{if .Degraded}}, degraded{{end}}<td class="n">{{.Needed}}<td>{{.Reason}}</tr>
{{end}}</table>{{end}}
<h2>Drives</h2><table><tr><th>pool<th>set<th>slot<th>path<th>id<th>status<th>since<th>free<th>of<th></tr>
{{range .Drives}}<tr><td class="n">{{.Pool}}<td class="n">{{.Set}}<td class="n">{{if ge .Slot 0}}{{.Slot}}{{end}}<td>{{.Path}}<td>{{.ID}}<td{{if ne .Status "in-sync"}} class="bad"{{end}}>{{.Status}}<td>{{at .Since}}<td class="n">{{size .Free}}<td class="n">{{size .Total}}<td class="bad">{{.Error}}</tr>
{{end}}</table>
<h2>Work</h2>{{if .Work}}<table><tr><th><th>drive<th>since<th>items<th>bytes<th>done<th>rate<th>left</tr>
{{range .Work}}<tr><td>{{.Kind}}<td>{{.Drive}}<td>{{at .Begun}}<td class="n">{{.Items}}{{with .TotalItems}} / {{.}}{{end}}<td class="n">{{size .Bytes}}{{with .TotalBytes}} / {{size .}}{{end}}<td class="n">{{with .Percent}}{{percent .}}{{end}}<td class="n">{{.Rate}}<td class="n">{{with .Left}}{{left .}}{{end}}</tr>
{{end}}</table>{{else}}<p>none</p>{{end}}
<h2>Margin</h2>{{with .Margin}}<table><tr><th>objects<th></tr>
{{range .Objects}}<tr{{if lt .Losses 1}} class="bad"{{end}}><td class="n">{{.Objects}}<td>{{if lt .Losses 0}}can not be read with the drives that are there{{else}}survive the loss of {{.Losses}} more drives{{end}}</tr>
{{end}}</table><p>counted {{at .Counted}} UTC</p>{{else}}<p>objects were not counted yet</p>{{end}}
<h2>Damage</h2>{{if .Damage}}<table><tr><th><th>drive<th>key<th></tr>
{{range .Damage}}<tr{{if .Lost}} class="bad"{{end}}><td>{{.Kind}}<td>{{.Drive}}<td>{{.Key}}<td>{{.Text}}{{if .Lost}} (lost with the drives that are there){{end}}{{if .Healed}} (healed){{end}}</tr>
{{end}}</table>{{else}}<p>none known</p>{{end}}
<h2>What happened</h2>{{if .Notices}}<table><tr><th><th><th>drive<th></tr>
{{range .Notices}}<tr><td>{{at .Time}}<td>{{.Kind}}<td>{{.Drive}}<td>{{.Text}}{{with .Error}} <span class="bad">{{.}}</span>{{end}}</tr>
{{end}}</table>{{else}}<p>nothing yet</p>{{end}}
</body></html>
`))
}
