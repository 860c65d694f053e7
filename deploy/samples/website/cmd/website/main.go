// Command website runs the website sample in one colour:
//
//	website --colour green --listen 127.0.0.1:8102
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

	"github.com/sluicegate/sluice/deploy/samples/website"
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
	flags := flag.NewFlagSet("website", flag.ExitOnError)
	colour := flags.String("colour", "blue", "blue, green or red")
	listen := flags.String("listen", ":8080", "address to serve on")
	if err := flags.Parse(args); err != nil {
		return err
	}
	handler, err := website.NewHandler(*colour)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	fmt.Printf("the %s website listens on %s\n", *colour, l.Addr())
	s := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	stopServing := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stopServing()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
