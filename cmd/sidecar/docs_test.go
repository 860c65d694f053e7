package main

import (
	"testing"

	"github.com/sluicegate/sluice/cmd/internal/flagdoc"
)

// TestDocumentedFlags: the page shows every flag, with its default.
func TestDocumentedFlags(t *testing.T) {
	t.Parallel()
	flagdoc.Check(t, newCommand(), "../../docs/sidecar.md")
}
