package accesslog

import (
	"encoding/json"
	"fmt"

	"github.com/sluicegate/sluice/router"
)

// lineFormat appends a line, or a record, to a shard.
type lineFormat func(dst []byte, s source) []byte

// DefaultText is the format of lines where the configuration has none (Istio MeshConfig
// accessLogFormat).
const DefaultText = `[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% ` +
	`%RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% %BYTES_SENT% ` +
	`%DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" ` +
	`"%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% ` +
	`%DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%`

// DefaultFields are the members of JSON lines where the configuration has none (Istio
// MeshConfig accessLogEncoding).
var DefaultFields = []router.LogField{
	{Name: "start_time", Text: "%START_TIME%"},
	{Name: "route_name", Text: "%ROUTE_NAME%"},
	{Name: "method", Text: "%REQ(:METHOD)%"},
	{Name: "path", Text: "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%"},
	{Name: "protocol", Text: "%PROTOCOL%"},
	{Name: "response_code", Text: "%RESPONSE_CODE%"},
	{Name: "response_flags", Text: "%RESPONSE_FLAGS%"},
	{Name: "response_code_details", Text: "%RESPONSE_CODE_DETAILS%"},
	{Name: "connection_termination_details", Text: "%CONNECTION_TERMINATION_DETAILS%"},
	{Name: "bytes_received", Text: "%BYTES_RECEIVED%"},
	{Name: "bytes_sent", Text: "%BYTES_SENT%"},
	{Name: "duration", Text: "%DURATION%"},
	{Name: "upstream_service_time", Text: "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%"},
	{Name: "x_forwarded_for", Text: "%REQ(X-FORWARDED-FOR)%"},
	{Name: "user_agent", Text: "%REQ(USER-AGENT)%"},
	{Name: "request_id", Text: "%REQ(X-REQUEST-ID)%"},
	{Name: "authority", Text: "%REQ(:AUTHORITY)%"},
	{Name: "upstream_host", Text: "%UPSTREAM_HOST%"},
	{Name: "upstream_cluster", Text: "%UPSTREAM_CLUSTER_RAW%"},
	{Name: "upstream_local_address", Text: "%UPSTREAM_LOCAL_ADDRESS%"},
	{Name: "downstream_local_address", Text: "%DOWNSTREAM_LOCAL_ADDRESS%"},
	{Name: "downstream_remote_address", Text: "%DOWNSTREAM_REMOTE_ADDRESS%"},
	{Name: "requested_server_name", Text: "%REQUESTED_SERVER_NAME%"},
	{Name: "upstream_transport_failure_reason", Text: "%UPSTREAM_TRANSPORT_FAILURE_REASON%"},
}

// textLine returns the line of a format, with a newline if it ends in none.
func textLine(f *Format) lineFormat {
	return func(dst []byte, s source) []byte {
		dst = f.append(dst, s)
		if n := len(dst); n == 0 || dst[n-1] != '\n' {
			dst = append(dst, '\n')
		}
		return dst
	}
}

// object is a JSON object whose members are formats.
type object struct {
	members []member
	omit    bool
}

// member is one of an object: pieces, or an object of its own.
type member struct {
	name   string
	quoted []byte // the name in quotes, and a colon
	pieces []piece
	object *object
}

// compileFields compiles the members of a JSON object.
func compileFields(fields []router.LogField, omit bool) (*object, wanted, error) {
	o := &object{omit: omit}
	var w wanted
	for _, f := range fields {
		quoted, err := json.Marshal(f.Name)
		if err != nil {
			return nil, w, err
		}
		m := member{name: f.Name, quoted: append(quoted, ':')}
		var more wanted
		if f.Fields != nil {
			m.object, more, err = compileFields(f.Fields, omit)
		} else {
			m.pieces, more, err = parse(f.Text)
		}
		if err != nil {
			return nil, w, fmt.Errorf("%s: %w", f.Name, err)
		}
		w.add(more)
		o.members = append(o.members, m)
	}
	return o, w, nil
}

// CheckFields returns what is wrong with the members of a JSON object, nil where nothing is.
func CheckFields(fields []router.LogField) error {
	_, _, err := compileFields(fields, false)
	return err
}

// line appends the object and a newline.
func (o *object) line(dst []byte, s source) []byte { return append(o.append(dst, s), '\n') }

func (o *object) append(dst []byte, s source) []byte {
	dst = append(dst, '{')
	first := len(dst)
	for i := range o.members {
		m := &o.members[i]
		at := len(dst)
		if at > first {
			dst = append(dst, ',')
		}
		dst = append(dst, m.quoted...)
		var there bool
		if dst, there = o.value(dst, m, s); !there && o.omit {
			dst = dst[:at]
		}
	}
	return append(dst, '}')
}

// value appends a member's value; there is false where that is null. An operator that stands
// alone keeps its type.
func (o *object) value(dst []byte, m *member, s source) (value []byte, there bool) {
	if m.object != nil {
		return m.object.append(dst, s), true
	}
	if len(m.pieces) == 1 && m.pieces[0].operator() {
		return appendTyped(dst, &m.pieces[0], s)
	}
	dst = append(dst, '"')
	for i := range m.pieces {
		p := &m.pieces[i]
		at := len(dst)
		if dst = append(dst, p.literal...); p.operator() {
			var ok bool
			if dst, ok = p.value(dst, s); !ok && !o.omit {
				dst = append(dst, '-')
			}
		}
		dst = escapeJSON(dst, at)
	}
	return append(dst, '"'), true
}

// appendTyped appends the value of an operator: a number, a string, or null.
func appendTyped(dst []byte, p *piece, s source) (value []byte, there bool) {
	at := len(dst)
	if !p.number {
		dst = append(dst, '"')
	}
	if line, there, known := p.quick(dst, s, true); there && known && !p.odd {
		if p.number {
			return line, true
		}
		return append(line, '"'), true
	}
	dst, ok := p.value(dst, s)
	switch {
	case !ok && p.dash:
		return append(dst[:at], `"-"`...), false
	case !ok:
		return append(dst[:at], "null"...), false
	case p.number:
		return dst, true
	case !p.safe || p.odd:
		dst = escapeJSON(dst, at+1)
	}
	return append(dst, '"'), true
}
