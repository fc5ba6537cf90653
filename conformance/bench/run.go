package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

type runOptions struct {
	links, transports, skip, workloads []string
	reps, first                        int
	out, prefix                        string
	args                               string
}

func (o *runOptions) flags(fs *pflag.FlagSet) {
	fs.StringSliceVarP(&o.links, "link", "l", []string{loopback}, "links, or all")
	fs.StringSliceVarP(&o.transports, "transport", "t", []string{"all"}, "transports, or all")
	fs.StringSliceVar(&o.skip, "skip", nil, "transports to leave out")
	fs.StringSliceVarP(&o.workloads, "work", "w", []string{"all"}, "workloads, or all")
	fs.IntVarP(&o.reps, "reps", "r", 3, "interleaved repetitions")
	fs.IntVar(&o.first, "first", 1, "number of the first repetition, which seeds the link")
	fs.StringVarP(&o.out, "out", "o", "raw.jsonl", "file that the results are appended to")
	fs.StringVar(&o.prefix, "ns", "mb", "prefix of the network namespaces that are made; two runs at once want two")
	fs.StringVar(&o.args, "args", "", "options added to those of the client, such as \"--size=1000000 --cap=2s\"")
}

// all returns list, or everything if it says "all". It names what is unknown.
func all(kind string, list, known []string) ([]string, error) {
	if slices.Contains(list, "all") {
		return known, nil
	}
	for _, name := range list {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("%s %q is not known; want all, or some of %s", kind, name, strings.Join(known, ", "))
		}
	}
	return list, nil
}

// run measures all that was asked for. One repetition of everything comes before
// the next, so that a noisy minute does not fall on one transport alone.
func run(ctx context.Context, o runOptions, progress io.Writer) error {
	named, err := all("link", o.links, linkNames())
	if err != nil {
		return err
	}
	works, err := all("workload", o.workloads, workloadNames())
	if err != nil {
		return err
	}
	peers, err := all("transport", o.transports, transportNames())
	if err != nil {
		return err
	}
	out, err := os.OpenFile(o.out, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer out.Close()
	note := func(r Record) error {
		fmt.Fprintf(progress, "%s %-8s %-10s %d %-14s %s\n", time.Now().Format("15:04:05"), r.Link, r.Workload, r.Rep, r.Transport, r.brief())
		return json.NewEncoder(out).Encode(r)
	}
	chosen := !slices.Contains(o.transports, "all")
	for _, link := range named {
		var ts []*Transport
		for _, name := range peers {
			if t := transports[name]; !slices.Contains(o.skip, name) && (chosen || t.on(link)) {
				ts = append(ts, t)
			}
		}
		if err := runLink(ctx, o, link, works, ts, note); err != nil {
			return err
		}
	}
	return nil
}

func runLink(ctx context.Context, o runOptions, link string, works []string, ts []*Transport, note func(Record) error) error {
	p, missing := newPlace(link, o.prefix)
	if missing == nil {
		defer p.Close()
	}
	for rep := o.first; rep < o.first+o.reps; rep++ {
		for _, w := range plan(link) {
			if !slices.Contains(works, w.name) {
				continue
			}
			w.args = append(slices.Clone(w.args), strings.Fields(o.args)...)
			for _, t := range ts {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				r := Record{Link: link, Workload: w.name, Transport: t.Name, Rep: rep}
				if missing != nil {
					r.NotRun = missing.Error()
				} else {
					r = measure(p, w, t, rep)
				}
				if err := note(r); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// brief is a record in a few words.
func (r Record) brief() string {
	if r.NotRun != "" {
		return "not run: " + r.NotRun
	}
	var words []string
	for _, c := range columns(r.Link, r.Workload) {
		if v, ok := r.M[c.metric]; ok {
			words = append(words, c.head+" "+num(v*c.scale))
		}
	}
	if r.Capped {
		words = append(words, "capped")
	}
	if r.Err != "" {
		words = append(words, "failed: "+r.Err)
	}
	return strings.Join(words, ", ")
}
