// Command bookinfo runs one service of the bookinfo sample, as a container would:
//
//	bookinfo --service reviews --version v2 --listen :9080
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/sluicegate/sluice/deploy/samples/bookinfo"
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
	var peers bookinfo.Peers
	var w bookinfo.Workload
	flags := flag.NewFlagSet("bookinfo", flag.ExitOnError)
	flags.StringVar(&w.App, "service", "productpage", "productpage, details, reviews or ratings")
	flags.StringVar(&w.Version, "version", "v1", "the service's version; reviews has v1, v2 and v3")
	linger := flags.Duration("linger", time.Second, "how long to go on accepting once the service is asked to end: whoever calls it learns a moment later")
	listen := flags.String("listen", fmt.Sprintf(":%d", bookinfo.Port), "address to serve on")
	flags.StringVar(&peers.Details, "details", "", "base URL of details (default http://details:9080)")
	flags.StringVar(&peers.Reviews, "reviews", "", "base URL of reviews (default http://reviews:9080)")
	flags.StringVar(&peers.Ratings, "ratings", "", "base URL of ratings (default http://ratings:9080)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	handler, err := bookinfo.NewHandler(w, peers)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	fmt.Printf("%s listens on %s\n", w, l.Addr())
	return bookinfo.Serve(bookinfo.Linger(ctx, *linger), l, handler)
}
