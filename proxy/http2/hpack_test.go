package http2

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"

	"github.com/sluicegate/sluice/proxy/http1"
	"github.com/sluicegate/sluice/router"
)

var plenty = http1.Limits{HeadBytes: 1 << 20, Fields: 1000}.WithDefaults()

// TestStaticNames: every static name is found, and nothing else.
func TestStaticNames(t *testing.T) {
	t.Parallel()
	for i := len(staticTable) - 1; i > 0; i-- {
		name := staticTable[i].Name
		if got := staticName(name); got == 0 || staticTable[got].Name != name || got > i {
			t.Errorf("%s: %d", name, got)
		}
		if got := staticName(name + "x"); got != 0 {
			t.Errorf("%sx: %d", name, got)
		}
	}
}

// TestEncoderAgainstDecoders: what the encoder writes, our decoder and x/net's read alike,
// whatever the table sizes do.
func TestEncoderAgainstDecoders(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 50 {
		enc := newEncoder()
		dec := newDecoder(&plenty)
		theirs := hpack.NewDecoder(4096, nil)
		var list fieldList
		for block := range 100 {
			if random.IntN(10) == 0 {
				enc.setLimit(uint32(random.IntN(6000)))
			}
			var want []router.Header
			for range random.IntN(20) {
				want = append(want, randomField(random))
			}
			b := enc.appendFields(enc.begin(nil), want)
			list.reset()
			if err := dec.decode(b, &list); err != nil {
				t.Fatalf("round %d, block %d: %v", round, block, err)
			}
			if fmt.Sprint(list.fields) != fmt.Sprint(want) {
				t.Fatalf("round %d, block %d:\n%v\n%v", round, block, list.fields, want)
			}
			got, err := theirs.DecodeFull(b)
			if err != nil || len(got) != len(want) {
				t.Fatalf("round %d, block %d: %v", round, block, err)
			}
			for i := range got {
				if got[i].Name != want[i].Name || got[i].Value != want[i].Value {
					t.Fatalf("round %d, block %d: %v, want %v", round, block, got[i], want[i])
				}
			}
		}
	}
}

func randomField(random *rand.Rand) router.Header {
	names := []string{"server", "date", "x-one", "set-cookie", "content-type", "x-a-long-name-of-a-field", "age", "x"}
	value := strings.Repeat("v", random.IntN(5)) + fmt.Sprint(random.IntN(4))
	switch random.IntN(20) {
	case 0, 1:
		value = ""
	case 2:
		value = strings.Repeat(value, random.IntN(3000))
	}
	return router.Header{Name: names[random.IntN(len(names))], Value: value}
}

// TestDecoderAgainstEncoder: what x/net's encoder writes, Huffman codes and all, is read.
func TestDecoderAgainstEncoder(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	var b bytes.Buffer
	enc := hpack.NewEncoder(&b)
	dec := newDecoder(&plenty)
	var list fieldList
	for block := range 2000 {
		b.Reset()
		if random.IntN(20) == 0 {
			enc.SetMaxDynamicTableSize(uint32(random.IntN(4097)))
		}
		var want []router.Header
		for range random.IntN(20) {
			f := randomField(random)
			want = append(want, f)
			enc.WriteField(hpack.HeaderField{Name: f.Name, Value: f.Value, Sensitive: random.IntN(5) == 0})
		}
		list.reset()
		if err := dec.decode(b.Bytes(), &list); err != nil {
			t.Fatalf("block %d: %v", block, err)
		}
		if fmt.Sprint(list.fields) != fmt.Sprint(want) {
			t.Fatalf("block %d:\n%v\n%v", block, list.fields, want)
		}
	}
}

// TestTableOwnsItsFields: what is in the table outlives the list that it was decoded into.
func TestTableOwnsItsFields(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"", "value"} {
		dec := newDecoder(&plenty)
		var list fieldList
		if err := dec.decode(appendLiteral(nil, 0x40, 6, 0, "x-name", value), &list); err != nil {
			t.Fatal(err)
		}
		list.reset()
		if err := dec.decode(appendLiteral(nil, 0, 4, 0, "other-name", "other value"), &list); err != nil {
			t.Fatal(err)
		}
		list.reset()
		if err := dec.decode([]byte{0xbe}, &list); err != nil || list.fields[0].Name != "x-name" || list.fields[0].Value != value {
			t.Errorf("%v %v", err, list.fields)
		}
	}
}

