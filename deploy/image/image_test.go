package main

import (
	"archive/tar"
	"bytes"
	"crypto/x509"
	"io"
	"os"
	"path/filepath"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// mostGateway is what the gateway's image may have, compressed.
const mostGateway = 25 << 20

func testBuilder(platforms ...string) *builder {
	return &builder{root: "../..", version: "1.2.3", commit: "abc", registry: "example.com/x", platforms: platforms}
}

// TestGatewaySize: a node fetches the gateway in no time.
func TestGatewaySize(t *testing.T) {
	t.Parallel()
	images, err := testBuilder("amd64").build(programs[0])
	if err != nil {
		t.Fatal(err)
	}
	if size := compressed(t, images["amd64"]); size > mostGateway {
		t.Errorf("%s has %d bytes, more than %d", programs[0].name, size, mostGateway)
	} else {
		t.Logf("%s has %.1f MB", programs[0].name, float64(size)/1e6)
	}
}

func compressed(t *testing.T, image v1.Image) (size int64) {
	t.Helper()
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range layers {
		n, err := l.Size()
		if err != nil {
			t.Fatal(err)
		}
		size += n
	}
	return size
}

// TestArchive: an image is valid, says what it is, is the same when it is built again, and is
// found by engines that read layouts and by those that do not.
func TestArchive(t *testing.T) {
	t.Parallel()
	b, dir := testBuilder("amd64", "arm64"), t.TempDir()
	list, err := choose("httpbin")
	if err != nil {
		t.Fatal(err)
	}
	var texts [2][]byte
	for i := range texts {
		images, err := b.build(list[0])
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(dir, "a.tar")
		if _, err := writeArchive(name, b.reference(list[0]), images, "arm64"); err != nil {
			t.Fatal(err)
		}
		if texts[i], err = os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(texts[0], texts[1]) {
		t.Error("the same sources give two archives")
	}

	docker, err := tarball.ImageFromPath(filepath.Join(dir, "a.tar"), nil)
	if err != nil {
		t.Fatal(err)
	}
	config, err := docker.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.Architecture != "arm64" {
		t.Errorf("docker load gets %s, want what was called native", config.Architecture)
	}

	unpack(t, texts[0], filepath.Join(dir, "layout"))
	outer, err := layout.ImageIndexFromPath(filepath.Join(dir, "layout"))
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(outer); err != nil {
		t.Error(err)
	}
	manifest, err := outer.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if a := manifest.Manifests[0].Annotations; a["io.containerd.image.name"] != "example.com/x/httpbin:0.1.0" || a["org.opencontainers.image.ref.name"] != "0.1.0" {
		t.Errorf("the image is called %v", a)
	}
	inner, err := outer.ImageIndex(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	platforms, err := inner.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	for i, arch := range []string{"amd64", "arm64"} {
		d := platforms.Manifests[i]
		if d.Platform.Architecture != arch {
			t.Errorf("image %d is for %s, want %s", i, d.Platform.Architecture, arch)
		}
		image, err := inner.Image(d.Digest)
		if err != nil {
			t.Fatal(err)
		}
		checkImage(t, image, arch)
	}
}

// checkImage looks at what a container gets.
func checkImage(t *testing.T, image v1.Image, arch string) {
	t.Helper()
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if c := config.Config; c.User != "65532:65532" || c.Entrypoint[0] != "/httpbin" || c.Labels["org.opencontainers.image.revision"] != "abc" || config.Architecture != arch {
		t.Errorf("%s: %+v", arch, config)
	}
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string][]byte)
	for _, l := range layers {
		r, err := l.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		each(t, r, func(h *tar.Header, text []byte) {
			found[h.Name] = text
			if h.Uid != 0 || h.Mode&0o022 != 0 && h.Name != "tmp/" {
				t.Errorf("%s: %s can be changed by others: %o", arch, h.Name, h.Mode)
			}
		})
	}
	if !bytes.HasPrefix(found["httpbin"], []byte("\x7fELF")) {
		t.Errorf("%s: the program is missing", arch)
	}
	if pool := x509.NewCertPool(); !pool.AppendCertsFromPEM(found["etc/ssl/certs/ca-certificates.crt"]) || bytes.Count(found["etc/ssl/certs/ca-certificates.crt"], []byte("BEGIN")) < 100 {
		t.Errorf("%s: certificate authorities are missing", arch)
	}
}

// each calls f for every entry of an archive.
func each(t *testing.T, r io.Reader, f func(*tar.Header, []byte)) {
	t.Helper()
	in := tar.NewReader(r)
	for {
		h, err := in.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		f(h, text)
	}
}

func unpack(t *testing.T, archive []byte, dir string) {
	t.Helper()
	each(t, bytes.NewReader(archive), func(h *tar.Header, text []byte) {
		name := filepath.Join(dir, h.Name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeDir {
			return
		}
		if err := os.WriteFile(name, text, 0o644); err != nil {
			t.Fatal(err)
		}
	})
}

// TestSampleVersion: the images of the samples are called what their manifests ask for.
func TestSampleVersion(t *testing.T) {
	t.Parallel()
	for _, p := range programs {
		if !p.sample {
			continue
		}
		text, err := os.ReadFile("../samples/" + p.name + "/platform/" + p.name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		if want := "image: sluicegate/" + p.name + ":" + sampleVersion + "\n"; !bytes.Contains(text, []byte(want)) {
			t.Errorf("%s's manifests have no %q", p.name, want)
		}
	}
}
