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

// draft is a version of a file on its way to be a content.
type draft struct {
	content
	had *content
	// was are the indexes of the docs in had, of each that is the same there; -1 for the others,
	// which are the fresh ones. It is nil where all are.
	was   []int32
	fresh []unparsed
	// blocks are those of the fresh documents' texts, where they are kept in such.
	blocks []*block
	// hollow: the file has no text at all.
	hollow bool
}

// unparsed is a document that was not there before.
type unparsed struct {
	// at is its index.
	at int
	// text is nil once it is parsed; objects keep their own.
	text    []byte
	objects []*config.Object
	// details are those of the objects, nil if there is one that is the whole document.
	details []detail
	trouble *trouble
}

// readAll reads files and parses what is new in them. had returns what is in force
// of a file, nil if nothing is. The blocks hold the texts of new objects, for the caller to pack.
func readAll(entries []*entry, limit int64, had func(path string) *content) ([]*content, []*block) {
	drafts := make([]*draft, len(entries))
	each(len(entries), func(i int) { drafts[i] = read(entries[i], limit, had(entries[i].path)) })
	parse(drafts)
	all := make([]*content, len(drafts))
	each(len(drafts), func(i int) {
		drafts[i].keepTexts()
		all[i] = drafts[i].finish()
	})
	var blocks []*block
	for _, d := range drafts {
		blocks = append(blocks, d.blocks...)
	}
	return all, blocks
}

// keepTexts has the texts of new objects kept in blocks, so that they do not keep the whole
// file in memory.
func (d *draft) keepTexts() {
	var k keeper
	for _, doc := range d.fresh {
		for _, o := range doc.objects {
			k.left += len(loose(o))
		}
	}
	for _, doc := range d.fresh {
		for _, o := range doc.objects {
			k.keep(o)
		}
	}
	k.flush()
	d.blocks = k.blocks
}

// each calls f with 0 to n-1, on all processors.
func each(n int, f func(i int)) {
	var next atomic.Int64
	work := func() {
		for {
			i := int(next.Add(1)) - 1
			if i >= n {
				return
			}
			f(i)
		}
	}
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), n) - 1 {
		wg.Go(work)
	}
	work()
	wg.Wait()
}

// read reads a file and finds the documents that it has in common with what is in force.
func read(e *entry, limit int64, had *content) *draft {
	d := &draft{content: content{place: e.place, info: e.info, readAt: time.Now()}, had: had}
	data, err := load(e.real, limit)
	if err != nil {
		d.unread = true
		message := plain(err)
		if errors.Is(err, fs.ErrPermission) {
			message += "; let this process read it"
		}
		d.fault(ReasonUnreadable, message)
		return d
	}
	d.take(data)
	return d
}

func (d *draft) take(data []byte) {
	texts := config.SplitDocuments(data)
	d.hollow = len(bytes.TrimSpace(data)) == 0
	d.docs = make([]document, len(texts))
	for i, t := range texts {
		d.docs[i] = document{digest: digestOf(t.Text), line: int32(t.Line)}
	}
	if d.had != nil && len(d.had.docs) > 0 {
		d.match(d.had.docs)
	} else {
		d.fresh = make([]unparsed, 0, len(texts))
	}
	for i, t := range texts {
		if d.before(i) < 0 {
			d.fresh = append(d.fresh, unparsed{at: i, text: t.Text})
		}
	}
}

// before is the index of a document in the version before, negative if it is fresh.
func (d *draft) before(doc int) int {
	if d.was == nil {
		return -1
	}
	return int(d.was[doc])
}

// fault notes that the file as a whole is not usable.
func (d *draft) fault(reason config.Reason, message string) {
	d.conditions = append(d.conditions, config.Condition{
		Severity: config.Error, Reason: reason, Object: fileKey(d.path), File: d.path, Message: message + d.kept(),
	})
}

