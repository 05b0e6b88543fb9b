package main

import "github.com/spf13/cobra"

func newLogCommand(a *app) *cobra.Command { return &cobra.Command{Use: "log"} }
