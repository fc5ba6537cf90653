package main

import (
	"fmt"
	"image/color"
	"os"
	"path/filepath"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// writePlots draws the first column of every table, as bars with the lowest and
// highest run, into dir. Format is png or svg.
func writePlots(dir, format string, rs records) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, link := range linkNames() {
		for _, work := range plan(link) {
			p, err := barChart(rs, link, work)
			if err != nil {
				return err
			}
			if p == nil {
				continue
			}
			name := filepath.Join(dir, link+"-"+work.name+"."+format)
			if err := p.Save(9*vg.Inch, 4*vg.Inch, name); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}

// spreads are the bars' lowest and highest, relative to the median.
type spreads struct {
	plotter.XYs
	plotter.YErrors
}

// barChart is nil if nobody has a value to draw.
func barChart(rs records, link string, work workload) (*plot.Plot, error) {
	c := columns(link, work.name)[0]
	var names []string
	var bars plotter.Values
	var s spreads
	for _, name := range rs.transports(link, work.name) {
		v := rs.of(link, work.name, name).values(c.metric)
		if len(v) == 0 {
			continue
		}
		m := median(v) * c.scale
		s.XYs = append(s.XYs, plotter.XY{X: float64(len(names)), Y: m})
		s.YErrors = append(s.YErrors, struct{ Low, High float64 }{m - v[0]*c.scale, v[len(v)-1]*c.scale - m})
		names = append(names, name)
		bars = append(bars, m)
	}
	if len(names) == 0 {
		return nil, nil
	}
	p := plot.New()
	p.Title.Text = work.title + " (" + link + ")"
	p.Y.Label.Text = c.head
	p.Y.Min = 0
	chart, err := plotter.NewBarChart(bars, vg.Points(18))
	if err != nil {
		return nil, err
	}
	chart.Color = color.Gray{Y: 170}
	errs, err := plotter.NewYErrorBars(s)
	if err != nil {
		return nil, err
	}
	p.Add(plotter.NewGrid(), chart, errs)
	p.NominalX(names...)
	p.X.Min, p.X.Max = -0.5, float64(len(names))-0.5
	p.Y.Max *= 1.05
	p.X.Tick.Label.Rotation = 0.5
	p.X.Tick.Label.XAlign = -0.8
	return p, nil
}
