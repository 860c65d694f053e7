package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"text/template"

	"github.com/spf13/cobra"

	"github.com/sluicegate/sluice/admin/ui"
	"github.com/sluicegate/sluice/deploy/samples/bookinfo"
)

// demoOptions are the flags of sluice demo.
type demoOptions struct {
	// port is the one that browsers come to, admin the gateway's admin address. Both
	// give way to free ports where they are taken. Port 0 is any.
	port  int
	admin string
	// dir keeps the files; empty means a temporary folder.
	dir string
}

func newDemoCommand() *cobra.Command {
	var o demoOptions
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run the bookinfo application behind the gateway, on this machine",
		Long: `Run the bookinfo application and, in front of and between its services, the gateway
and sidecars, all in this one process. The configuration is a folder of Istio and
Kubernetes YAML; what you change there is live as soon as it is saved.

Without --dir the folder is a temporary one that goes when the demonstration ends.
With it, what you changed stays, and is used again the next time.`,
		Example: `  sluice demo
  sluice demo --dir ./demo`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.port < 0 || o.port > 65535 {
				return misusef("--port %d: must be from 1 to 65535, or 0 for any", o.port)
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			// A second Ctrl-C ends the process at once.
			context.AfterFunc(ctx, stop)
			return runDemo(ctx, o, cmd.OutOrStdout())
		},
	}
	cmd.Flags().IntVar(&o.port, "port", 31380, "port to serve the page on; a free one if it is taken")
	cmd.Flags().StringVar(&o.admin, "admin", defaultAdmin, "address of the gateway's admin server; a free port if it is taken")
	cmd.Flags().StringVar(&o.dir, "dir", "", "folder to keep the files in (default: a temporary one)")
	return cmd
}

// runDemo runs the demonstration until ctx is done.
func runDemo(ctx context.Context, o demoOptions, out io.Writer) (err error) {
	folder, err := openDemoFolder(o.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, folder.close()) }()
	d, err := startDemo(ctx, o, folder, out)
	if err != nil {
		return err
	}
	d.introduce(o, out)
	d.report.start()
	err = d.wait()
	fmt.Fprintln(out, "\nThe demonstration has ended.")
	return err
}

// demo is the application, the gateway in front of it and the sidecars between its
// services.
type demo struct {
	folder  demoFolder
	app     *bookinfo.App
	gateway *demoProxy
	mesh    map[bookinfo.Workload]*demoProxy
	report  *demoReport
	log     *os.File
	port    int
	admin   string

	// ctx ends when the demonstration should, and what it ends with says why.
	ctx               context.Context
	stopMesh, stopApp context.CancelFunc
}

// startDemo starts everything, and returns when it serves.
func startDemo(ctx context.Context, o demoOptions, folder demoFolder, out io.Writer) (*demo, error) {
	run, fail := context.WithCancelCause(ctx)
	// The services outlive the proxies in front of them, so that requests finish.
	meshCtx, stopMesh := context.WithCancel(context.WithoutCancel(ctx))
	appCtx, stopApp := context.WithCancel(context.WithoutCancel(ctx))
	d := &demo{
		folder: folder, report: newDemoReport(out, folder.config()), mesh: map[bookinfo.Workload]*demoProxy{},
		ctx: run, stopMesh: stopMesh, stopApp: stopApp,
	}
	for _, w := range bookinfo.Workloads() {
		if w.Calls() {
			d.mesh[w] = newDemoProxy(w.String(), d.report, fail)
		}
	}
	d.gateway = newDemoProxy("gateway", d.report, fail)
	if err := d.start(o, meshCtx, appCtx); err != nil {
		fail(err)
		return nil, d.wait()
	}
	return d, nil
}

