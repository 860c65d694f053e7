package file

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/sluicegate/sluice/config"
)

// Stdin is the path that stands for standard input in [Load].
const Stdin = "-"

// Load reads files, folders and, for [Stdin], standard input once. Whatever is wrong
// inside them is in the Delta's Conditions, and the objects that do parse are in Set.
// A path that is not there, or cannot be read at all, is an error.
func Load(paths ...string) (config.Delta, error) {
	opt := Options{Dirs: slices.DeleteFunc(slices.Clone(paths), func(p string) bool { return p == Stdin })}.withDefaults()
	set := newSet()
	if slices.Contains(paths, Stdin) {
		c, err := readStdin(os.Stdin, opt.MaxFileSize)
		if err != nil {
			return config.Delta{}, err
		}
		set.replace(Stdin, c)
	}
	t := look(opt.Dirs, func(string, bool) {})
	for _, u := range t.unseen {
		if u.path == opt.Dirs[u.root] {
			return config.Delta{}, fmt.Errorf("cannot read configuration: %s", reasonFor(t, u.path))
		}
	}
	entries := slices.SortedFunc(maps.Values(t.files), func(a, b *entry) int { return strings.Compare(a.path, b.path) })
	contents, _ := readAll(entries, opt.MaxFileSize, func(string) *content { return nil })
	for _, c := range contents {
		if c.unread && c.path == opt.Dirs[c.root] {
			return config.Delta{}, fmt.Errorf("cannot read configuration: %s", c.conditions[0].Message)
		}
		set.replace(c.path, c)
	}
	delta, _ := set.delta(t.faults)
	return delta, nil
}

// reasonFor returns why a root could not be looked into.
func reasonFor(t *tree, path string) string {
	for _, c := range t.faults {
		if c.Object.Name == path {
			why, _, _ := strings.Cut(c.Message, ". ")
			return why
		}
	}
	return path
}

func readStdin(r io.Reader, limit int64) (*content, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read standard input: %w", err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("standard input has more than %d bytes", limit)
	}
	d := &draft{content: content{place: place{path: Stdin}, readAt: time.Now()}}
	d.take(data)
	parse([]*draft{d})
	d.keepTexts()
	return d.finish(), nil
}
