package accesslog

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sluicegate/sluice/proxy"
	"github.com/sluicegate/sluice/router"
)

// jsonLine returns what an object of formats comes to at testStart.
func jsonLine(t testing.TB, text string, omit bool, ex *proxy.Exchange, st *proxy.Stream) string {
	t.Helper()
	fields := DefaultFields
	if text != "" {
		var err error
		if fields, err = ParseFields(text); err != nil {
			t.Fatal(err)
		}
	}
	o, _, err := compileFields(fields, omit)
	if err != nil {
		t.Fatal(err)
	}
	return string(o.append(nil, atTestStart(ex, st)))
}

func TestJSON(t *testing.T) {
	t.Parallel()
	ex, st := rich(), carried()
	notFound := forwarded()
	notFound.Destination, notFound.Decision, notFound.Status = nil, router.Decision{}, 404
	notFound.UpstreamHost, notFound.UpstreamLocal, notFound.ResponseServiceTime = "", "", -1
	for name, c := range map[string]struct {
		fields string
		omit   bool
		ex     *proxy.Exchange
		st     *proxy.Stream
		want   string
	}{
		"Istio's fields":                 {ex: forwarded(), want: `{"start_time":"2026-11-21T08:08:07.065Z","route_name":"productpage","method":"GET","path":"/productpage?u=test","protocol":"HTTP/1.1","response_code":200,"response_flags":"-","response_code_details":"via_upstream","connection_termination_details":null,"bytes_received":12,"bytes_sent":5183,"duration":24,"upstream_service_time":"23","x_forwarded_for":"10.1.2.3","user_agent":"curl/8.5.0","request_id":"6ba7b810-9dad-41d1-80b4-00c04fd430c8","authority":"bookinfo.example.com","upstream_host":"127.0.0.1:19080","upstream_cluster":"outbound|9080||productpage.default.svc.cluster.local","upstream_local_address":"127.0.0.1:51234","downstream_local_address":"127.0.0.1:8080","downstream_remote_address":"10.1.2.3:40123","requested_server_name":null,"upstream_transport_failure_reason":null}`},
		"Istio's fields, no route":       {ex: notFound, want: `{"start_time":"2026-11-21T08:08:07.065Z","route_name":null,"method":"GET","path":"/productpage?u=test","protocol":"HTTP/1.1","response_code":404,"response_flags":"-","response_code_details":"via_upstream","connection_termination_details":null,"bytes_received":12,"bytes_sent":5183,"duration":24,"upstream_service_time":null,"x_forwarded_for":"10.1.2.3","user_agent":"curl/8.5.0","request_id":"6ba7b810-9dad-41d1-80b4-00c04fd430c8","authority":"bookinfo.example.com","upstream_host":null,"upstream_cluster":null,"upstream_local_address":null,"downstream_local_address":"127.0.0.1:8080","downstream_remote_address":"10.1.2.3:40123","requested_server_name":null,"upstream_transport_failure_reason":null}`},
		"Istio's fields of a connection": {st: st, want: `{"start_time":"2026-11-21T08:08:07.065Z","route_name":"mysql","method":null,"path":null,"protocol":"-","response_code":0,"response_flags":"-","response_code_details":null,"connection_termination_details":null,"bytes_received":12,"bytes_sent":5183,"duration":24,"upstream_service_time":null,"x_forwarded_for":null,"user_agent":null,"request_id":null,"authority":null,"upstream_host":"127.0.0.1:13306","upstream_cluster":"outbound|3306||mysql.default.svc.cluster.local","upstream_local_address":"127.0.0.1:51234","downstream_local_address":"127.0.0.1:3306","downstream_remote_address":"10.1.2.3:40123","requested_server_name":null,"upstream_transport_failure_reason":null}`},
		"numbers alone are numbers": {
			fields: `{"code": "%RESPONSE_CODE%", "text": "%RESPONSE_CODE% ", "port": "%DOWNSTREAM_LOCAL_PORT%", "grpc": "%GRPC_STATUS(NUMBER)%", "name": "%GRPC_STATUS%", "cel": "%CEL(response.code)%", "typed": "%TYPED_CEL(response.code > 100)%", "common": "%COMMON_DURATION(DS_RX_BEG:DS_TX_END:us)%", "fixed": "7"}`,
			ex:     ex, want: `{"code":200,"text":"200 ","port":8080,"grpc":5,"name":"NotFound","cel":"200","typed":true,"common":24900,"fixed":"7"}`,
		},
		"what is cut is text": {
			fields: `{"true": "%TYPED_CEL(response.code > 100):2%", "minus": "%TYPED_CEL(-5):1%", "none": "%TYPED_CEL(true):0%", "code": "%RESPONSE_CODE:2%", "backwards": "%COMMON_DURATION(DS_TX_END:DS_RX_BEG:us)%"}`,
			ex:     ex, want: `{"true":"tr","minus":"-","none":null,"code":20,"backwards":null}`,
		},
		"nested, in their order":        {fields: `{"z": {"b": "%PROTOCOL%", "a": {"code": "%RESPONSE_CODE%"}, "none": {}}, "a": "x"}`, ex: ex, want: `{"z":{"b":"HTTP/2","a":{"code":200},"none":{}},"a":"x"}`},
		"missing":                       {fields: `{"a": "%REQ(X-NONE)%", "b": "[%REQ(X-NONE)%]", "c": "%RESPONSE_CODE%"}`, ex: ex, want: `{"a":null,"b":"[-]","c":200}`},
		"missing is left out":           {fields: `{"a": "%REQ(X-NONE)%", "b": "[%REQ(X-NONE)%]", "c": "%RESPONSE_CODE%", "d": "%TRAILER(x)%"}`, omit: true, ex: ex, want: `{"b":"[]","c":200}`},
		"all left out":                  {fields: `{"a": "%REQ(X-NONE)%"}`, omit: true, ex: ex, want: `{}`},
		"names and formats with quotes": {fields: `{"a\"b": "say \"%PROTOCOL%\"", "t": "%START_TIME(\"%Y\")%"}`, ex: ex, want: `{"a\"b":"say \"HTTP/2\"","t":"\"2026\""}`},
	} {
		if got := jsonLine(t, c.fields, c.omit, c.ex, c.st); got != c.want {
			t.Errorf("%s:\n  got  %s\n  want %s", name, got, c.want)
		}
	}
}

