package http1

// NormalizePath returns a target's path, with its query, as routing sees it, or why
// a server refuses it: for those who ask what would become of a request.
func NormalizePath(target string, policy EscapedSlashes) (string, *ProtocolError) {
	path, _, _, err := normalizePath(nil, target, policy)
	return path, err
}
