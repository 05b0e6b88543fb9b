package main

import "github.com/spf13/cobra"

// brokerCommands are those that touch a broker's own machine and data, not a cluster over the network.
func brokerCommands(a *app) []*cobra.Command {
	return []*cobra.Command{newServeCommand(a), newLogCommand(a)}
}
