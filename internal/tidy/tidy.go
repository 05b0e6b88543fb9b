// Package tidy is the house rules as a test: who may import whom, what a core may not do, how long a chapter may be, and which words
// may not appear. It holds no code that runs in the product. When a rule is in the way, change the rule here, with a reason.
package tidy
