//go:build !linux

package server

import (
	"errors"
	"sync"
)

var recordBuffers = sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}

// Elsewhere records are copied through memory.
func (c *conn) canSendFile() bool { return false }

func (c *conn) sendFile(uintptr, int64, int) error { return errors.ErrUnsupported }
