// Package peer starts the proxies that are compared, each with a configuration that has it do
// the same work, and checks that it does. The configurations, with the reason for each setting,
// are under config.
//
// It must not know what is measured.
package peer
