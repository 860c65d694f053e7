package proxyproto

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	pires "github.com/pires/go-proxyproto"
)

// v2 builds a header of version 2.
func v2(command, family byte, body ...string) string {
	tail := strings.Join(body, "")
	return prefixV2 + string([]byte{command, family}) + string(binary.BigEndian.AppendUint16(nil, uint16(len(tail)))) + tail
}

const (
	ipv4 = "\xc0\x00\x02\x01\xc0\x00\x02\x02\xdc\x04\x01\xbb"
	ipv6 = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\xdc\x04\x01\xbb"
	mapped = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc0\x00\x02\x01" +
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc0\x00\x02\x02\xdc\x04\x01\xbb"
)

// summed returns a header with a right checksum.
func summed() string {
	b := []byte(v2(0x21, 0x11, ipv4, "\x03\x00\x04\x00\x00\x00\x00"))
	binary.BigEndian.PutUint32(b[len(b)-4:], checksum(b, len(b)-4))
	return string(b)
}

func TestParse(t *testing.T) {
	t.Parallel()
	const from4, to4 = "192.0.2.1:56324", "192.0.2.2:443"
	const from6, to6 = "[2001:db8::1]:56324", "[2001:db8::2]:443"
	for _, c := range []struct {
		name, in string
		from, to string
		err      error
	}{
		{"v1 over IPv4", "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n", from4, to4, nil},
		{"v1 over IPv6", "PROXY TCP6 2001:db8::1 2001:db8::2 56324 443\r\n", from6, to6, nil},
		{"v1 over mapped IPv4", "PROXY TCP6 ::ffff:192.0.2.1 ::ffff:192.0.2.2 56324 443\r\n", from4, to4, nil},
		{"v1 with the lowest and highest port", "PROXY TCP4 192.0.2.1 192.0.2.2 0 65535\r\n", "192.0.2.1:0", "192.0.2.2:65535", nil},
		{"v1 unknown", "PROXY UNKNOWN\r\n", "", "", nil},
		{"v1 unknown with more", "PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", "", "", nil},
		{"v1 of 107 bytes", "PROXY UNKNOWN " + strings.Repeat("f", 91) + "\r\n", "", "", nil},
		{"v1 of 108 bytes", "PROXY UNKNOWN " + strings.Repeat("f", 92) + "\r\n", "", "", ErrTooLong},
		{"v1 without end", "PROXY TCP4 " + strings.Repeat("1", 200), "", "", ErrTooLong},
		{"v1 in part", "PROXY TCP4 192.0.2.1", "", "", ErrPartial},
		{"v1 without CR", "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\n", "", "", ErrMalformed},
		{"v1 with a CR inside", "PROXY UNKNOWN a\rb\r\n", "", "", ErrMalformed},
		{"v1 with nothing", "PROXY \r\n", "", "", ErrMalformed},
		{"v1 with a lower-case family", "PROXY tcp4 192.0.2.1 192.0.2.2 56324 443\r\n", "", "", ErrMalformed},
		{"v1 of UDP", "PROXY UDP4 192.0.2.1 192.0.2.2 56324 443\r\n", "", "", ErrMalformed},
		{"v1 with two spaces", "PROXY TCP4  192.0.2.1 192.0.2.2 56324 443\r\n", "", "", ErrMalformed},
		{"v1 with a space at its end", "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443 \r\n", "", "", ErrMalformed},
		{"v1 without a port", "PROXY TCP4 192.0.2.1 192.0.2.2 56324\r\n", "", "", ErrMalformed},
		{"v1 with IPv6 as IPv4", "PROXY TCP4 2001:db8::1 2001:db8::2 56324 443\r\n", "", "", ErrMalformed},
		{"v1 with IPv4 as IPv6", "PROXY TCP6 192.0.2.1 192.0.2.2 56324 443\r\n", "", "", ErrMalformed},
		{"v1 with a zone", "PROXY TCP6 fe80::1%lo fe80::2 56324 443\r\n", "", "", ErrMalformed},
		{"v1 with a name", "PROXY TCP4 example.com 192.0.2.2 56324 443\r\n", "", "", ErrMalformed},
		{"v1 with a leading zero in an address", "PROXY TCP4 192.0.02.1 192.0.2.2 56324 443\r\n", "", "", ErrMalformed},
		{"v1 with a leading zero in a port", "PROXY TCP4 192.0.2.1 192.0.2.2 056324 443\r\n", "", "", ErrMalformed},
		{"v1 with a sign", "PROXY TCP4 192.0.2.1 192.0.2.2 +5632 443\r\n", "", "", ErrMalformed},
		{"v1 with too high a port", "PROXY TCP4 192.0.2.1 192.0.2.2 65536 443\r\n", "", "", ErrMalformed},

		{"v2 over IPv4", v2(0x21, 0x11, ipv4), from4, to4, nil},
		{"v2 over IPv6", v2(0x21, 0x21, ipv6), from6, to6, nil},
		{"v2 over mapped IPv4", v2(0x21, 0x21, mapped), from4, to4, nil},
		{"v2 with TLVs", v2(0x21, 0x11, ipv4, "\x01\x00\x02h2", "\xea\x00\x00"), from4, to4, nil},
		{"v2 with a right checksum", summed(), from4, to4, nil},
		{"v2 with a wrong checksum", v2(0x21, 0x11, ipv4, "\x03\x00\x04\x00\x00\x00\x00"), "", "", ErrMalformed},
		{"v2 with a checksum of another size", v2(0x21, 0x11, ipv4, "\x03\x00\x01\x00"), "", "", ErrMalformed},
		{"v2 local", v2(0x20, 0x00), "", "", nil},
		{"v2 local with something", v2(0x20, 0x11, "anything"), "", "", nil},
		{"v2 local of another family", v2(0x20, 0xff, "anything"), "", "", nil},
		{"v2 unspecified", v2(0x21, 0x00), "", "", nil},
		{"v2 of a unix socket", v2(0x21, 0x31, strings.Repeat("x", 216)), "", "", nil},
		{"v2 of UDP", v2(0x21, 0x12, ipv4), "", "", nil},
		{"v2 with the most", v2(0x21, 0x11, ipv4, "\x04\x0f\xe1", strings.Repeat("\x00", MaxHeader-16-12-3)), from4, to4, nil},
		{"v2 with more", v2(0x21, 0x11, ipv4, "\x04\x0f\xe2", strings.Repeat("\x00", MaxHeader-16-12-2)), "", "", ErrTooLong},
		{"v2 that only announces more", v2(0x21, 0x11)[:14] + "\xff\xff", "", "", ErrTooLong},
		{"v2 in part", v2(0x21, 0x11, ipv4)[:20], "", "", ErrPartial},
		{"v2 too short for its family", v2(0x21, 0x11, ipv4[:11]), "", "", ErrMalformed},
		{"v2 too short for IPv6", v2(0x21, 0x21, ipv4), "", "", ErrMalformed},
		{"v2 of another family", v2(0x21, 0x41, ipv4), "", "", ErrMalformed},
		{"v2 of another transport", v2(0x21, 0x13, ipv4), "", "", ErrMalformed},
		{"v2 with another command", v2(0x22, 0x11, ipv4), "", "", ErrMalformed},
		{"v3", v2(0x31, 0x11, ipv4), "", "", ErrMalformed},
		{"v2 with a TLV that is cut off", v2(0x21, 0x11, ipv4, "\x01\x00"), "", "", ErrMalformed},
		{"v2 with a TLV that is too long", v2(0x21, 0x11, ipv4, "\x01\x00\x03h2"), "", "", ErrMalformed},

		{"nothing", "", "", "", ErrPartial},
		{"a request", "GET / HTTP/1.1\r\n", "", "", ErrMissing},
		{"a ClientHello", "\x16\x03\x01\x02\x00", "", "", ErrMissing},
		{"something like v1", "PROXIES\r\n", "", "", ErrMissing},
		{"something like v2", "\r\n\r\n\x00\r\nQUIET", "", "", ErrMissing},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, behind := range []string{"", "the rest"} {
				if behind != "" && errors.Is(c.err, ErrPartial) {
					continue
				}
				h, n, err := Parse([]byte(c.in + behind))
				if err != c.err {
					t.Fatalf("err = %v, want %v", err, c.err)
				}
				if err != nil {
					continue
				}
				if n != len(c.in) {
					t.Errorf("length = %d, want %d", n, len(c.in))
				}
				var from, to netip.AddrPort
				if c.from != "" {
					from, to = netip.MustParseAddrPort(c.from), netip.MustParseAddrPort(c.to)
				}
				if h.Source != from || h.Destination != to || h.Known() != (c.from != "") {
					t.Errorf("header = %+v, want %s to %s", h, c.from, c.to)
				}
			}
			if c.err == nil {
				everyPrefix(t, c.in)
			}
		})
	}
}

