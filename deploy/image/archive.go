package main

import (
	"archive/tar"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// writeArchive writes images of several platforms as one archive, and returns its size. An
// engine that knows nothing of layouts gets the image of the architecture native.
func writeArchive(name, reference string, images map[string]v1.Image, native string) (int64, error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, arch := range slices.Sorted(maps.Keys(images)) {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: images[arch],
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}}})
	}
	dir, err := os.MkdirTemp(filepath.Dir(name), ".layout")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	at, err := layout.Write(dir, empty.Index)
	if err != nil {
		return 0, err
	}
	if err := at.AppendIndex(index, layout.WithAnnotations(map[string]string{
		"io.containerd.image.name":          reference,
		"org.opencontainers.image.ref.name": path.Base(reference)[len(path.Base(repository(reference)))+1:],
	})); err != nil {
		return 0, err
	}
	image, ok := images[native]
	if !ok {
		image = images[slices.Sorted(maps.Keys(images))[0]]
	}
	if err := writeDockerManifest(filepath.Join(dir, "manifest.json"), reference, image); err != nil {
		return 0, err
	}
	return pack(dir, name)
}

// repository is a reference without its tag.
func repository(reference string) string {
	for i := len(reference) - 1; i >= 0 && reference[i] != '/'; i-- {
		if reference[i] == ':' {
			return reference[:i]
		}
	}
	return reference
}

// writeDockerManifest writes what docker load looks for.
func writeDockerManifest(name, reference string, image v1.Image) error {
	manifest, err := image.Manifest()
	if err != nil {
		return err
	}
	blob := func(h v1.Hash) string { return "blobs/" + h.Algorithm + "/" + h.Hex }
	entry := struct {
		Config   string
		RepoTags []string
		Layers   []string
	}{Config: blob(manifest.Config.Digest), RepoTags: []string{reference}}
	for _, l := range manifest.Layers {
		entry.Layers = append(entry.Layers, blob(l.Digest))
	}
	text, err := json.Marshal([]any{entry})
	if err != nil {
		return err
	}
	return os.WriteFile(name, text, 0o644)
}

// pack makes one archive of a folder, in the order of the names.
func pack(dir, name string) (size int64, err error) {
	out, err := os.Create(name)
	if err != nil {
		return 0, err
	}
	defer out.Close()
	w := tar.NewWriter(out)
	err = filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || file == dir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		inside, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		h := &tar.Header{Name: filepath.ToSlash(inside), Mode: 0o644, Typeflag: tar.TypeReg, Size: info.Size(), ModTime: time.Unix(0, 0)}
		if d.IsDir() {
			h.Name, h.Mode, h.Typeflag, h.Size = h.Name+"/", 0o755, tar.TypeDir, 0
			return w.WriteHeader(h)
		}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		in, err := os.Open(file)
		if err != nil {
			return err
		}
		defer in.Close()
		_, err = io.Copy(w, in)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	if err := w.Close(); err != nil {
		return 0, err
	}
	if size, err = out.Seek(0, io.SeekCurrent); err != nil {
		return 0, err
	}
	return size, out.Close()
}
