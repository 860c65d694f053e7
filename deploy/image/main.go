// Command image builds the project's container images without a container engine: from
// scratch, with one static binary each, for amd64 and arm64.
//
//	go run . -o ../../bin/images -version 0.1.0
//
// Each image becomes one archive that docker load, podman load, ctr images import, kind load
// image-archive and skopeo (oci-archive:) take: an OCI layout, and for older Docker engines the
// file that theirs has beside it. The same sources, the same Go and the same version give
// the same bytes.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

func main() {
	var b builder
	out := flag.String("o", "bin/images", "folder for the archives")
	only := flag.String("only", "", "names of images, with commas between them; empty for all")
	platforms := flag.String("platforms", "amd64,arm64", "architectures, with commas between them")
	flag.StringVar(&b.root, "root", "../..", "folder of the sources")
	flag.StringVar(&b.version, "version", "devel", "version, and the images' tag")
	flag.StringVar(&b.commit, "commit", "", "commit, for a label")
	flag.StringVar(&b.registry, "registry", "docker.io/sluicegate", "what the images' names begin with")
	flag.Parse()
	b.platforms = strings.Split(*platforms, ",")
	if err := b.all(*out, *only); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

// all builds the images that are asked for.
func (b *builder) all(out, only string) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	list, err := choose(only)
	if err != nil {
		return err
	}
	for _, p := range list {
		images, err := b.build(p)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		file := filepath.Join(out, p.name+".tar")
		size, err := writeArchive(file, b.reference(p), images, runtime.GOARCH)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		fmt.Printf("%-28s %s, %.1f MB for %d architectures\n", file, b.reference(p), float64(size)/1e6, len(images))
	}
	return nil
}