func TestDecoderRefuses(t *testing.T) {
	t.Parallel()
	for name, block := range map[string]string{
		"index 0":                   "\x80",
		"index beyond the tables":   "\xbe",
		"integer cut":               "\xff",
		"integer without end":       "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
		"string cut":                "\x00\x05ab",
		"no value":                  "\x00\x01a",
		"huffman padded with zeros": "\x00\x01a\x81\x00",
		"huffman with EOS":          "\x00\x01a\x84\xff\xff\xff\xff",
		"table larger than allowed": "\x3f\xe2\x1f",
		"resize behind a field":     "\x82\x20",
		"three resizes":             "\x20\x20\x20\x82",
	} {
		dec := newDecoder(&plenty)
		var list fieldList
		if err := dec.decode([]byte(block), &list); err == nil || err.code != codeCompression {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestDecoderBounds: a block whose fields are too many or too large is decoded to its end,
// since the table must follow, but takes no memory.
func TestDecoderBounds(t *testing.T) {
	t.Parallel()
	limits := http1.Limits{}.WithDefaults()
	dec := newDecoder(&limits)
	big := strings.Repeat("b", 4000)
	block := appendLiteral(nil, 0x40, 6, 0, "bomb", big)
	for range 50000 {
		block = append(block, 0xbe)
	}
	block = appendLiteral(block, 0x40, 6, 0, "last", "one")
	var list fieldList
	if err := dec.decode(block, &list); err != nil {
		t.Fatal(err)
	}
	if !list.tooLarge || len(list.fields) > 100 || len(list.bytes) > 10000 {
		t.Errorf("too large %v, %d fields, %d bytes", list.tooLarge, len(list.fields), len(list.bytes))
	}
	list.reset()
	if err := dec.decode([]byte{0xbe}, &list); err != nil || list.fields[0].Name != "last" {
		t.Errorf("the table was not kept: %v %v", err, list.fields)
	}
}

// TestEncoderKeepsSecrets: no table, ours or another's, gets what only one client may know.
func TestEncoderKeepsSecrets(t *testing.T) {
	t.Parallel()
	enc := newEncoder()
	for range 3 {
		for _, name := range []string{"cookie", "set-cookie", "authorization", "proxy-authorization"} {
			b := enc.appendField(nil, name, "secret")
			if b[0]&0xf0 != 0x10 {
				t.Errorf("%s: %x is not never-indexed", name, b[0])
			}
		}
	}
	if enc.table.n != 0 {
		t.Error("a secret is in the table")
	}
}

func FuzzHpack(f *testing.F) {
	enc := newEncoder()
	f.Add(enc.appendFields(nil, []router.Header{{Name: "a", Value: "b"}, {Name: "server", Value: "x"}, {Name: "server", Value: "x"}}))
	f.Add([]byte("\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff"))
	f.Add([]byte("\x3f\xe1\x1f\x40\x01a\x01b\xbe\xbe"))
	f.Fuzz(func(t *testing.T, block []byte) {
		dec := newDecoder(&plenty)
		var list fieldList
		err := dec.decode(block, &list)
		theirs := hpack.NewDecoder(4096, nil)
		fields, theirErr := theirs.DecodeFull(block)
		if err != nil {
			return
		}
		if theirErr != nil {
			t.Fatalf("we read what others do not: %v", theirErr)
		}
		if list.tooLarge {
			return
		}
		if len(fields) != len(list.fields) {
			t.Fatalf("%d fields, others read %d", len(list.fields), len(fields))
		}
		for i, h := range list.fields {
			if h.Name != fields[i].Name || h.Value != fields[i].Value {
				t.Fatalf("%v, others read %v", h, fields[i])
			}
		}
	})
}
