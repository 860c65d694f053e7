// Command mkimg packs static binaries into a container image that containerd imports: one
// layer, in the format of docker save, the same bytes each time.
//
//	mkimg -o coredns.tar -name k8s.local/coredns:1 -entry /coredns bin/coredns=/coredns
package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path"
	"runtime"
	"strings"
	"time"
)

// passwd names the users that images may run as.
const passwd = "root:x:0:0::/:/sbin/nologin\nnonroot:x:65532:65532::/:/sbin/nologin\n"

func main() {
	out := flag.String("o", "", "file to write")
	name := flag.String("name", "", "full references, with commas between them; latest as a tag would be pulled")
	entry := flag.String("entry", "", "entry point")
	user := flag.String("user", "", "user, UID:GID")
	flag.Parse()
	if err := write(*out, strings.Split(*name, ","), *entry, *user, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "mkimg:", err)
		os.Exit(1)
	}
}

// write packs files, each given as SOURCE=DESTINATION.
func write(out string, names []string, entry, user string, files []string) error {
	layer, err := pack(files)
	if err != nil {
		return err
	}
	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux", "created": "1970-01-01T00:00:00Z",
		"config": map[string]any{"Entrypoint": []string{entry}, "User": user, "Env": []string{"PATH=/"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + digest(layer)}},
	})
	if err != nil {
		return err
	}
	configName := digest(config) + ".json"
	manifest, err := json.Marshal([]map[string]any{{"Config": configName, "RepoTags": names, "Layers": []string{"layer.tar"}}})
	if err != nil {
		return err
	}
	var image bytes.Buffer
	w := archive{w: tar.NewWriter(&image)}
	w.file(configName, 0o644, config)
	w.file("layer.tar", 0o644, layer)
	w.file("manifest.json", 0o644, manifest)
	if err := w.close(); err != nil {
		return err
	}
	return os.WriteFile(out, image.Bytes(), 0o644)
}

// pack returns a layer of files, with the folders and users that programs expect.
func pack(files []string) ([]byte, error) {
	var layer bytes.Buffer
	w := archive{w: tar.NewWriter(&layer), folders: map[string]bool{".": true, "/": true}}
	for _, dir := range []string{"etc", "proc", "sys", "dev", "run"} {
		w.folder(dir, 0o755)
	}
	w.folder("tmp", 0o1777)
	w.file("etc/passwd", 0o644, []byte(passwd))
	for _, f := range files {
		source, destination, _ := strings.Cut(f, "=")
		text, err := os.ReadFile(source)
		if err != nil {
			return nil, err
		}
		destination = strings.TrimPrefix(destination, "/")
		w.folder(path.Dir(destination), 0o755)
		w.file(destination, 0o755, text)
	}
	err := w.close()
	return layer.Bytes(), err
}

// archive is a tar file of which the first error is kept.
type archive struct {
	w       *tar.Writer
	folders map[string]bool
	err     error
}

// folder adds a folder and those above it, unless they are there.
func (a *archive) folder(name string, mode int64) {
	if a.folders[name] {
		return
	}
	a.folders[name] = true
	a.folder(path.Dir(name), 0o755)
	a.add(&tar.Header{Name: name + "/", Typeflag: tar.TypeDir, Mode: mode}, nil)
}

func (a *archive) file(name string, mode int64, text []byte) {
	a.add(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: mode, Size: int64(len(text))}, text)
}

func (a *archive) add(h *tar.Header, text []byte) {
	if a.err != nil {
		return
	}
	h.ModTime = time.Unix(0, 0)
	if a.err = a.w.WriteHeader(h); a.err == nil {
		_, a.err = io.Copy(a.w, bytes.NewReader(text))
	}
}

func (a *archive) close() error {
	if a.err != nil {
		return a.err
	}
	return a.w.Close()
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
