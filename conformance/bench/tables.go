package main

import (
	"fmt"
	"io"
	"strings"
)

// writeTables writes one markdown table for each workload of each link.
func writeTables(w io.Writer, rs records) {
	for _, link := range linkNames() {
		for _, work := range plan(link) {
			if names := rs.transports(link, work.name); len(names) > 0 {
				writeTable(w, rs, link, work, names)
			}
		}
	}
}

func writeTable(w io.Writer, rs records, link string, work workload, names []string) {
	where := loopback
	if spec, ok := findLink(link); ok {
		where = spec.Title
	}
	fmt.Fprintf(w, "#### %s: %s (`%s`)\n\n", work.title, where, link)
	cols := columns(link, work.name)
	head, rule := "| transport | security |", "|---|---|"
	for _, c := range cols {
		head += " " + c.head + " |"
		rule += "---|"
	}
	fmt.Fprintf(w, "%s runs |\n%s---|\n", head, rule)
	for _, name := range names {
		cell := rs.of(link, work.name, name)
		fmt.Fprintf(w, "| %s | %s |", name, security(name))
		for _, c := range cols {
			fmt.Fprintf(w, " %s |", c.text(cell))
		}
		fmt.Fprintf(w, " %s |\n", cell.runs())
	}
	fmt.Fprintln(w)
	writeNotes(w, rs, link, work.name, names)
}

// writeNotes lists the runs whose numbers are in no median, and why.
func writeNotes(w io.Writer, rs records, link, work string, names []string) {
	noted := false
	for _, name := range names {
		for _, r := range rs.of(link, work, name) {
			switch {
			case r.NotRun != "":
				fmt.Fprintf(w, "- %s, repetition %d: not run: %s\n", name, r.Rep, r.NotRun)
			case r.Err != "":
				fmt.Fprintf(w, "- %s, repetition %d: failed: %s\n", name, r.Rep, strings.Join(strings.Fields(r.Err), " "))
			default:
				continue
			}
			noted = true
		}
	}
	if noted {
		fmt.Fprintln(w)
	}
}

func security(name string) string {
	if t := transports[name]; t != nil {
		return t.Secure
	}
	return "-"
}

// text is the median of a cell, with the lowest and highest if the column has them.
func (c column) text(cell records) string {
	v := cell.values(c.metric)
	if len(v) == 0 {
		return "-"
	}
	m := num(median(v) * c.scale)
	if !c.spread || len(v) == 1 {
		return m
	}
	return fmt.Sprintf("**%s** (%s–%s)", m, num(v[0]*c.scale), num(v[len(v)-1]*c.scale))
}

// runs tells how many runs of a cell count.
func (rs records) runs() string {
	good, capped := 0, 0
	for _, r := range rs {
		if r.good() {
			good++
			if r.Capped {
				capped++
			}
		}
	}
	text := fmt.Sprintf("%d of %d", good, len(rs))
	if capped > 0 {
		text += fmt.Sprintf(", %d capped", capped)
	}
	return text
}
