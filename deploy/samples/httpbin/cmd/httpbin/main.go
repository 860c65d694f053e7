// Command httpbin runs the httpbin sample:
//
//	httpbin --version v2 --listen 127.0.0.1:8002
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/sluicegate/sluice/deploy/samples/httpbin"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("httpbin", flag.ExitOnError)
	version := flags.String("version", "v1", "the version that answers name")
	listen := flags.String("listen", ":8080", "address to serve on")
	if err := flags.Parse(args); err != nil {
		return err
	}
	l, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	fmt.Printf("httpbin %s listens on %s\n", *version, l.Addr())
	s := &http.Server{Handler: httpbin.NewHandler(*version), ReadHeaderTimeout: 10 * time.Second}
	stopServing := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stopServing()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
