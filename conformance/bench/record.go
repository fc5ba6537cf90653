package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"slices"
)

// A Record is one run of one transport: one line of JSON.
type Record struct {
	Link      string             `json:"link"`
	Workload  string             `json:"workload"`
	Transport string             `json:"transport"`
	Rep       int                `json:"rep"`
	When      string             `json:"when"`
	Args      []string           `json:"args,omitempty"`
	NotRun    string             `json:"not_run,omitempty"` // why it was not
	Err       string             `json:"err,omitempty"`     // a failure is recorded, never dropped
	Capped    bool               `json:"capped,omitempty"`  // its time was up
	M         map[string]float64 `json:"m,omitempty"`
	Client    *ProcStat          `json:"client,omitempty"`
	Server    *ProcStat          `json:"server,omitempty"`
	AB        *LinkStats         `json:"link_ab,omitempty"`
	BA        *LinkStats         `json:"link_ba,omitempty"`
	Load1     float64            `json:"load1"` // of the machine, before
}

// good reports whether its numbers count.
func (r Record) good() bool { return r.Err == "" && r.NotRun == "" }

type records []Record

// of returns the records of one cell.
func (rs records) of(link, workload, transport string) records {
	var cell records
	for _, r := range rs {
		if r.Link == link && r.Workload == workload && r.Transport == transport {
			cell = append(cell, r)
		}
	}
	return cell
}

// values returns the values that the good records have of metric, sorted.
func (rs records) values(metric string) []float64 {
	var v []float64
	for _, r := range rs {
		if x, ok := r.M[metric]; ok && r.good() {
			v = append(v, x)
		}
	}
	slices.Sort(v)
	return v
}

// median of a cell; NaN if it has no value.
func (rs records) median(link, workload, transport, metric string) float64 {
	return median(rs.of(link, workload, transport).values(metric))
}

// transports returns who has records of a link and workload, in order.
func (rs records) transports(link, workload string) []string {
	var names []string
	for _, r := range rs {
		if r.Link == link && r.Workload == workload && !slices.Contains(names, r.Transport) {
			names = append(names, r.Transport)
		}
	}
	slices.SortFunc(names, byOrder)
	return names
}

// readRecords reads files of JSON lines.
func readRecords(names []string) (records, error) {
	var all records
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		s := bufio.NewScanner(f)
		s.Buffer(nil, 1<<20)
		for line := 1; s.Scan(); line++ {
			var r Record
			if err := json.Unmarshal(s.Bytes(), &r); err != nil {
				f.Close()
				return nil, fmt.Errorf("%s:%d: %w; want what bench run writes", name, line, err)
			}
			all = append(all, r)
		}
		f.Close()
		if err := s.Err(); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return all, nil
}
