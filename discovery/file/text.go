package file

import (
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"io"
	"strings"
	"sync/atomic"
	"weak"

	"github.com/sluicegate/sluice/config"
)

// digest tells texts apart. It is the beginning of their SHA-256, so that nobody can write two
// that have the same.
type digest [16]byte

func digestOf(text []byte) digest {
	sum := sha256.Sum256(text)
	return digest(sum[:])
}

// blockSize is about how many bytes of text are packed together: many enough for objects that
// resemble each other, few enough to be unpacked for one of them.
const blockSize = 32 << 10

// block holds texts that were read together. They are looked at when their objects come into
// force, and then hardly ever again (when something else changes what an object means, or to
// find the line of a field), so that they are packed once that is over.
type block struct {
	// raw are the texts, nil once they are packed.
	raw    atomic.Pointer[[]byte]
	packed atomic.Pointer[[]byte]
	// unpacked are the texts as they were last unpacked, if that is still in memory.
	unpacked atomic.Pointer[weak.Pointer[[]byte]]
}

// texts returns all texts of the block.
func (b *block) texts() []byte {
	if raw := b.raw.Load(); raw != nil {
		return *raw
	}
	if last := b.unpacked.Load(); last != nil {
		if texts := last.Value(); texts != nil {
			return *texts
		}
	}
	// The reader of memory has no errors, and what was packed can be unpacked.
	texts, _ := io.ReadAll(flate.NewReader(bytes.NewReader(*b.packed.Load())))
	held := weak.Make(&texts)
	b.unpacked.Store(&held)
	return texts
}

// pack packs the blocks' texts.
func pack(blocks []*block) {
	if len(blocks) == 0 {
		return
	}
	var out bytes.Buffer
	// The fastest level: manifests shrink to a tenth all the same.
	w, _ := flate.NewWriter(&out, flate.BestSpeed)
	for _, b := range blocks {
		raw := b.raw.Load()
		if raw == nil {
			continue
		}
		out.Reset()
		w.Reset(&out)
		// A buffer takes everything.
		_, _ = w.Write(*raw)
		_ = w.Close()
		if out.Len() > len(*raw)*3/4 {
			continue
		}
		packed := bytes.Clone(out.Bytes())
		b.packed.Store(&packed)
		b.raw.Store(nil)
	}
}

// kept is the text of one object, a part of a block. It never changes.
type kept struct {
	*block
	from, to uint32
}

// Text returns the text.
func (k *kept) Text() []byte { return k.texts()[k.from:k.to:k.to] }

// keeper collects texts in blocks.
type keeper struct {
	blocks []*block
	texts  []byte
	waits  []*config.Object
	// left is how many bytes are still to come.
	left int
}

// loose returns the text of an object that is not kept in a block; nil for others.
func loose(o *config.Object) []byte {
	text, _ := o.Source.(config.Plain)
	return text
}

// keep has the object's text kept in a block, if it is not, from the next flush on.
func (k *keeper) keep(o *config.Object) {
	text := loose(o)
	if text == nil {
		return
	}
	if len(k.texts) > 0 && len(k.texts)+len(text) > blockSize {
		k.flush()
	}
	if k.texts == nil {
		k.texts = make([]byte, 0, max(min(k.left, blockSize), len(text)))
	}
	k.left -= len(text)
	k.texts = append(k.texts, text...)
	k.waits = append(k.waits, o)
}

// flush makes a block of what was collected.
func (k *keeper) flush() {
	if len(k.waits) == 0 {
		return
	}
	b, raw := &block{}, k.texts
	b.raw.Store(&raw)
	// They go together, as do the texts.
	parts, at := make([]kept, len(k.waits)), uint32(0)
	for i, o := range k.waits {
		to := at + uint32(len(loose(o)))
		parts[i] = kept{b, at, to}
		o.Source, at = &parts[i], to
	}
	joinNames(k.waits)
	k.blocks, k.texts, k.waits = append(k.blocks, b), nil, k.waits[:0]
}

// joinNames has the names of objects that stay together in one piece of memory.
func joinNames(objects []*config.Object) {
	if len(objects) < 2 {
		return
	}
	n := 0
	for _, o := range objects {
		n += len(o.Name)
	}
	var names strings.Builder
	names.Grow(n)
	for _, o := range objects {
		names.WriteString(o.Name)
	}
	rest := names.String()
	for _, o := range objects {
		o.Name, rest = rest[:len(o.Name)], rest[len(o.Name):]
	}
}
