package file

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/config"
)

// document is one YAML document and what it holds. It never changes, and the
// versions of a file share those whose text is the same.
type document struct {
	text []byte
	// line is where the text began when it was parsed; objects and conditions
	// count from there.
	line       int
	objects    []item
	conditions []config.Condition
	// broken: something in it does not parse, so that objects may be missing.
	broken bool
}

// standing is a document where it stands in one version of a file.
type standing struct {
	*document
	line int
}

// shift is how far the document has moved down since it was parsed.
func (s standing) shift() int { return s.line - s.document.line }

// item is an object and where it stands: an object whose text did not change keeps
// its pointer, and so the line of its youth.
type item struct {
	*config.Object
	line int
}

// content is what one version of a file gives. It never changes.
type content struct {
	place
	info   fs.FileInfo
	readAt time.Time
	// docs are those in force: of the last version without a fault, if there was one.
	docs []standing
	// items are the objects in docs, keys the index of the first with each key.
	items []item
	keys  map[config.Key]int
	// conditions are those of this version, whatever is in force.
	conditions []config.Condition
	// faulty: this version gives nothing of its own, or not everything.
	faulty bool
	// unread: reading failed, which a change of permissions can mend.
	unread bool
}

// racy is how much older than its reading a file's time must be, so that an equal
// time means equal text: file systems may stamp writes in steps of a clock tick.
const racy = 50 * time.Millisecond

// current says whether the file is as it was when it was read.
func (c *content) current(info fs.FileInfo) bool {
	return !c.unread && os.SameFile(c.info, info) && c.info.Size() == info.Size() &&
		c.info.ModTime().Equal(info.ModTime()) && c.readAt.Sub(info.ModTime()) > racy
}

// get returns the object of that key, nil if there is none. A nil content has none.
func (c *content) get(key config.Key) *config.Object {
	if c == nil {
		return nil
	}
	if i, ok := c.keys[key]; ok {
		return c.items[i].Object
	}
	return nil
}

// loses says whether next lacks an object that c has.
func (c *content) loses(next *content) bool {
	if c == nil {
		return false
	}
	if next == nil {
		return len(c.keys) > 0
	}
	for _, key := range changed(c, next) {
		if c.get(key) != nil && next.get(key) == nil {
			return true
		}
	}
	return false
}

// draft is a version of a file on its way to be a content.
type draft struct {
	content
	had   *content
	fresh []*document
	// hollow: the file has no text at all.
	hollow bool
}

// readAll reads files and parses what is new in them. had returns what is in force
// of a file, nil if nothing is.
func readAll(entries []*entry, limit int64, had func(path string) *content) []*content {
	drafts := make([]*draft, len(entries))
	for i, e := range entries {
		drafts[i] = read(e, limit, had(e.path))
	}
	parse(drafts)
	all := make([]*content, len(drafts))
	for i, d := range drafts {
		all[i] = d.finish()
	}
	return all
}

// read reads a file and finds the documents that it has in common with what is in force.
func read(e *entry, limit int64, had *content) *draft {
	d := &draft{content: content{place: e.place, info: e.info, readAt: time.Now()}, had: had}
	data, err := load(e.real, limit)
	if err != nil {
		d.unread = true
		d.fault(ReasonUnreadable, plain(err)+"; let this process read it, or remove it")
		return d
	}
	d.take(data)
	return d
}

func (d *draft) take(data []byte) {
	texts := config.SplitDocuments(data)
	d.hollow = len(bytes.TrimSpace(data)) == 0
	var old []standing
	if d.had != nil {
		old = d.had.docs
	}
	d.docs, d.fresh = match(old, texts)
}

// fault notes that the file as a whole is not usable.
func (d *draft) fault(reason config.Reason, message string) {
	d.conditions = append(d.conditions, config.Condition{
		Severity: config.Error, Reason: reason, Object: fileKey(d.path), File: d.path, Message: message + d.kept(),
	})
}

// kept says, at the end of a message, what is in force instead of this version.
func (d *draft) kept() string {
	if d.had == nil || len(d.had.items) == 0 {
		return ""
	}
	return fmt.Sprintf(". Until then what it gave before stays in force: %d objects", len(d.had.items))
}

// load reads a regular file of at most limit bytes.
func load(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	data := make([]byte, 0, info.Size()+1)
	for {
		n, err := f.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		switch {
		case int64(len(data)) > limit:
			return nil, fmt.Errorf("it has more than %d bytes", limit)
		case err == io.EOF:
			return data, nil
		case err != nil:
			return nil, err
		case len(data) == cap(data):
			data = append(data, 0)[:len(data)]
		}
	}
}