// everyPrefix holds that a header is never taken for whole, or for broken, before its end.
func everyPrefix(t *testing.T, in string) {
	t.Helper()
	for n := range len(in) {
		if _, _, err := Parse([]byte(in[:n])); err != ErrPartial {
			t.Fatalf("the first %d bytes: %v, want ErrPartial", n, err)
		}
	}
}

// TestParseAllocates holds the texts of version 1's addresses to be all that is allocated.
func TestParseAllocates(t *testing.T) {
	for in, most := range map[string]float64{"PROXY TCP6 2001:db8::1 2001:db8::2 56324 443\r\n": 2, v2(0x21, 0x21, ipv6): 0} {
		b := []byte(in)
		if n := testing.AllocsPerRun(100, func() { Parse(b) }); n > most {
			t.Errorf("Parse(%q) allocates %v times, want %v at most", in, n, most)
		}
	}
}

// pairs are connections that headers are written for.
var pairs = [][2]string{
	{"192.0.2.1:56324", "192.0.2.2:443"},
	{"[2001:db8::1]:56324", "[2001:db8::2]:443"},
	{"192.0.2.1:0", "[2001:db8::2]:65535"},
	{"[::ffff:192.0.2.1]:1", "192.0.2.2:2"},
}

func TestAppend(t *testing.T) {
	t.Parallel()
	for _, p := range pairs {
		from, to := netip.MustParseAddrPort(p[0]), netip.MustParseAddrPort(p[1])
		for _, version := range []uint8{1, 2} {
			b := Append([]byte("before"), version, from, to)
			b, ok := bytes.CutPrefix(b, []byte("before"))
			if !ok {
				t.Fatalf("Append overwrote what was there")
			}
			h, n, err := Parse(b)
			if err != nil || n != len(b) || h.Version != version || h.Source != unmapped(from) || h.Destination != unmapped(to) {
				t.Errorf("version %d of %v: %q parses as %+v, %d, %v", version, p, b, h, n, err)
			}
			judge(t, b, unmapped(from), unmapped(to))
		}
	}
}

