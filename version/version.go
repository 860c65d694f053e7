// Package version says which build of Sluice is running.
//
// It owns the name of the build, from the linker or from what the Go tool recorded,
// and must not know any other room.
package version

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// number and commit are set by the linker in a release build:
//
//	go build -ldflags "-X github.com/sluicegate/sluice/version.number=v0.1.0 -X github.com/sluicegate/sluice/version.commit=0123abcd"
var number, commit string

// Info describes a build.
type Info struct {
	// Version is the release ("v0.1.0"), the module version that `go install` saw,
	// or "devel".
	Version string `json:"version"`
	// Commit is the revision built from, with "-dirty" behind it where files were
	// changed; empty where neither the linker nor the Go tool said.
	Commit string `json:"commit,omitempty"`
	// Go and Platform are the compiler ("go1.26.8") and its target ("linux/amd64").
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// Get returns what is known of the running build.
func Get() Info {
	info, _ := debug.ReadBuildInfo()
	return from(number, commit, info)
}

// from prefers what the linker set over what the Go tool recorded; build may be nil.
func from(number, commit string, build *debug.BuildInfo) Info {
	i := Info{
		Version:  number,
		Commit:   commit,
		Go:       runtime.Version(),
		Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
	if build != nil {
		if i.Version == "" && build.Main.Version != "(devel)" {
			i.Version = build.Main.Version
		}
		if i.Commit == "" {
			i.Commit = revision(build.Settings)
		}
	}
	if i.Version == "" {
		i.Version = "devel"
	}
	return i
}

func revision(settings []debug.BuildSetting) string {
	var revision, dirty string
	for _, s := range settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "-dirty"
		}
	}
	if revision == "" {
		return ""
	}
	return revision[:min(len(revision), 12)] + dirty
}

// String returns the build in a line: "v0.1.0 (0123abcd4567, go1.26.8, linux/amd64)".
func (i Info) String() string {
	if i.Commit == "" {
		return fmt.Sprintf("%s (%s, %s)", i.Version, i.Go, i.Platform)
	}
	return fmt.Sprintf("%s (%s, %s, %s)", i.Version, i.Commit, i.Go, i.Platform)
}
