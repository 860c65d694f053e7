package file

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicegate/sluice/config"
)

// draft is a version of a file on its way to be a content.
type draft struct {
	content
	had   *content
	fresh []unparsed
	// blocks are those of the fresh documents' texts, where they are kept in such.
	blocks []*block
	// hollow: the file has no text at all.
	hollow bool
}

// unparsed is a document, and its text until that is parsed; objects keep their own.
type unparsed struct {
	*document
	text []byte
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
		for _, it := range doc.objects {
			k.left += len(it.Manifest)
		}
	}
	for _, doc := range d.fresh {
		for _, it := range doc.objects {
			if it.Manifest != nil {
				k.keep(it.Object)
			}
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

// match pairs texts with documents that have the same text, from both ends first:
// most changes are one edit in one place. It returns a document for each text, and
// those of them that are new and must be parsed.
func match(old []standing, texts []config.Document) (docs []standing, fresh []unparsed) {
	docs = make([]standing, len(texts))
	digests := make([]digest, len(texts))
	for i, t := range texts {
		digests[i] = digestOf(t.Text)
	}
	head := 0
	for head < len(texts) && head < len(old) && digests[head] == old[head].digest {
		docs[head] = standing{old[head].document, texts[head].Line}
		head++
	}
	end, oldEnd := len(texts), len(old)
	for end > head && oldEnd > head && digests[end-1] == old[oldEnd-1].digest {
		end, oldEnd = end-1, oldEnd-1
		docs[end] = standing{old[oldEnd].document, texts[end].Line}
	}
	between := make(map[digest]*document, oldEnd-head)
	for _, o := range old[head:oldEnd] {
		between[o.digest] = o.document
	}
	for i := head; i < end; i++ {
		t := texts[i]
		d := between[digests[i]]
		if d == nil {
			d = &document{digest: digests[i], line: t.Line}
			fresh = append(fresh, unparsed{d, t.Text})
		}
		delete(between, digests[i])
		docs[i] = standing{d, t.Line}
	}
	return docs, fresh
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
	each(len(jobs), func(i int) { jobs[i].parse(jobs[i].draft.path, jobs[i].draft.had) })
}

// parse fills in what the document holds. Of a List, the items whose text is that of
// an object in force are that object.
func (d *unparsed) parse(path string, had *content) {
	objects, conditions := config.ParseObjects(config.Document{Line: d.line, Text: d.text}, path)
	d.text = nil
	d.objects = make([]item, 0, len(objects))
	for _, o := range objects {
		it := item{o, o.Line}
		if old := had.get(o.Key); old != nil && old.Version == o.Version && sameText(old, o) {
			it.Object = old
		}
		d.objects = append(d.objects, it)
	}
	if len(conditions) == 0 {
		return
	}
	few := &trouble{conditions: conditions}
	d.few = few
	for i := range conditions {
		switch c := &conditions[i]; {
		case c.Severity != config.Error:
		case c.Reason == config.BadMetadata && identified(c.Object):
			few.refused = append(few.refused, c.Object)
			if had.get(c.Object) != nil {
				c.Message += "; its last version stays in force"
			}
		default:
			few.broken = true
		}
	}
}

// identified says whether a condition names an object, and not just a file or what
// was never named in full.
func identified(key config.Key) bool {
	return key.Name != "" && key.Kind != "File" && key.Kind != "Object"
}

// finish decides what of the draft is in force.
func (d *draft) finish() *content {
	if d.had != nil && !d.unread && !d.hollow && !d.had.faulty && slices.Equal(d.docs, d.had.docs) {
		c := *d.had
		c.place, c.info, c.readAt = d.place, d.info, d.readAt
		return &c
	}
	for _, s := range d.docs {
		wrong := s.trouble()
		d.faulty = d.faulty || wrong.broken
		for _, c := range wrong.conditions {
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
	} else {
		d.carry()
	}
	d.index()
	c := d.content
	return &c
}

// carry takes over the last versions of objects that have an error of their own now,
// each as a document without text.
func (d *draft) carry() {
	var carried []standing
	for _, s := range d.docs {
		for _, key := range s.trouble().refused {
			if d.had.get(key) != nil {
				at, _ := d.had.find(key)
				old := d.had.items[at]
				carried = append(carried, standing{&document{line: old.line, objects: []item{old}, few: &trouble{carried: true}}, old.line})
			}
		}
	}
	d.docs = append(d.docs, carried...)
}
