package role

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestReleaseProgram: pages of the program leave this process, and it runs on.
func TestReleaseProgram(t *testing.T) {
	before := fileKilobytes(t)
	if err := releaseProgram(); err != nil {
		t.Fatal(err)
	}
	if after := fileKilobytes(t); after >= before*3/4 {
		t.Errorf("%d of %d kB are still resident", after, before)
	}
}

// fileKilobytes is how much of files is mapped and resident.
func fileKilobytes(t *testing.T) (n int) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "RssFile:")
	if _, err := fmt.Sscan(rest, &n); err != nil || n == 0 {
		t.Fatalf("%v in\n%s", err, text)
	}
	return n
}

// TestUnchanged: what is writable, of another file, or not as in the file any more stays.
func TestUnchanged(t *testing.T) {
	t.Parallel()
	const text = `00400000-00f8c000 r-xp 00000000 fe:00 104 /opt/a gateway
Rss:  10068 kB
Anonymous:             0 kB
01000000-01002000 r-xp 00000000 fe:00 104                           /opt/gateway
Rss:               10068 kB
Anonymous:             0 kB
02000000-02001000 r--p 00b8c000 fe:00 104                           /opt/gateway
Anonymous:             4 kB
AnonHugePages:         0 kB
03000000-03001000 rw-p 00b8c000 fe:00 104                           /opt/gateway
Anonymous:             0 kB
04000000-04002000 r--p 00b8c000 fe:00 104                           /opt/gateway
Anonymous:             0 kB
7fc34e706000-7fc34ec00000 rw-p 00000000 00:00 0
Anonymous:          3948 kB
7ffd00000000-7ffd00001000 r-xp 00000000 00:00 0                     [vdso]
Anonymous:             0 kB
`
	want := []mapping{{0x1000000, 0x1002000}, {0x4000000, 0x4002000}}
	if got := unchanged([]byte(text), "/opt/gateway"); !slices.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
}
