//go:build !linux

package role

import "net"

// keepAlive leaves it to package net, which sets the same for each connection.
func keepAlive(*net.ListenConfig) {}
