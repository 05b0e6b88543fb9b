package main

import "syscall"

// dirtied is how many bytes of pages this process has dirtied so far, -1 if that is not to be had.
func dirtied() int64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return -1
	}
	return u.Oublock * 512 // sectors, whatever the manual says
}
