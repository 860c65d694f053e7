package prometheus

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sluicegate/sluice/telemetry/identity"
)

// TestCardinality: whatever clients write into requests, they make no series.
func TestCardinality(t *testing.T) {
	t.Parallel()
	m := startMesh(t)
	if err := m.traffic(); err != nil {
		t.Fatal(err)
	}
	// Through the sidecar, what the mesh does not know goes where it is: to nobody.
	ways := []way{
		{m.gateway, "shop.example.com", func(i int) string { return fmt.Sprintf("random-%d.nobody.example.com", i) }},
		{m.outbound, "reviews.default.svc.cluster.local:9080", func(i int) string { return fmt.Sprintf("127.77.%d.%d:9", i/200, 1+i%200) }},
	}
	send := func(from, to int) {
		for _, w := range ways {
			if err := w.strange(from, to); err != nil {
				t.Fatal(err)
			}
		}
	}
	send(0, 4) // one of each kind that is about to come
	before := m.settled(t)
	send(4, 5004)
	for i, after := range m.series(t) {
		for line := range after {
			if !before[i][line] {
				t.Errorf("proxy %d has a new series: %s", i, line)
			}
		}
	}
	requests, err := get("http://" + m.metrics[0] + "/stats/prometheus")
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"random", "nobody", "127.77."} {
		if strings.Contains(requests, word) {
			t.Errorf("%q is in the metrics", word)
		}
	}
}

// way is a proxy, a host that it knows, and others that nobody does.
type way struct {
	address, known string
	unknown        func(i int) string
}

// strange sends requests that differ in all that a client may choose, by one connection.
func (way way) strange(from, to int) error {
	c, err := net.Dial("tcp", way.address)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(2 * patience))
	go func() {
		w := bufio.NewWriter(c)
		for i := from; i < to; i++ {
			name := way.known
			self := identity.Identity{Workload: fmt.Sprint("random-", i), Namespace: "random"}
			if i%2 == 0 {
				name = way.unknown(i)
			}
			fmt.Fprintf(w, "RANDOM%d /random/%d?random=%d HTTP/1.1\r\nHost: %s\r\nUser-Agent: random/%d\r\nX-Request-Id: random-%d\r\nX-Envoy-Peer-Metadata: %s\r\nX-Random-%d: 1\r\n\r\n", i, i, i, name, i, i, self.EncodePeer(), i)
		}
		w.Flush()
	}()
	r := bufio.NewReader(c)
	for range to - from {
		if err := skipResponse(r); err != nil {
			return err
		}
	}
	return nil
}

// skipResponse reads one response of known length.
func skipResponse(r *bufio.Reader) error {
	length := 0
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return err
		}
		if line == "\r\n" {
			break
		}
		if name, value, _ := strings.Cut(line, ":"); strings.EqualFold(name, "content-length") {
			fmt.Sscan(value, &length)
		}
	}
	_, err := io.CopyN(io.Discard, r, int64(length))
	return err
}

// settled returns the series of each proxy once there come no more: requests and connections
// are counted when they have ended, which is after the client has seen so.
func (m *mesh) settled(t *testing.T) [3]map[string]bool {
	t.Helper()
	list := m.series(t)
	await(t, func() error {
		time.Sleep(2 * time.Second)
		last := list
		if list = m.series(t); !reflect.DeepEqual(list, last) {
			return errors.New("there are more and more series")
		}
		return nil
	})
	return list
}

// series returns the series of each proxy about traffic, without their values.
func (m *mesh) series(t *testing.T) (list [3]map[string]bool) {
	t.Helper()
	for i, address := range m.metrics {
		page, err := get("http://" + address + "/stats/prometheus")
		if err != nil {
			t.Fatal(err)
		}
		list[i] = make(map[string]bool)
		for line := range strings.Lines(page) {
			if !strings.HasPrefix(line, "#") {
				list[i][line[:strings.LastIndexByte(line, ' ')]] = true
			}
		}
	}
	return list
}
