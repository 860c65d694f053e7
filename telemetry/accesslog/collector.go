package accesslog

import (
	"context"
	"encoding/binary"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/sluicegate/sluice/router"
	"github.com/sluicegate/sluice/telemetry/identity"
	"github.com/sluicegate/sluice/telemetry/otlp"
)

// collector is a destination that takes log records. A shard's are the encoded form of a
// ScopeLogs: the request path appends each as its field log_records.
type collector struct {
	client   *otlp.Client
	resource *resourcepb.Resource
}

// newCollector returns the destination of a collector.
func newCollector(to *router.OTLP, client *otlp.Client, who identity.Identity) *collector {
	r := &resourcepb.Resource{}
	own := who.Own()
	name := to.LogName
	if name == "" {
		name = "otel_envoy_accesslog" // Istio's
	}
	service := own.CanonicalService
	if service != "" && own.Namespace != "" {
		service += "." + own.Namespace
	}
	for _, a := range [][2]string{{"log_name", name}, {"service.name", service}, {"cluster_name", service}, {"node_name", who.Node}} {
		if a[1] != "" {
			r.Attributes = append(r.Attributes, &commonpb.KeyValue{Key: a[0], Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: a[1]}}})
		}
	}
	return &collector{client: client, resource: r}
}

// write sends all of b, or nothing.
func (c *collector) write(b []byte) (int, error) {
	records := &logspb.ScopeLogs{}
	if err := proto.Unmarshal(b, records); err != nil {
		return 0, err
	}
	if err := c.client.SendLogs(context.Background(), []*logspb.ResourceLogs{{Resource: c.resource, ScopeLogs: []*logspb.ScopeLogs{records}}}); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (c *collector) reopen() error { return nil }
func (c *collector) abort()        { c.client.Close() }
func (c *collector) close()        { c.client.Close() }

// Numbers of fields (opentelemetry/proto/logs/v1/logs.proto, common/v1/common.proto).
const (
	scopeRecords     protowire.Number = 2
	recordTime       protowire.Number = 1
	recordBody       protowire.Number = 5
	recordAttributes protowire.Number = 6
	recordFlags      protowire.Number = 8
	recordTrace      protowire.Number = 9
	recordSpan       protowire.Number = 10
	recordObserved   protowire.Number = 11
	anyString        protowire.Number = 1
	anyMap           protowire.Number = 6
	keyName          protowire.Number = 1
	keyValue         protowire.Number = 2
	mapValues        protowire.Number = 1
)

// record is the form of a log record: a body, and attributes beside it.
type record struct {
	body       *Format
	attributes *object
}

// line appends the record of a source.
func (r *record) line(dst []byte, s source) []byte {
	dst, at := begin(dst, scopeRecords)
	for _, field := range [...]protowire.Number{recordTime, recordObserved} {
		n := s.start().UnixNano()
		if field == recordObserved {
			n += int64(s.duration())
		}
		dst = protowire.AppendTag(dst, field, protowire.Fixed64Type)
		dst = protowire.AppendFixed64(dst, uint64(n))
	}
	dst, body := begin(dst, recordBody)
	dst, text := begin(dst, anyString)
	dst = r.body.append(dst, s)
	if n := len(dst); dst[n-1] == '\n' {
		dst = dst[:n-1]
	}
	dst = end(end(dst, text), body)
	dst = r.attributes.attributes(dst, recordAttributes, s)
	if s.ex != nil && s.ex.Trace.ID != [16]byte{} {
		dst = protowire.AppendTag(dst, recordTrace, protowire.BytesType)
		dst = append(append(dst, byte(len(s.ex.Trace.ID))), s.ex.Trace.ID[:]...)
		dst = protowire.AppendTag(dst, recordSpan, protowire.BytesType)
		dst = append(append(dst, byte(len(s.ex.Trace.Span))), s.ex.Trace.Span[:]...)
		if s.ex.Trace.Sampled {
			dst = protowire.AppendTag(dst, recordFlags, protowire.Fixed32Type)
			dst = protowire.AppendFixed32(dst, 1)
		}
	}
	return end(dst, at)
}

// attributes appends an object's members as KeyValue messages, each in a field of that number.
func (o *object) attributes(dst []byte, field protowire.Number, s source) []byte {
	for i := range o.members {
		m := &o.members[i]
		before := len(dst)
		dst2, pair := begin(dst, field)
		dst = dst2
		dst = protowire.AppendTag(dst, keyName, protowire.BytesType)
		dst = protowire.AppendString(dst, m.name)
		dst2, value := begin(dst, keyValue)
		dst = dst2
		there := true
		if m.object != nil {
			dst2, inner := begin(dst, anyMap)
			dst = end(m.object.attributes(dst2, mapValues, s), inner)
		} else {
			dst2, text := begin(dst, anyString)
			dst, there = o.text(dst2, m, s)
			dst = end(dst, text)
		}
		dst = end(end(dst, value), pair)
		if !there && o.omit {
			dst = dst[:before]
		}
	}
	return dst
}

// text appends a member's value as text; there is false where it has none.
func (o *object) text(dst []byte, m *member, s source) (value []byte, there bool) {
	for i := range m.pieces {
		p := &m.pieces[i]
		dst = append(dst, p.literal...)
		if !p.operator() {
			there = true
			continue
		}
		if line, is, known := p.quick(dst, s, true); is && known {
			dst, there = line, true
			continue
		}
		at := len(dst)
		var ok bool
		switch dst, ok = p.value(dst, s); {
		case ok && !p.safe:
			dst = escape(dst, at, true)
		case !ok && !o.omit:
			dst = append(dst, '-')
		}
		there = there || ok
	}
	return dst, there
}

// lengthBytes is the room for the length of a message that is not known before it is written:
// a varint may be longer than it must.
const lengthBytes = 4

// begin appends the tag of a field with a length, and room for that; end fills it in.
func begin(dst []byte, field protowire.Number) (message []byte, at int) {
	dst = protowire.AppendTag(dst, field, protowire.BytesType)
	return append(dst, make([]byte, lengthBytes)...), len(dst)
}

func end(dst []byte, at int) []byte {
	n := uint32(len(dst) - at - lengthBytes)
	binary.LittleEndian.PutUint32(dst[at:], n&0x7f|n>>7&0x7f<<8|n>>14&0x7f<<16|n>>21&0x7f<<24|0x808080)
	return dst
}
