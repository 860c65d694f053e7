package http1

import (
	"strings"
)

var (
	errPathEscape = bad("http1.invalid_escape_in_path")
	errPathClimbs = bad("http1.path_above_root")
	errPathSlash  = bad("http1.escaped_slash_in_path")
	// errPathRedirect is no error but the order to send the client to the path as it is
	// after normalizePath.
	errPathRedirect = &ProtocolError{Status: 307, Detail: "http1.escaped_slash_redirect"}
)

// pathTrait is what the cheap look at a path finds.
type pathTrait uint8

const (
	pathDots pathTrait = 1 << iota
	pathEscapes
	pathBackslash
	pathParams
)

// traits looks once over a path, without its query, and returns where the path ends.
// Most paths have no trait and are forwarded as they are.
func traits(path string) (end int, t pathTrait) {
	for i := 0; i < len(path); i++ {
		switch path[i] {
		case '?':
			return i, t
		case '%':
			t |= pathEscapes
		case '\\':
			t |= pathBackslash
		case '.':
			if i > 0 && (path[i-1] == '/' || path[i-1] == '\\') {
				t |= pathDots
			}
		case ';':
			t |= pathParams
		}
	}
	return len(path), t
}

// normalizePath returns the path with its dot segments resolved (RFC 3986 section 5.2.4,
// "%2e" being a dot) and backslashes turned to slashes, which is what routing, policy and
// the upstream then all see. Slashes are not merged. dst is used where the path changes.
//
// It refuses an escape that is none, %00, a path that climbs above the root, and, by
// policy, escaped slashes. A path parameter behind a dot segment ("/..;/") is refused as
// well, since some servers resolve it.
func normalizePath(dst []byte, target string, policy EscapedSlashes) (path string, buf []byte, redirect bool, err *ProtocolError) {
	end, t := traits(target)
	if t == 0 {
		return target, dst, false, nil
	}
	raw, query := target[:end], target[end:]
	if t&pathEscapes != 0 {
		slash, err := checkEscapes(raw)
		if err != nil {
			return "", dst, false, err
		}
		if slash {
			switch policy {
			case RejectEscapedSlashes:
				return "", dst, false, errPathSlash
			case RedirectEscapedSlashes:
				redirect = true
			}
		}
	}
	if t&pathBackslash != 0 && policy == RejectEscapedSlashes {
		return "", dst, false, errPathSlash
	}
	if !redirect && t&(pathDots|pathBackslash|pathEscapes) == 0 {
		return target, dst, false, nil
	}
	at := len(dst)
	dst, err = appendResolved(dst, raw, redirect)
	if err != nil {
		return "", dst, false, err
	}
	if len(dst)-at == len(raw) && str(dst[at:]) == raw {
		return target, dst[:at], redirect, nil
	}
	dst = append(dst, query...)
	return str(dst[at:]), dst, redirect, nil
}

// NormalPath tells whether a path, with its query, is as normalizePath would leave it: it
// begins with a slash and has no dot segment, so that it leads where it seems to.
func NormalPath(target string) bool {
	if target == "" || target[0] != '/' {
		return target == "*"
	}
	end, t := traits(target)
	if t&(pathDots|pathEscapes|pathBackslash) == 0 {
		return true
	}
	for i := 0; i < end; {
		j := i + 1
		for j < end && target[j] != '/' && target[j] != '\\' {
			j++
		}
		if dotSegment(target[i+1:j]) != 0 {
			return false
		}
		i = j
	}
	return true
}

// checkEscapes refuses what is not %XX, and %00, and tells whether there is a slash or
// backslash among the escapes.
func checkEscapes(path string) (slash bool, err *ProtocolError) {
	for i := strings.IndexByte(path, '%'); i < len(path); i++ {
		if path[i] != '%' {
			continue
		}
		if i+2 >= len(path) {
			return false, errPathEscape
		}
		hi, ok1 := unhex(path[i+1])
		lo, ok2 := unhex(path[i+2])
		if !ok1 || !ok2 || hi|lo == 0 {
			return false, errPathEscape
		}
		if c := hi<<4 | lo; c == '/' || c == '\\' {
			slash = true
		}
		i += 2
	}
	return slash, nil
}

func unhex(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10, true
	}
	return 0, false
}

// appendResolved appends path with dot segments resolved, segment by segment.
// unescape also turns escaped slashes into slashes.
func appendResolved(dst []byte, path string, unescape bool) ([]byte, *ProtocolError) {
	root := len(dst)
	for i := 0; i < len(path); {
		// path[i] is the slash before a segment.
		start := i + slashLen(path, i)
		j := start
		for j < len(path) && !slashAt(path, j, unescape) {
			j++
		}
		segment := path[start:j]
		last := j >= len(path)
		switch dotSegment(segment) {
		case 0:
			dst = append(dst, '/')
			dst = append(dst, segment...)
		case 1:
			if last {
				dst = append(dst, '/')
			}
		case 2:
			if len(dst) == root {
				return dst, errPathClimbs
			}
			for dst[len(dst)-1] != '/' {
				dst = dst[:len(dst)-1]
			}
			dst = dst[:len(dst)-1]
			if last {
				dst = append(dst, '/')
			}
		case 3:
			return dst, errPathClimbs
		}
		i = j
	}
	return dst, nil
}

func slashAt(path string, i int, unescape bool) bool {
	switch path[i] {
	case '/', '\\':
		return true
	case '%':
		if unescape && i+2 < len(path) {
			esc := path[i+1 : i+3]
			return esc == "2F" || esc == "2f" || esc == "5C" || esc == "5c"
		}
	}
	return false
}

func slashLen(path string, i int) int {
	if path[i] == '%' {
		return 3
	}
	return 1
}

// dotSegment returns 1 for ".", 2 for ".." (each dot may be written %2e), 3 for one of
// them followed by a path parameter, else 0.
func dotSegment(s string) int {
	dots := 0
	for s != "" {
		switch {
		case s[0] == '.':
			s = s[1:]
		case len(s) >= 3 && s[0] == '%' && s[1] == '2' && s[2]|0x20 == 'e':
			s = s[3:]
		case s[0] == ';' && dots > 0:
			return 3
		default:
			return 0
		}
		if dots++; dots > 2 {
			return 0
		}
	}
	return dots
}
