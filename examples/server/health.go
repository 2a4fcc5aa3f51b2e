package main

import (
	"encoding/json"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/sherd-storage/sherd"
)

// Paths that are answered without authentication. A request that is signed, has a
// query, or whose host names a bucket is S3's also there, so a bucket may be called
// "health", and its objects "live" and "ready". Only requests without credentials
// can not ask for those two by their path.
const (
	pathLive  = "/health/live"
	pathReady = "/health/ready"
)

// What /health/ready says.
const (
	statusOK       = "ok"        // 200: reads and writes, on all drives
	statusDegraded = "degraded"  // 200: reads and writes, on fewer drives
	statusReadOnly = "read-only" // 503: reads go on, writes are refused
	statusOpening  = "opening"   // 503: the store is being opened
	statusClosing  = "closing"   // 503: the server is ending, or the store is closed
)

// driveInSync is the status of a drive that has every acknowledged change.
const driveInSync = "in-sync"

// readiness is the body of /health/ready. It names drives by slot and status
// only, as anybody may ask: paths and errors are in the log.
type readiness struct {
	Status        string       `json:"status"`
	InSync        int          `json:"in_sync"`
	NeededToWrite int          `json:"needed_to_write"`
	Drives        []driveState `json:"drives,omitempty"`
}

type driveState struct {
	Slot   int    `json:"slot"` // -1 while it is not known
	Status string `json:"status"`
}

// judge says what a store's health means to who sends it requests: the HTTP
// status and the body.
func judge(h sherd.Health) (int, readiness) {
	r := readiness{NeededToWrite: h.Needed}
	for _, d := range h.Drives {
		state := driveState{Slot: d.Slot, Status: d.Status.String()}
		if state.Status == driveInSync {
			r.InSync++
		}
		r.Drives = append(r.Drives, state)
	}
	switch {
	case h.Mode == sherd.ReadOnly:
		r.Status = statusReadOnly
	case h.Mode != sherd.Serving:
		r.Status = statusClosing
	case h.Degraded:
		r.Status = statusDegraded
		return http.StatusOK, r
	default:
		r.Status = statusOK
		return http.StatusOK, r
	}
	return http.StatusServiceUnavailable, r
}

// asksHealth tells a health check from a request for an object of that name.
func asksHealth(r *http.Request, domains []string) bool {
	inHost := func(domain string) bool {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		return strings.HasSuffix(strings.ToLower(host), "."+domain)
	}
	return (r.URL.Path == pathLive || r.URL.Path == pathReady) &&
		(r.Method == http.MethodGet || r.Method == http.MethodHead) &&
		r.URL.RawQuery == "" && r.Header.Get("Authorization") == "" && !slices.ContainsFunc(domains, inHost)
}

func writeHealth(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // who asked may have gone away
}
