package storage

import "fmt"

// What the power-cut suite, which otherwise lives outside, needs from inside.

// SealByHand keeps the sealer from running by itself: segments are sealed when the test says so, or at Close.
func (c *Config) SealByHand() { c.sealByHand = true }

// Seal seals what the log has rolled so far.
func (l *Log) Seal() error {
	if err := l.usable(); err != nil {
		return err
	}
	if err := l.seal(); err != nil {
		return l.dir.fail(fmt.Sprintf("sealing a segment of %v", l.tp), err)
	}
	return nil
}
