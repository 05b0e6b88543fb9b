// Package check holds simulated runs against what must always be so, one rule a file.
//
// Core: no clock, goroutine, lock, log, random or I/O. A checker is told what happens, in order, and answers with an error the moment it cannot
// be right. It knows nothing of how a coordinator decides: partitions, members and generations are numbers to it. Nothing may be switched
// off here to let a run pass.
package check
