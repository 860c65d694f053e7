package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/sluicegate/sluice/admin"
)

// topScreen is the live table (a model of Bubble Tea).
type topScreen struct {
	ctx    context.Context
	o      topOptions
	paint  painter
	before *admin.RouteStats
	now    *admin.RouteStats
	err    error
	height int
	paused bool
}

// topLook is a look at the proxy that has come back.
type topLook struct {
	stats *admin.RouteStats
	err   error
}

// topTick says that it is time for another.
type topTick struct{}

// runTopScreen runs the table until q, Ctrl-C or the end of ctx.
func runTopScreen(ctx context.Context, o topOptions, out *os.File) error {
	first, err := o.look(ctx)
	if err != nil {
		return err
	}
	screen := topScreen{ctx: ctx, o: o, paint: newPainter(out), now: first}
	_, err = tea.NewProgram(screen, tea.WithContext(ctx), tea.WithOutput(out)).Run()
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// Init begins with a wait: the first look is there.
func (s topScreen) Init() tea.Cmd { return s.wait() }

func (s topScreen) wait() tea.Cmd {
	return tea.Tick(s.o.interval, func(time.Time) tea.Msg { return topTick{} })
}

func (s topScreen) look() tea.Msg {
	stats, err := s.o.look(s.ctx)
	return topLook{stats, err}
}

// Update takes what happened.
func (s topScreen) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case topTick:
		if s.paused {
			return s, s.wait()
		}
		return s, s.look
	case topLook:
		if s.err = msg.err; msg.err == nil {
			s.before, s.now = s.now, msg.stats
		}
		return s, s.wait()
	case tea.WindowSizeMsg:
		s.height = msg.Height
	case tea.KeyPressMsg:
		return s.key(msg.String())
	}
	return s, nil
}

// topKeys are the keys that sort.
var topKeys = map[string]string{"r": sortRate, "e": sortErrors, "l": sortLatency, "n": sortName}

func (s topScreen) key(name string) (tea.Model, tea.Cmd) {
	switch name {
	case "q", "esc", "ctrl+c":
		return s, tea.Quit
	case "p", "space":
		s.paused = !s.paused
	}
	if by := topKeys[name]; by != "" {
		s.o.sort = by
	}
	return s, nil
}

// View draws the table.
func (s topScreen) View() tea.View {
	v := tea.NewView(s.content())
	v.AltScreen = true
	v.WindowTitle = "sluice top"
	return v
}

func (s topScreen) content() string {
	var b strings.Builder
	before := s.before
	if before == nil {
		before = s.now
	}
	rows := topRows(before, s.now, s.o.sort)
	state := ""
	if s.paused {
		state = "  (paused)"
	}
	fmt.Fprintf(&b, "%s  %s  %s%s\n", s.paint.paint(inkBold, "sluice top"), s.now.Time.Local().Format(time.TimeOnly), topTotal(rows), state)
	if s.err != nil {
		fmt.Fprintln(&b, s.paint.paint(inkRed, s.err.Error()))
	}
	most := 0
	if s.height > 0 {
		most = max(s.height-5, 1)
	}
	writeTable(&b, s.paint, "", topTable(rows, most))
	fmt.Fprintf(&b, "\n%s", s.paint.paint(inkDim, "by "+s.o.sort+"; sort by r rate, e errors, l latency, n name; p pauses, q ends"))
	return b.String()
}
