package validate

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sluicegate/sluice/config"
	"github.com/sluicegate/sluice/config/istio/decode"
)

// BenchmarkObject validates one VirtualService an iteration.
func BenchmarkObject(b *testing.B) {
	specs := map[string]string{
		"small": `{hosts: [a.example.com], gateways: [ns/g], http: [{match: [{uri: {prefix: /a}, headers: {x: {exact: v}}}], timeout: 5s, route: [{destination: {host: b, port: {number: 80}}}]}, {route: [{destination: {host: c}}]}]}`,
	}
	var rules strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&rules, "{match: [{uri: {prefix: /path/%d/}}], route: [{destination: {host: b}}]},", i)
	}
	specs["10000 rules"] = "{hosts: [a.example.com], gateways: [ns/g], http: [" + rules.String() + "]}"
	rules.Reset()
	for i := range 10_000 {
		fmt.Fprintf(&rules, "{match: [{uri: {prefix: /}, headers: {user: {exact: u%d}}}], route: [{destination: {host: b}}]},", i)
	}
	specs["10000 rules on one path"] = "{hosts: [a.example.com], gateways: [ns/g], http: [" + rules.String() + "]}"
	for name, spec := range specs {
		b.Run(name, func(b *testing.B) {
			o := config.Object{Key: config.Key{Group: "networking.istio.io", Kind: "VirtualService", Name: "x"}, Version: "v1", Source: config.Plain("spec: " + spec)}
			typed, conditions := decode.Decode(&o)
			if typed == nil {
				b.Fatal(conditions)
			}
			b.ReportAllocs()
			for b.Loop() {
				if conditions := Object(typed); len(conditions) > 0 {
					b.Fatal(conditions[0])
				}
			}
		})
	}
}
