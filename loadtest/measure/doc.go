// Package measure reads what processes cost: processor time, memory, system calls; and says
// what machine it is.
//
// It must not know what the processes do.
package measure
