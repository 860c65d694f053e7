package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// user is whom the programs run as: nobody that a node knows.
const user = "65532:65532"

// builder knows what all images have in common.
type builder struct {
	root, version, commit, registry string
	platforms                       []string
}

// reference is what a program's image is called.
func (b *builder) reference(p program) string { return b.registry + "/" + p.name + ":" + b.tag(p) }

func (b *builder) tag(p program) string {
	if p.sample {
		return sampleVersion
	}
	return b.version
}

// build returns a program's image for each platform.
func (b *builder) build(p program) (map[string]v1.Image, error) {
	dir, err := os.MkdirTemp("", "image")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	images := make(map[string]v1.Image, len(b.platforms))
	for _, arch := range b.platforms {
		binary := filepath.Join(dir, p.name+"-"+arch)
		if err := b.compile(p, arch, binary); err != nil {
			return nil, err
		}
		if images[arch], err = b.image(p, arch, binary); err != nil {
			return nil, err
		}
	}
	return images, nil
}

// compile makes a static binary that does not tell where it was built.
func (b *builder) compile(p program, arch, binary string) error {
	const stamp = "github.com/sluicegate/sluice/version"
	profile := "off"
	if !p.sample {
		profile = "cmd/traffic.pgo" // as "make build" has it
	}
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-pgo="+profile, "-o", binary,
		"-ldflags", fmt.Sprintf("-s -w -buildid= -X %s.number=%s -X %s.commit=%s", stamp, b.version, stamp, b.commit), p.path)
	cmd.Dir = b.root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s for %s: %w\n%s", p.path, arch, err, out)
	}
	return nil
}

// image puts a binary into an image. What changes least comes first: the roots are a layer
// that versions share.
func (b *builder) image(p program, arch, binary string) (v1.Image, error) {
	text, err := os.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	base, err := baseLayer()
	if err != nil {
		return nil, err
	}
	program, err := layer(file{name: p.name, mode: 0o755, text: text})
	if err != nil {
		return nil, err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	if image, err = mutate.Append(image,
		mutate.Addendum{Layer: base, History: v1.History{CreatedBy: "certificate authorities, users, folders"}},
		mutate.Addendum{Layer: program, History: v1.History{CreatedBy: "go build " + p.path}},
	); err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", arch
	config.Created = v1.Time{Time: time.Unix(0, 0).UTC()}
	config.Config = v1.Config{
		Entrypoint: []string{"/" + p.name},
		User:       user,
		WorkingDir: "/",
		Env:        []string{"PATH=/"},
		Labels: map[string]string{
			"org.opencontainers.image.title":       p.name,
			"org.opencontainers.image.description": p.what,
			"org.opencontainers.image.version":     b.tag(p),
			"org.opencontainers.image.source":      "https://github.com/sluicegate/sluice",
		},
	}
	if b.commit != "" {
		config.Config.Labels["org.opencontainers.image.revision"] = b.commit
	}
	return mutate.ConfigFile(image, config)
}