// kept says, at the end of a message, what is in force instead of this version.
func (d *draft) kept() string {
	if d.had == nil || len(d.had.objects) == 0 {
		return ""
	}
	return fmt.Sprintf(". Until then what it gave before stays in force: %d objects", len(d.had.objects))
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
	switch {
	case !info.Mode().IsRegular():
		return nil, errors.New("not a regular file")
	case info.Size() > limit:
		return nil, tooLarge(limit)
	}
	data := make([]byte, 0, info.Size()+1)
	for {
		n, err := f.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		switch {
		case int64(len(data)) > limit:
			return nil, tooLarge(limit)
		case err == io.EOF:
			return data, nil
		case err != nil:
			return nil, err
		case int64(len(data)) == info.Size() && n > 0:
			return data, nil
		case len(data) == cap(data):
			data = append(data, 0)[:len(data)]
		}
	}
}

func tooLarge(limit int64) error { return fmt.Errorf("it has more than %d bytes; split it", limit) }

// match pairs the documents with old ones that have the same text, from both ends first:
// most changes are one edit in one place.
func (d *draft) match(old []document) {
	d.was = make([]int32, len(d.docs))
	head := 0
	for head < len(d.docs) && head < len(old) && d.docs[head].digest == old[head].digest {
		d.was[head] = int32(head)
		head++
	}
	end, oldEnd := len(d.docs), len(old)
	for end > head && oldEnd > head && d.docs[end-1].digest == old[oldEnd-1].digest {
		end, oldEnd = end-1, oldEnd-1
		d.was[end] = int32(oldEnd)
	}
	between := make(map[digest]int32, oldEnd-head)
	for i := head; i < oldEnd; i++ {
		between[old[i].digest] = int32(i)
	}
	for i := head; i < end; i++ {
		was, there := between[d.docs[i].digest]
		if !there {
			was = -1
		}
		d.was[i] = was
		delete(between, d.docs[i].digest)
	}
}

// parse parses the fresh documents of all drafts.
func parse(drafts []*draft) {
	type job struct {
		*unparsed
		draft *draft
	}
	var jobs []job
	for _, d := range drafts {
		for i := range d.fresh {
			jobs = append(jobs, job{&d.fresh[i], d})
		}
	}
	each(len(jobs), func(i int) { jobs[i].parse(jobs[i].draft.docs[jobs[i].at], jobs[i].draft.path, jobs[i].draft.had) })
}

// parse finds what the document holds. Of a List, the items whose text is that of
// an object in force are that object.
func (d *unparsed) parse(doc document, path string, had *content) {
	objects, conditions := config.ParseObjects(config.Document{Line: int(doc.line), Text: d.text}, path)
	if len(objects) > 1 || len(objects) == 1 && !isWhole(objects[0].Text(), d.text) {
		d.details = make([]detail, len(objects))
	}
	for i, o := range objects {
		own := doc.digest
		if d.details != nil {
			own = digestOf(o.Text())
			d.details[i] = detail{own, int32(o.Line) - doc.line}
		}
		if at, ok := had.find(o.Key); ok && had.objects[at].Version == o.Version && had.textDigest(at) == own {
			objects[i] = had.objects[at]
		}
	}
	d.objects, d.text = objects, nil
	if len(conditions) == 0 {
		return
	}
	d.trouble = &trouble{line: doc.line, conditions: conditions}
	for i := range conditions {
		switch c := &conditions[i]; {
		case c.Severity != config.Error:
		case c.Reason == config.BadMetadata && identified(c.Object):
			d.trouble.refused = append(d.trouble.refused, c.Object)
			if had.get(c.Object) != nil {
				c.Message += "; its last version stays in force"
			}
		default:
			d.trouble.broken = true
		}
	}
}

// isWhole says whether an object's text is that of its document, not a part of it or another.
func isWhole(text, document []byte) bool {
	return len(text) == len(document) && &text[0] == &document[0]
}

// identified says whether a condition names an object, and not just a file or what
// was never named in full.
func identified(key config.Key) bool {
	return key.Name != "" && key.Kind != "File" && key.Kind != "Object"
}
