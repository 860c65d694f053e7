package version

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestFrom(t *testing.T) {
	t.Parallel()
	recorded := func(version, revision, modified string) *debug.BuildInfo {
		return &debug.BuildInfo{
			Main:     debug.Module{Version: version},
			Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: revision}, {Key: "vcs.modified", Value: modified}},
		}
	}
	for name, c := range map[string]struct {
		number, commit          string
		build                   *debug.BuildInfo
		wantVersion, wantCommit string
	}{
		"the linker's word goes first": {"v1.2.3", "abc", recorded("v9.9.9", "fff", "false"), "v1.2.3", "abc"},
		"go install":                   {"", "", recorded("v1.2.3", "", "false"), "v1.2.3", ""},
		"a checkout":                   {"", "", recorded("(devel)", "0123456789abcdef", "false"), "devel", "0123456789ab"},
		"a changed checkout":           {"", "", recorded("(devel)", "0123456789abcdef", "true"), "devel", "0123456789ab-dirty"},
		"changed, but no revision":     {"", "", recorded("(devel)", "", "true"), "devel", ""},
		"nothing recorded":             {"", "", nil, "devel", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := from(c.number, c.commit, c.build)
			want := Info{c.wantVersion, c.wantCommit, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
			if got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

func TestString(t *testing.T) {
	t.Parallel()
	i := Info{Version: "v1.2.3", Commit: "abc", Go: "go1.26", Platform: "linux/amd64"}
	if got, want := i.String(), "v1.2.3 (abc, go1.26, linux/amd64)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	i.Commit = ""
	if got, want := i.String(), "v1.2.3 (go1.26, linux/amd64)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
