//go:build race

package router

// raced: the race detector makes pools forget at random, so that allocations mean nothing.
const raced = true
