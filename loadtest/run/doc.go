// Package run carries a comparison out: it starts the proxies for each work, offers them the
// same load in turns, and hands on what was measured.
//
// It must not know how a proxy is configured, nor what becomes of the figures.
package run
