package peer

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// module is a peer that is built from its Go module, by a small module of ours in a folder of
// peer/build that pins its version.
type module struct {
	folder, module, pkg string
	// without is what is left out.
	without *omission
}

// version is what its go.mod pins. Asking go takes a while and the answer stays.
func (m module) version() (string, error) {
	versions.Lock()
	defer versions.Unlock()
	if v := versions.of[m.module]; v != "" {
		return v, nil
	}
	dir, err := m.dir()
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "list", "-m", "-f", "{{.Version}}", m.module)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go list -m %s in %s: %w", m.module, dir, err)
	}
	versions.of[m.module] = strings.TrimSpace(string(out))
	return versions.of[m.module], nil
}

var versions = struct {
	sync.Mutex
	of map[string]string
}{of: map[string]string{}}

func (m module) dir() (string, error) {
	root, err := moduleFolder(context.Background())
	if err != nil {
		return "", err
	}
	return filepath.Join(root, "peer", "build", m.folder), nil
}

// path is where a version is in the cache.
func (m module) path(cache, version string) (string, error) {
	return filepath.Abs(filepath.Join(cache, m.folder+"-"+version))
}

// build builds it, unless the cache has that version.
func (m module) build(ctx context.Context, cache string, progress io.Writer) (binary, version string, err error) {
	if binary, version, err = m.built(cache); err == nil {
		return binary, version, nil
	}
	if version, err = m.version(); err != nil {
		return "", "", err
	}
	dir, err := m.dir()
	if err != nil {
		return "", "", err
	}
	if binary, err = m.path(cache, version); err != nil {
		return "", "", err
	}
	fmt.Fprintf(progress, "building %s %s, which takes minutes the first time\n", m.folder, version)
	if err := m.compile(ctx, dir, binary); err != nil {
		return "", "", err
	}
	return m.built(cache)
}

// compile builds it, without what is to be left out.
func (m module) compile(ctx context.Context, dir, binary string) error {
	if m.without == nil {
		return goBuild(ctx, dir, binary, m.pkg)
	}
	scratch := binary + "-build"
	if err := os.RemoveAll(scratch); err != nil { // what a build that was broken off left
		return err
	}
	defer os.RemoveAll(scratch)
	file, err := m.without.prepare(ctx, dir, scratch)
	if err != nil {
		return err
	}
	return goBuild(ctx, dir, binary, m.pkg, "-modfile", file)
}

// built finds it in the cache.
func (m module) built(cache string) (binary, version string, err error) {
	if version, err = m.version(); err != nil {
		return "", "", err
	}
	if binary, err = m.path(cache, version); err != nil {
		return "", "", err
	}
	if _, err := os.Stat(binary); err != nil {
		return "", "", fmt.Errorf("%s has not been built: %w", m.folder, err)
	}
	return binary, strings.TrimPrefix(version, "v"), nil
}
