package report

import (
	"errors"
	"fmt"
	"image/color"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"github.com/sluicegate/sluice/loadtest/work"
)

// colours are the peers', in their order.
var colours = []color.Color{
	color.RGBA{0x00, 0x6d, 0x77, 0xff}, color.RGBA{0x8d, 0x99, 0xae, 0xff},
	color.RGBA{0xe0, 0x9f, 0x3e, 0xff}, color.RGBA{0x9e, 0x2a, 0x2b, 0xff}, color.RGBA{0x54, 0x0b, 0x0e, 0xff},
}

// Plots draws processor time, latency and memory into a folder, each as SVG and PNG, and returns
// the files' names. Of a figure that nobody else has there is no plot, nor one of an earlier run.
func (s *Summary) Plots(dir string, titles map[string]string) ([]string, error) {
	var names []string
	for _, p := range []struct {
		file, title string
		key         Key
	}{
		{"cpu", "Processor time of a request", Key{Figure: work.CPU}},
		{"p99", "What 99 of 100 requests take at most", Key{Figure: work.Latency, Detail: "p99"}},
		{"memory", "Resident after the work", Key{Figure: work.Memory}},
	} {
		written, err := s.bars(filepath.Join(dir, p.file), p.title, p.key, titles)
		if err != nil {
			return names, err
		}
		names = append(names, written...)
	}
	return names, nil
}

// bars draws one figure of all works, a group of bars each: the subject's over each peer's, since
// works differ by a thousand times in what they cost.
func (s *Summary) bars(file, title string, k Key, titles map[string]string) ([]string, error) {
	works, peers := s.compared(k)
	if len(works) == 0 {
		for _, kind := range kinds {
			if err := os.Remove(file + kind); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
		}
		return nil, nil
	}
	p := plot.New()
	p.Title.Text = fmt.Sprintf("%s: %s next to each peer", title, s.Peers[0])
	p.X.Label.Text = "below 1 is less than the peer"
	most := 1.
	for i, peer := range peers {
		values := make(plotter.Values, len(works))
		for n, name := range works {
			k.Work = name
			ratio := s.Ratio(k, peer).Median
			values[len(works)-1-n] = ratio
			most = max(most, ratio)
		}
		bars, err := plotter.NewBarChart(values, barWidth)
		if err != nil {
			return nil, err
		}
		bars.Horizontal = true
		bars.LineStyle.Width = 0
		bars.Color = colours[i%len(colours)]
		bars.Offset = barWidth * (vg.Length(len(peers)-1)/2 - vg.Length(i))
		p.Add(bars)
		p.Legend.Add("of "+peer, bars)
	}
	par, err := plotter.NewLine(plotter.XYs{{X: 1, Y: -.5}, {X: 1, Y: float64(len(works)) - .5}})
	if err != nil {
		return nil, err
	}
	p.Add(par)
	labels := make([]string, len(works))
	for n, name := range works {
		labels[len(works)-1-n] = titles[name]
	}
	p.NominalY(labels...)
	p.X.Min, p.X.Max = 0, most*1.25 // The legend stands where no bar reaches.
	p.Legend.Top = true
	return save(p, file, vg.Length(len(works)*(len(peers)+1))*barWidth+vg.Points(90))
}

const barWidth = vg.Length(8)

// compared returns the works in which a figure of the subject has one of a peer beside it, and
// these peers.
func (s *Summary) compared(k Key) (works, peers []string) {
	for _, peer := range s.Peers[1:] {
		for _, name := range s.Works {
			if k.Work = name; s.Ratio(k, peer).Rounds == 0 {
				continue
			}
			if !slices.Contains(works, name) {
				works = append(works, name)
			}
			if !slices.Contains(peers, peer) {
				peers = append(peers, peer)
			}
		}
	}
	slices.SortFunc(works, func(a, b string) int { return slices.Index(s.Works, a) - slices.Index(s.Works, b) })
	return works, peers
}

// kinds are the forms that a plot is saved in.
var kinds = []string{".svg", ".png"}

// save writes a plot in both forms.
func save(p *plot.Plot, file string, height vg.Length) (written []string, err error) {
	for _, kind := range kinds {
		if err := p.Save(vg.Points(720), height, file+kind); err != nil {
			return written, fmt.Errorf("plot %s: %w", file+kind, err)
		}
		written = append(written, file+kind)
	}
	return written, nil
}