func (d *demo) start(o demoOptions, meshCtx, appCtx context.Context) (err error) {
	if d.app, err = bookinfo.Start(appCtx, bookinfo.Options{Dial: d.dial}); err != nil {
		return err
	}
	if d.port, err = freePort(o.port); err != nil {
		return err
	}
	if err := d.folder.fill(d.app, d.port); err != nil {
		return err
	}
	if d.log, err = os.OpenFile(filepath.Join(d.folder.logs(), "proxies.log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644); err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(d.log, nil))
	for w, p := range d.mesh {
		p.runSidecar(meshCtx, d.folder, w, log)
	}
	d.gateway.runGateway(d.ctx, d.folder, d.port, freeAddress(o.admin), d.sidecars, log)
	for _, p := range d.mesh {
		if err := p.await(d.ctx); err != nil {
			return err
		}
	}
	if err := d.gateway.await(d.ctx); err != nil {
		return err
	}
	d.admin, err = d.gateway.served()
	return err
}

// sidecars are what the gateway's page shows beside it, by name.
func (d *demo) sidecars() []ui.Peer {
	var list []ui.Peer
	for w, p := range d.mesh {
		if admin := p.current().Admin; admin != "" {
			list = append(list, ui.Peer{Name: w.String(), Address: admin})
		}
	}
	slices.SortFunc(list, func(a, b ui.Peer) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// dial opens a connection for a call between services: to the sidecar of who calls.
func (d *demo) dial(ctx context.Context, from bookinfo.Workload, _ string) (net.Conn, error) {
	address, err := d.mesh[from].outbound(ctx)
	if err != nil {
		return nil, err
	}
	var dialer net.Dialer
	return dialer.DialContext(ctx, "tcp", address)
}

// wait returns when everything has ended: the gateway first, then the sidecars, then
// the application.
func (d *demo) wait() error {
	<-d.ctx.Done()
	d.report.stop()
	d.gateway.ended()
	d.stopMesh()
	for _, p := range d.mesh {
		p.ended()
	}
	d.stopApp()
	if d.app != nil {
		d.app.Wait()
	}
	if d.log != nil {
		d.log.Close()
	}
	if err := context.Cause(d.ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// freePort returns the port if nobody listens on it, else another that is free.
func freePort(port int) (int, error) {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return 0, err
		}
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// freeAddress returns the address if nobody listens there, else one with any port.
func freeAddress(address string) string {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return "127.0.0.1:0"
	}
	l.Close()
	return address
}

// introduce says where everything is, and what to try.
func (d *demo) introduce(o demoOptions, out io.Writer) {
	name := "sluice"
	if exe, err := os.Executable(); err == nil && strings.Contains(exe, "go-build") {
		name = "go run ./cmd/sluice"
	}
	flag := ""
	if d.admin != defaultAdmin {
		flag = " --admin " + d.admin
	}
	err := demoIntroduction.Execute(out, map[string]any{
		"URL": "http://localhost:" + strconv.Itoa(d.port), "Admin": d.admin, "AdminFlag": flag,
		"Folder": d.folder.root, "Temporary": d.folder.temporary, "Sluice": name,
		"PortTaken": o.port != 0 && d.port != o.port, "AdminTaken": d.admin != o.admin && !strings.HasSuffix(o.admin, ":0"),
		"Options": map[string]any{"Port": o.port, "Admin": o.admin},
	})
	if err != nil {
		fmt.Fprintln(out, err)
	}
}

var demoIntroduction = template.Must(template.New("introduction").Parse(`
{{- if .PortTaken}}Port {{.Options.Port}} is taken: the page is on a free one instead.
{{end}}{{if .AdminTaken}}{{.Options.Admin}} is taken: the admin server is on a free port instead.
{{end}}Bookinfo runs behind the gateway, and sidecars between its services.

  page       {{.URL}}/productpage
  dashboard  http://{{.Admin}}/ui/
  admin      http://{{.Admin}}/
  files      {{.Folder}}{{if .Temporary}} (gone when this ends; --dir DIR keeps them){{end}}

Reload the page a few times. No route says which version of reviews to take, so its
stars are missing (v1), black (v2) or red (v3). Then, in another terminal:

  D={{.Folder}}

  # Red stars for everybody.
  cp $D/samples/virtual-service-reviews-v3.yaml $D/config/routes.yaml

  # Black ones for jason only: sign in on the page, or bring his cookie.
  cp $D/samples/virtual-service-reviews-test-v2.yaml $D/config/routes.yaml
  curl -s -b session=jason {{.URL}}/productpage | grep -o 'reviews-v[0-9]'

  # Nine in ten see v1. Change the weights in $D/config/routes.yaml as this runs.
  cp $D/samples/virtual-service-reviews-90-10.yaml $D/config/routes.yaml
  for i in $(seq 100); do curl -s {{.URL}}/api/v1/products/0/reviews; done | grep -o 'reviews-v[0-9]' | sort | uniq -c

  # Why a request goes where it goes: through the gateway, and from page to reviews.
  {{.Sluice}} explain{{.AdminFlag}} {{.URL}}/productpage
  {{.Sluice}} explain --config $D/config --workload-labels app=productpage,version=v1 http://reviews:9080/reviews/0 -H 'end-user: jason'

  # Why one failed, and what passes through.
  curl -s {{.URL}}/nowhere; {{.Sluice}} why{{.AdminFlag}}
  {{.Sluice}} top{{.AdminFlag}}

What is live, and what is wrong with it, is told here. Ctrl-C ends.

`))
