package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/sluicegate/sluice/deploy/samples/bookinfo"
)

// demoFolder is where a demonstration's files are: its proxies watch one half, and a
// person copies there from the other.
type demoFolder struct {
	root string
	// temporary folders go when the demonstration ends.
	temporary bool
}

// config returns the folder that the proxies watch.
func (f demoFolder) config() string { return filepath.Join(f.root, "config") }

// samples returns the folder with what may be copied there.
func (f demoFolder) samples() string { return filepath.Join(f.root, "samples") }

// logs returns the folder of the proxies' logs.
func (f demoFolder) logs() string { return filepath.Join(f.root, "logs") }

// demoStart are the samples in force at the beginning. None of them routes reviews:
// its three versions share the traffic evenly.
var demoStart = []string{"bookinfo-gateway.yaml", "destination-rule-all.yaml"}

// demoService is the sample with the port that the gateway is reached by.
const demoService = "ingressgateway-service.yaml"

// openDemoFolder makes a folder for one demonstration, or takes dir where it is not
// empty.
func openDemoFolder(dir string) (demoFolder, error) {
	f := demoFolder{temporary: dir == ""}
	var err error
	if f.temporary {
		f.root, err = os.MkdirTemp("", "sluice-demo-")
	} else {
		// People copy the path to another terminal, which is elsewhere.
		f.root, err = filepath.Abs(dir)
	}
	if err != nil {
		return f, err
	}
	for _, d := range []string{f.config(), f.samples(), f.logs()} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return f, errors.Join(err, f.close())
		}
	}
	return f, nil
}

// close removes the folder if it was made for one demonstration only.
func (f demoFolder) close() error {
	if !f.temporary {
		return nil
	}
	return os.RemoveAll(f.root)
}

// fill writes the samples, and what the application and the gateway need. What says
// where things listen is written anew; what a person may have edited stays.
func (f demoFolder) fill(app *bookinfo.App, port int) error {
	manifests, err := app.Manifests()
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(f.config(), "services.yaml"), manifests, 0o644); err != nil {
		return err
	}
	samples, err := fs.ReadDir(bookinfo.Networking, "networking")
	if err != nil {
		return err
	}
	for _, s := range samples {
		text, err := fs.ReadFile(bookinfo.Networking, "networking/"+s.Name())
		if err != nil {
			return err
		}
		switch {
		case s.Name() == demoService:
			text = []byte(strings.ReplaceAll(string(text), "31380", strconv.Itoa(port)))
			err = os.WriteFile(filepath.Join(f.config(), s.Name()), text, 0o644)
		case slices.Contains(demoStart, s.Name()):
			err = writeNew(filepath.Join(f.config(), s.Name()), text)
		default:
			err = writeNew(filepath.Join(f.samples(), s.Name()), text)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// writeNew writes a file unless it is there.
func writeNew(name string, text []byte) error {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	return errors.Join(err, file.Close())
}
