package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func run3(link, work, transport, metric string, values ...float64) (rs records) {
	for i, v := range values {
		rs = append(rs, Record{Link: link, Workload: work, Transport: transport, Rep: i + 1, M: map[string]float64{metric: v}})
	}
	return rs
}

func TestTables(t *testing.T) {
	rs := run3("clean", "bulk", "quic-go", "mbit_per_s", 90, 93, 92)
	rs = append(rs, run3("clean", "bulk", "msp", "mbit_per_s", 10, 12)...)
	rs[4].Err, rs[4].M["mbit_per_s"] = "client: dial:\n no answer", 99
	rs[3].Capped = true
	rs = append(rs, Record{Link: "loss1", Workload: "bulk", Transport: "msp", Rep: 1, NotRun: "links need root"})
	var b strings.Builder
	writeTables(&b, rs)
	for _, want := range []string{
		"#### bulk, one stream: 100 Mbit/s, 20 ms, no loss (`clean`)",
		"| msp | e2e | 10.0 |", "1 of 2, 1 capped |",
		"| quic-go | e2e | **92.0** (90.0–93.0) |", "3 of 3 |",
		"- msp, repetition 2: failed: client: dial: no answer\n",
		"- msp, repetition 1: not run: links need root\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the tables lack %q:\n%s", want, b.String())
		}
	}
	if msp, quic := strings.Index(b.String(), "| msp |"), strings.Index(b.String(), "| quic-go |"); msp > quic {
		t.Error("the rows are not in order")
	}
}

func TestReadRecordsNamesTheLine(t *testing.T) {
	name := filepath.Join(t.TempDir(), "raw.jsonl")
	if err := os.WriteFile(name, []byte("{\"link\":\"clean\"}\nnonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readRecords([]string{name}); err == nil || !strings.Contains(err.Error(), "raw.jsonl:2:") {
		t.Errorf("error is %v, want one that names line 2", err)
	}
}

func TestPlots(t *testing.T) {
	dir := t.TempDir()
	rs := append(run3("clean", "bulk", "quic-go", "mbit_per_s", 90, 93), run3("clean", "bulk", "msp", "mbit_per_s", 10)...)
	for _, format := range []string{"png", "svg"} {
		if err := writePlots(dir, format, rs); err != nil {
			t.Fatal(err)
		}
		if st, err := os.Stat(filepath.Join(dir, "clean-bulk."+format)); err != nil || st.Size() < 1000 {
			t.Errorf("%s: %v, %v", format, st, err)
		}
	}
}

func TestPlansAreComplete(t *testing.T) {
	for _, link := range linkNames() {
		for _, w := range plan(link) {
			if w.job != "" && jobs[w.job] == nil {
				t.Errorf("%s on %s: no job %q", w.name, link, w.job)
			}
			if len(columns(link, w.name)) == 0 {
				t.Errorf("%s on %s has no columns", w.name, link)
			}
		}
	}
}