func unmapped(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// judge has another implementation read a header.
func judge(t *testing.T, b []byte, from, to netip.AddrPort) {
	t.Helper()
	r := bufio.NewReader(bytes.NewReader(append(bytes.Clone(b), "rest"...)))
	h, err := pires.Read(r)
	if err != nil {
		t.Fatalf("go-proxyproto does not read %q: %v", b, err)
	}
	source, destination, ok := h.TCPAddrs()
	if !ok || unmapped(source.AddrPort()) != from || unmapped(destination.AddrPort()) != to {
		t.Errorf("go-proxyproto reads %q as %v to %v, want %v to %v", b, source, destination, from, to)
	}
	if rest, _ := io.ReadAll(r); string(rest) != "rest" {
		t.Errorf("go-proxyproto leaves %q behind %q", rest, b)
	}
}

func TestAppendUnknown(t *testing.T) {
	t.Parallel()
	to := netip.MustParseAddrPort("192.0.2.2:443")
	for version, want := range map[uint8]string{1: "PROXY UNKNOWN\r\n", 2: v2(0x20, 0x00)} {
		if got := Append(nil, version, netip.AddrPort{}, to); string(got) != want {
			t.Errorf("version %d: %q, want %q", version, got, want)
		}
		if _, err := pires.Read(bufio.NewReader(strings.NewReader(want))); err != nil {
			t.Errorf("go-proxyproto does not read %q: %v", want, err)
		}
	}
}

func TestAppendDropsZones(t *testing.T) {
	t.Parallel()
	from, to := netip.MustParseAddrPort("[fe80::1%lo]:1"), netip.MustParseAddrPort("[fe80::2%lo]:2")
	if got, want := string(Append(nil, 1, from, to)), "PROXY TCP6 fe80::1 fe80::2 1 2\r\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	header := "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n"
	long := v2(0x21, 0x11, ipv4, "\x04\x0f\x00", strings.Repeat("\x00", 0xf00))
	for _, c := range []struct {
		name  string
		buf   string
		parts []string
		rest  string
		err   error
	}{
		{"at once", "", []string{header + "hello"}, "hello", nil},
		{"byte by byte", "", strings.Split(header, ""), "", nil},
		{"long, in parts", "", []string{long[:20], long[20:1000], long[1000:] + "hello"}, "hello", nil},
		{"begun already", header[:10], []string{header[10:]}, "", nil},
		{"whole already", header + "hello", nil, "hello", nil},
		{"something else", "", []string{"GET / HTTP/1.1\r\n\r\n"}, "GET / HTTP/1.1\r\n\r\n", ErrMissing},
		{"cut off", "", []string{header[:10]}, header[:10], io.ErrUnexpectedEOF},
		{"empty", "", nil, "", io.ErrUnexpectedEOF},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			client, server := net.Pipe()
			defer server.Close()
			go func() {
				defer client.Close()
				for _, p := range c.parts {
					io.WriteString(client, p)
				}
			}()
			h, rest, err := Read(server, []byte(c.buf), time.Minute)
			if err != c.err || string(rest) != c.rest && c.err != ErrMissing {
				t.Fatalf("rest = %q, err = %v, want %q, %v", rest, err, c.rest, c.err)
			}
			if (err == nil) != h.Known() {
				t.Errorf("header = %+v", h)
			}
			if err == ErrMissing && !strings.HasPrefix(c.rest, string(rest)) {
				t.Errorf("rest = %q, not what was sent", rest)
			}
		})
	}
}

