package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"sync"
	"time"

	"github.com/sluicegate/sluice/admin/ui"
	"github.com/sluicegate/sluice/cmd/internal/start"
	"github.com/sluicegate/sluice/config/istio"
	"github.com/sluicegate/sluice/deploy/samples/bookinfo"
	"github.com/sluicegate/sluice/gateway"
	"github.com/sluicegate/sluice/role"
	"github.com/sluicegate/sluice/sidecar"
	"github.com/sluicegate/sluice/telemetry"
)

const (
	// demoDrain bounds how long requests may take when the demonstration ends.
	demoDrain = 2 * time.Second
	// demoPatience bounds how long a proxy may take to serve.
	demoPatience = 30 * time.Second
	// gatewayPort is where the sample's Service sends what comes to the gateway.
	gatewayPort = 8080
)

// demoProxy is the gateway or a sidecar of a demonstration.
type demoProxy struct {
	name   string
	report *demoReport
	fail   context.CancelCauseFunc
	runs   sync.WaitGroup

	mu     sync.Mutex
	status role.Status
	// ready is closed once the proxy serves for the first time.
	ready chan struct{}
	once  sync.Once
}

// newDemoProxy returns a proxy that does not run yet. It calls fail where it ends
// although nobody asked it to.
func newDemoProxy(name string, report *demoReport, fail context.CancelCauseFunc) *demoProxy {
	return &demoProxy{name: name, report: report, fail: fail, ready: make(chan struct{})}
}

// runGateway starts the edge role at a port of this machine.
func (p *demoProxy) runGateway(ctx context.Context, folder demoFolder, port int, admin string, peers func() []ui.Peer, log *slog.Logger) {
	view := istio.Options{Role: istio.Gateway, Namespace: "istio-system", Labels: map[string]string{"istio": "ingressgateway"}}
	p.run(func() error {
		return gateway.Run(ctx, gateway.Options{
			Source: start.Files([]string{folder.config()}), NewCompiler: start.Istio(view),
			Labels: view.Labels, Namespace: view.Namespace, Config: []string{folder.config()},
			Identity: demoIdentity("router", "istio-ingressgateway", "istio-ingressgateway-service-account", istio.Options{
				Namespace: view.Namespace, Labels: map[string]string{"app": "istio-ingressgateway", "istio": "ingressgateway"},
			}),
			Address:   netip.MustParseAddr("127.0.0.1"),
			PortMap:   map[uint16]uint16{gatewayPort: uint16(port)},
			Admin:     admin,
			Peers:     peers,
			AccessLog: filepath.Join(folder.logs(), "gateway.log"),
			Drain:     demoDrain,
			Logger:    log.With("proxy", p.name),
			Notify:    p.notify,
		})
	})
}

// runSidecar starts the mesh role beside a workload that calls others.
func (p *demoProxy) runSidecar(ctx context.Context, folder demoFolder, w bookinfo.Workload, log *slog.Logger) {
	view := istio.Options{Role: istio.Sidecar, Namespace: "default", Labels: map[string]string{"app": w.App, "version": w.Version}}
	p.run(func() error {
		return sidecar.Run(ctx, sidecar.Options{
			Source: start.Files([]string{folder.config()}), NewCompiler: start.Istio(view),
			Labels: view.Labels, Namespace: view.Namespace, Config: []string{folder.config()},
			Identity:  demoIdentity("sidecar", w.String(), "bookinfo-"+w.App, view),
			Outbound:  "127.0.0.1:0",
			Admin:     "127.0.0.1:0",
			AccessLog: filepath.Join(folder.logs(), w.String()+".log"),
			Drain:     demoDrain,
			Logger:    log.With("proxy", p.name),
			Notify:    p.notify,
		})
	})
}

// demoIdentity is who a proxy speaks for in its metrics, as on Kubernetes.
func demoIdentity(kind, workload, account string, view istio.Options) telemetry.Identity {
	return telemetry.Identity{
		Workload: workload, Namespace: view.Namespace, Labels: view.Labels, ServiceAccount: account,
		TrustDomain: "cluster.local", Cluster: "Kubernetes", Mesh: "cluster.local",
		Node: kind + "~127.0.0.1~" + workload + "." + view.Namespace + "~" + view.Namespace + ".svc.cluster.local",
	}
}

func (p *demoProxy) run(role func() error) {
	p.runs.Go(func() {
		if err := role(); err != nil {
			p.fail(fmt.Errorf("%s: %w", p.name, err))
		}
	})
}

// ended returns when the proxy has, or if it never ran.
func (p *demoProxy) ended() { p.runs.Wait() }

func (p *demoProxy) notify(s role.Status) {
	p.mu.Lock()
	p.status = s
	p.mu.Unlock()
	if s.NotReady == nil {
		p.once.Do(func() { close(p.ready) })
	}
	p.report.take(p.name, s)
}

func (p *demoProxy) current() role.Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status
}

// await returns when the proxy serves, or why it does not.
func (p *demoProxy) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, demoPatience)
	defer cancel()
	select {
	case <-p.ready:
		return nil
	case <-ctx.Done():
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		if why := p.current().NotReady; why != nil {
			return fmt.Errorf("%s is not ready after %v: %w", p.name, demoPatience, why)
		}
	}
	return context.Cause(ctx)
}

// outbound returns where the workload beside this sidecar sends its calls.
func (p *demoProxy) outbound(ctx context.Context) (string, error) {
	select {
	case <-p.ready:
		return p.current().Address(sidecar.Outbound), nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// served returns the gateway's admin address once its port serves.
func (p *demoProxy) served() (admin string, err error) {
	s := p.current()
	for _, l := range s.Listeners {
		if l.Port == gatewayPort && l.Bound {
			return s.Admin, nil
		}
	}
	message := "no Gateway in the folder asks for port 80 of the ingress gateway: mend it, or begin with another --dir"
	for _, c := range s.Conditions {
		message += "\n" + c.String()
	}
	return "", errors.New(message)
}