// TestHostileJSON: whatever a client sends is inside of its string, arrives as it was where it
// is UTF-8, and shows nothing on a terminal but ASCII.
func TestHostileJSON(t *testing.T) {
	t.Parallel()
	for _, hostile := range []string{
		"a\r\n{\"forged\":true}", `"},{"x":"`, `\`, `\u0000`, "\x00\x1b[2J\x7f", "\u202e\u2028\U0001f600é", "\xff\xfe", strings.Repeat("é", maxValue), "x" + strings.Repeat("\U0001f600", maxValue),
	} {
		ex := rich()
		ex.Request.Path, ex.Request.Authority = hostile, hostile
		for _, text := range []string{`{"a": "%REQ(:PATH)%", "b": "%PROTOCOL%"}`, `{"a": "<%REQ(:PATH)%>", "b": "%PROTOCOL%"}`} {
			got := jsonLine(t, text, false, ex, nil)
			for i, c := range []byte(got) {
				if c < 0x20 || c > 0x7e {
					t.Fatalf("%.20q: byte %#x at %d of %.80q", hostile, c, i, got)
				}
			}
			var o map[string]string
			if err := json.Unmarshal([]byte(got), &o); err != nil || len(o) != 2 || o["b"] != "HTTP/2" {
				t.Fatalf("%.20q: %v in %.80s", hostile, err, got)
			}
			a := strings.TrimSuffix(strings.TrimPrefix(o["a"], "<"), ">")
			if kept, cut := strings.CutSuffix(a, "..."); cut {
				if len(kept) < maxValue-utf8.UTFMax || !strings.HasPrefix(hostile, kept) {
					t.Errorf("%.20q: cut to %d bytes", hostile, len(kept))
				}
			} else if a != strings.ToValidUTF8(hostile, "\ufffd") && utf8.ValidString(hostile) {
				t.Errorf("%.20q became %.40q", hostile, a)
			}
		}
	}
}

func TestParseFields(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`x`:               "it must be a JSON object",
		`["a"]`:           "it must be a JSON object",
		`{"a": "b"`:       "it must be a JSON object",
		`{"a": "b"} x`:    "something follows",
		`{"a": ["b"]}`:    "a: lists are not supported",
		`{"a": 5}`:        "a: write a format in quotes",
		`{"a": {"b": 5}}`: "b: write a format in quotes",
		strings.Repeat(`{"a":`, 30) + `"b"` + strings.Repeat(`}`, 30): "objects stand in each other more than 16 deep",
	} {
		if _, err := ParseFields(text); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.40s: got %v, want %s", text, err, want)
		}
	}
	if err := CheckFields([]router.LogField{{Name: "a", Fields: []router.LogField{{Name: "b", Text: "%X%"}}}}); err == nil || !strings.HasPrefix(err.Error(), "a: b: %X% is no operator") {
		t.Errorf("got %v", err)
	}
	if err := CheckDefault(`{"a": "%PROTOCOL%"}`, true); err != nil {
		t.Error(err)
	}
	if err := CheckDefault(`{"a": "%PROTO%"}`, true); err == nil {
		t.Error("a wrong format is taken")
	}
}

func FuzzJSON(f *testing.F) {
	for _, s := range []string{"", "a b", "\r\n", `"`, "\xff", "\U0001f600"} {
		f.Add(s)
	}
	o, _, err := compileFields([]router.LogField{{Name: "a", Text: "%REQ(:PATH)%"}, {Name: "b", Text: "x%REQ(:PATH)%"}}, false)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ex := &proxy.Exchange{}
		ex.Request.Path = s
		got := o.append(nil, ofExchange(ex))
		var v map[string]any
		if err := json.Unmarshal(got, &v); err != nil {
			t.Fatalf("%q makes %q: %v", s, got, err)
		}
		if a, _ := v["a"].(string); utf8.ValidString(s) && len(s) <= maxValue && a != s {
			t.Fatalf("%q became %q", s, a)
		}
	})
}

func FuzzParseFields(f *testing.F) {
	for _, s := range []string{`{"a": "%PROTOCOL%", "b": {"c": "d"}}`, `{"a": 1}`, `{"a": ["b"]}`, `{}`, `{"a"`} {
		f.Add(s)
	}
	ex := rich()
	f.Fuzz(func(t *testing.T, s string) {
		fields, err := ParseFields(s)
		if err != nil {
			return
		}
		o, _, err := compileFields(fields, true)
		if err != nil {
			return
		}
		if got := o.append(nil, ofExchange(ex)); !json.Valid(got) {
			t.Fatalf("%q makes invalid JSON: %s", s, got)
		}
	})
}
