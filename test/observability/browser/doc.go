// Package browser holds the page at /ui of the admin server to what a person meets in a real
// browser: Debian's Chromium, driven over the DevTools protocol, on a running sluice demo.
package browser
