// Package report turns measurements into ratios, tables and plots.
//
// It must not know how they were made.
package report