// match pairs texts with documents that have the same text, from both ends first:
// most changes are one edit in one place. It returns a document for each text, and
// those of them that are new and must be parsed.
func match(old []standing, texts []config.Document) (docs []standing, fresh []*document) {
	docs = make([]standing, len(texts))
	head := 0
	for head < len(texts) && head < len(old) && bytes.Equal(texts[head].Text, old[head].text) {
		docs[head] = standing{old[head].document, texts[head].Line}
		head++
	}
	end, oldEnd := len(texts), len(old)
	for end > head && oldEnd > head && bytes.Equal(texts[end-1].Text, old[oldEnd-1].text) {
		end, oldEnd = end-1, oldEnd-1
		docs[end] = standing{old[oldEnd].document, texts[end].Line}
	}
	between := make(map[string]*document, oldEnd-head)
	for _, o := range old[head:oldEnd] {
		between[string(o.text)] = o.document
	}
	for i := head; i < end; i++ {
		t := texts[i]
		d := between[string(t.Text)]
		if d == nil {
			// A copy, so that one changed object does not keep its whole file in memory.
			d = &document{text: bytes.Clone(t.Text), line: t.Line}
			fresh = append(fresh, d)
		}
		delete(between, string(t.Text))
		docs[i] = standing{d, t.Line}
	}
	return docs, fresh
}

// parse parses the fresh documents of all drafts, on all processors.
func parse(drafts []*draft) {
	type job struct {
		*document
		draft *draft
	}
	var jobs []job
	for _, d := range drafts {
		for _, doc := range d.fresh {
			jobs = append(jobs, job{doc, d})
		}
	}
	var next atomic.Int64
	work := func() {
		for {
			i := int(next.Add(1)) - 1
			if i >= len(jobs) {
				return
			}
			jobs[i].parse(jobs[i].draft.path, jobs[i].draft.had)
		}
	}
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(jobs)) - 1 {
		wg.Go(work)
	}
	work()
	wg.Wait()
}

// parse fills in what the document holds. Of a List, the items whose text is that of
// an object in force are that object.
func (d *document) parse(path string, had *content) {
	var objects []*config.Object
	objects, d.conditions = config.ParseObjects(config.Document{Line: d.line, Text: d.text}, path)
	for _, o := range objects {
		it := item{o, o.Line}
		if old := had.get(o.Key); old != nil && old.Version == o.Version && bytes.Equal(old.Manifest, o.Manifest) {
			it.Object = old
		}
		d.objects = append(d.objects, it)
	}
	for _, c := range d.conditions {
		d.broken = d.broken || c.Severity == config.Error
	}
}

// finish decides what of the draft is in force.
func (d *draft) finish() *content {
	for _, s := range d.docs {
		d.faulty = d.faulty || s.broken
		for _, c := range s.conditions {
			if c.Line > 0 {
				c.Line += s.shift()
			}
			d.conditions = append(d.conditions, c)
		}
	}
	had := d.had != nil && len(d.had.items) > 0
	switch {
	case d.unread:
		d.faulty = true
	case d.faulty && had:
		d.fault(ReasonKept, "it has errors; mend them")
	case d.hollow && had:
		d.fault(ReasonEmpty, "the file is empty, as if it were about to be written. Delete it, or leave a comment in it, to remove its objects")
	}
	d.faulty = d.faulty || d.hollow
	if d.faulty && had {
		d.docs = d.had.docs
	}
	d.index()
	c := d.content
	return &c
}

// index lists the objects of the documents in force.
func (c *content) index() {
	c.keys = make(map[config.Key]int, len(c.docs))
	c.items = make([]item, 0, len(c.docs))
	for _, s := range c.docs {
		for _, it := range s.objects {
			it.line += s.shift()
			o := it.Object
			if first, ok := c.keys[o.Key]; ok {
				c.conditions = append(c.conditions, duplicate(it, c.path, c.items[first], c.path))
			} else {
				c.keys[o.Key] = len(c.items)
			}
			c.items = append(c.items, it)
		}
	}
}

// duplicate says that an object is not in force because of another with its key.
func duplicate(lost item, lostPath string, first item, firstPath string) config.Condition {
	c := config.Condition{
		Severity: config.Error, Reason: ReasonDuplicate, Object: lost.Key, File: lostPath, Line: lost.line,
		Message: fmt.Sprintf("it is also in %s:%d, which is read first and is in force; remove one of them", firstPath, first.line),
	}
	if bytes.Equal(lost.Manifest, first.Manifest) {
		c.Severity = config.Warning
	}
	return c
}

// changed returns the keys of objects in documents that the two versions do not
// share. Either may be nil. A key may be there twice.
func changed(a, b *content) (keys []config.Key) {
	var old, now []standing
	if a != nil {
		old = a.docs
	}
	if b != nil {
		now = b.docs
	}
	for len(old) > 0 && len(now) > 0 && old[0].document == now[0].document {
		old, now = old[1:], now[1:]
	}
	for len(old) > 0 && len(now) > 0 && old[len(old)-1].document == now[len(now)-1].document {
		old, now = old[:len(old)-1], now[:len(now)-1]
	}
	for _, part := range [][]standing{old, now} {
		for _, s := range part {
			for _, o := range s.objects {
				keys = append(keys, o.Key)
			}
		}
	}
	return keys
}
