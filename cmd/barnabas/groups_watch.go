package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/mattn/go-runewidth"
)

// liveLag draws the rounds on a terminal until the reader has seen enough.
func (a *app) liveLag(ctx context.Context, l *lagFlags, read func(context.Context, string) lagRound) error {
	m := lagScreen{by: l.by, interval: l.interval, rounds: l.rounds, paint: a.paint, say: func(err error) string { return a.explain(err).what },
		read: func(by string) tea.Cmd { return func() tea.Msg { return lagMsg{read(ctx, by), by} } }}
	keys := a.in
	if !a.inTTY {
		keys = nil // a pipe or /dev/null types nothing; ctrl-C ends the program as a signal
	}
	end, err := tea.NewProgram(m, tea.WithContext(ctx), tea.WithInput(keys), tea.WithOutput(a.out), tea.WithoutSignalHandler()).Run()
	switch {
	case errors.Is(err, tea.ErrProgramKilled) && ctx.Err() != nil:
		return nil
	case err != nil:
		return wrap(err, "drawing on the terminal")
	}
	return end.(lagScreen).round.err
}

// lagScreen is what the live view shows. It is a value: every message makes the next one.
type lagScreen struct {
	read          func(by string) tea.Cmd
	say           func(error) string
	interval      time.Duration
	rounds        int // 0: no end
	paint         bool
	by            string
	byName        bool
	round         lagRound // the last one; rows stay when a round fails
	seen          int
	width, height int
	top           int // first row on the screen
}

// lagMsg is a round that was read; one asked for under another grouping is out of date.
type lagMsg struct {
	lagRound
	by string
}

// lagTick is the time for the next round.
type lagTick struct{}

func (m lagScreen) Init() tea.Cmd { return m.read(m.by) }

func (m lagScreen) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case lagTick:
		return m, m.read(m.by)
	case lagMsg:
		if msg.by != m.by {
			return m, m.read(m.by)
		}
		m.seen++
		rows := m.round.rows
		m.round = msg.lagRound
		if msg.err != nil {
			m.round.rows = rows
		}
		sortLag(m.round.rows, m.byName)
		if m.seen == m.rounds {
			return m, tea.Quit
		}
		m = m.scroll(0)
		return m, tea.Tick(m.interval, func(time.Time) tea.Msg { return lagTick{} })
	case tea.KeyPressMsg:
		switch msg.String() {
		case "q", "esc", "ctrl+c":
			m.round.err = nil
			return m, tea.Quit
		case "up", "k":
			return m.scroll(-1), nil
		case "down", "j":
			return m.scroll(1), nil
		case "pgup":
			return m.scroll(-m.page()), nil
		case "pgdown", "space":
			return m.scroll(m.page()), nil
		case "home":
			return m.scroll(-len(m.round.rows)), nil
		case "end":
			return m.scroll(len(m.round.rows)), nil
		case "g": // shown when the round that was waited for arrives, at the latest after one interval
			m.by = lagGroupings[(slices.Index(lagGroupings, m.by)+1)%len(lagGroupings)]
			m.top = 0
		case "s":
			m.byName = !m.byName
			sortLag(m.round.rows, m.byName)
		}
	}
	return m, nil
}

// page is how many rows fit: all lines but the head, the titles and the foot.
func (m lagScreen) page() int { return max(1, m.height-4) }

func (m lagScreen) scroll(by int) lagScreen {
	m.top = max(0, min(m.top+by, len(m.round.rows)-m.page()))
	return m
}

func (m lagScreen) View() tea.View {
	v := tea.NewView(m.text())
	v.AltScreen = true
	return v
}

// text is the screen: a head line, the rows that fit, and the keys. No line is wider than the terminal, so none wraps.
func (m lagScreen) text() string {
	var b strings.Builder
	line := func(s, style string) {
		if m.width > 0 {
			s = runewidth.Truncate(s, m.width, "…")
		}
		if m.paint && style != "" {
			s = style + s + "\x1b[0m"
		}
		b.WriteString(s + "\n")
	}
	const head, dim, alarm = "\x1b[1;36m", "\x1b[2m", "\x1b[31m"
	switch {
	case m.seen == 0:
		line("lag: asking the cluster ...", head)
		return b.String()
	case m.round.err != nil:
		line("lag: "+printable(oneLine(m.say(m.round.err)))+"; trying again", alarm)
	default:
		line(fmt.Sprintf("lag by %s at %s, every %s", m.by, m.round.at.Format("15:04:05"), m.interval), head)
	}
	b.WriteString("\n")
	var t strings.Builder
	lagTable(m.round.rows).draw(&t, false)
	lines := strings.Split(strings.TrimRight(t.String(), "\n"), "\n")
	line(lines[0], "\x1b[1m")
	rows := lines[1:]
	shown := rows
	if m.height > 0 {
		shown = rows[min(m.top, len(rows)):min(m.top+m.page(), len(rows))]
	}
	for _, s := range shown {
		line(s, "")
	}
	foot := "q quit  g group, topic, partition  s sort"
	if len(shown) < len(rows) {
		foot = fmt.Sprintf("rows %d-%d of %d, arrows scroll  ", m.top+1, m.top+len(shown), len(rows)) + foot
	}
	line(foot, dim)
	return strings.TrimSuffix(b.String(), "\n")
}