func TestReadGivesUp(t *testing.T) {
	t.Parallel()
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	go io.WriteString(client, "PROXY TCP4 192.0.2.1")
	if _, _, err := Read(server, nil, 20*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("err = %v, want the deadline's", err)
	}
	// The deadline is gone.
	go io.WriteString(client, "x")
	if _, err := server.Read(make([]byte, 1)); err != nil {
		t.Errorf("a later read: %v", err)
	}
}

// FuzzParse holds that Parse looks at nothing behind a header, decides no earlier than it
// can, and never says otherwise than another implementation what it lets pass.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\nrest", "PROXY TCP6 2001:db8::1 ::ffff:192.0.2.2 56324 443\r\n",
		"PROXY UNKNOWN x\r\n", v2(0x21, 0x11, ipv4), v2(0x21, 0x21, ipv6, "\x01\x00\x02h2"), v2(0x20, 0x00), summed(),
		v2(0x21, 0x31, strings.Repeat("x", 216)), "GET / HTTP/1.1\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, n, err := Parse(b)
		if err != nil {
			if n != 0 || h.Known() {
				t.Fatalf("an error with %+v, %d", h, n)
			}
			if err == ErrPartial && len(b) >= MaxHeader {
				t.Fatalf("more wanted than MaxHeader")
			}
			return
		}
		if n <= 0 || n > len(b) || n > MaxHeader || h.Version == 1 && n > maxV1 {
			t.Fatalf("length = %d of %d", n, len(b))
		}
		if again, m, err := Parse(b[:n]); again != h || m != n || err != nil {
			t.Fatalf("without what follows: %+v, %d, %v", again, m, err)
		}
		if _, _, err := Parse(b[:n-1]); err != ErrPartial {
			t.Fatalf("without its last byte: %v", err)
		}
		if !h.Known() {
			return
		}
		theirs, err := pires.Read(bufio.NewReader(bytes.NewReader(b[:n])))
		if err != nil {
			t.Fatalf("go-proxyproto refuses it: %v", err)
		}
		source, destination, ok := theirs.TCPAddrs()
		if !ok || unmapped(source.AddrPort()) != h.Source || unmapped(destination.AddrPort()) != h.Destination {
			t.Fatalf("go-proxyproto reads %v to %v, not %v to %v", source, destination, h.Source, h.Destination)
		}
	})
}

// FuzzRoundTrip holds that what Append writes reads the same, here and elsewhere.
func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte{192, 0, 2, 1}, []byte{192, 0, 2, 2}, uint16(1), uint16(2))
	f.Add(make([]byte, 16), []byte{192, 0, 2, 2}, uint16(0), uint16(65535))
	f.Fuzz(func(t *testing.T, a, b []byte, ap, bp uint16) {
		from, ok1 := netip.AddrFromSlice(a)
		to, ok2 := netip.AddrFromSlice(b)
		if !ok1 || !ok2 {
			t.Skip()
		}
		source, destination := netip.AddrPortFrom(from, ap), netip.AddrPortFrom(to, bp)
		for _, version := range []uint8{1, 2} {
			out := Append(nil, version, source, destination)
			h, n, err := Parse(out)
			if err != nil || n != len(out) || h.Source != unmapped(source) || h.Destination != unmapped(destination) {
				t.Fatalf("%q reads as %+v, %d, %v", out, h, n, err)
			}
			judge(t, out, unmapped(source), unmapped(destination))
		}
	})
}
