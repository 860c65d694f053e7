package report

import (
	"fmt"
	"image/color"
	"path/filepath"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"github.com/sluicegate/sluice/loadtest/work"
)

// colours are the peers', in their order; the subject's stands out.
var colours = []color.Color{
	color.RGBA{0x00, 0x6d, 0x77, 0xff}, color.RGBA{0xb0, 0xb7, 0xbd, 0xff}, color.RGBA{0x8d, 0x99, 0xae, 0xff},
	color.RGBA{0xe0, 0x9f, 0x3e, 0xff}, color.RGBA{0x9e, 0x2a, 0x2b, 0xff}, color.RGBA{0x54, 0x0b, 0x0e, 0xff},
}

// Plots draws processor time and latency into a folder, each as SVG and PNG, and returns the
// files' names.
func (s *Summary) Plots(dir string, titles map[string]string) ([]string, error) {
	var names []string
	for _, p := range []struct {
		file, title string
		key         Key
		scale       float64
	}{
		{"cpu", "Processor time of a request, microseconds", Key{Figure: work.CPU}, 1},
		{"p99", "99 of 100 requests take at most, milliseconds", Key{Figure: work.Latency, Detail: "p99"}, 1000},
		{"memory", "Resident after the work, MB", Key{Figure: work.Memory}, 1e6},
	} {
		written, err := s.bars(filepath.Join(dir, p.file), p.title, p.key, p.scale, titles)
		if err != nil {
			return names, err
		}
		names = append(names, written...)
	}
	return names, nil
}

// bars draws one figure of all works, a group of bars each.
func (s *Summary) bars(file, title string, k Key, scale float64, titles map[string]string) ([]string, error) {
	var works []string
	for _, name := range s.Works {
		if k.Work = name; len(s.records[k]) > 0 {
			works = append(works, name)
		}
	}
	if len(works) == 0 {
		return nil, nil
	}
	p := plot.New()
	p.Title.Text = title
	p.X.Min = 0
	width := vg.Points(9)
	for i, peer := range s.Peers {
		values := make(plotter.Values, len(works))
		for n, name := range works {
			k.Work = name
			values[len(works)-1-n] = s.Value(k, peer).Median / scale
		}
		bars, err := plotter.NewBarChart(values, width)
		if err != nil {
			return nil, err
		}
		bars.Horizontal = true
		bars.LineStyle.Width = 0
		bars.Color = colours[i%len(colours)]
		bars.Offset = vg.Length(len(s.Peers)/2-i) * width
		p.Add(bars)
		p.Legend.Add(peer, bars)
	}
	labels := make([]string, len(works))
	for n, name := range works {
		labels[len(works)-1-n] = titles[name]
	}
	p.NominalY(labels...)
	p.Legend.Top = true
	height := vg.Length(len(works)*(len(s.Peers)+2))*width + vg.Points(80)
	var written []string
	for _, kind := range []string{".svg", ".png"} {
		if err := p.Save(vg.Points(720), height, file+kind); err != nil {
			return written, fmt.Errorf("plot %s: %w", file+kind, err)
		}
		written = append(written, file+kind)
	}
	return written, nil
}
