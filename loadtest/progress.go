package main

import (
	"fmt"
	"io"
	"os"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/sluicegate/sluice/loadtest/run"
)

// progress shows how far a run is: a bar on a terminal, else a line for each work.
type progress struct {
	out  io.Writer
	bar  *progressbar.ProgressBar
	last string
	// begun tells that a step is under way.
	begun bool
}

func newProgress(out io.Writer, steps int) *progress {
	p := &progress{out: out}
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.bar = newBar(out, steps)
	}
	return p
}

func newBar(out io.Writer, steps int) *progressbar.ProgressBar {
	return progressbar.NewOptions(steps, progressbar.OptionSetWriter(out), progressbar.OptionShowCount(),
		progressbar.OptionSetPredictTime(true), progressbar.OptionClearOnFinish(), progressbar.OptionFullWidth())
}

// step tells of what begins.
func (p *progress) step(s run.Step) {
	if p.bar != nil {
		// The bar counts the steps that are done: it goes when it is full.
		if p.begun {
			p.bar.Add(1)
		}
		p.begun = true
		p.bar.Describe(fmt.Sprintf("%s: %s, %s", s.Work, s.Subject, s.What))
		return
	}
	if line := fmt.Sprintf("%s, round %d", s.Work, s.Round); line != p.last && s.Round > 0 {
		p.last = line
		fmt.Fprintln(p.out, line)
	}
}

func (p *progress) end() {
	if p.bar != nil {
		p.bar.Finish()
	}
}
