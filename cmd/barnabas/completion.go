package main

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func newCompletionCommand(a *app) *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "Print a completion script for a shell",
		Long:  `Print a completion script for a shell. It completes commands and flags, and names of topics, brokers and settings from the cluster.`,
		Example: `  source <(barnabas completion bash)
  barnabas completion zsh > "${fpath[1]}/_barnabas"
  barnabas completion fish > ~/.config/fish/completions/barnabas.fish`,
		Args:      need(1, 1, "the name of a shell: bash, zsh, fish or powershell"),
		ValidArgs: shells,
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(a.out, true)
			case "zsh":
				return root.GenZshCompletion(a.out)
			case "fish":
				return root.GenFishCompletion(a.out, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(a.out)
			}
			return usage("no completion for "+args[0], "use bash, zsh, fish or powershell")
		},
	}
}

type completer = func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective)

// ask runs a question to the cluster for a completion: silent and short, since a person waits at the prompt. Cobra does not
// run the persistent hooks before completing, so the global flags are prepared here.
func (a *app) ask(cmd *cobra.Command, question func(context.Context, *adminClient) []cobra.Completion) ([]cobra.Completion, cobra.ShellCompDirective) {
	if a.prepare(cmd) != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(context.Background(), 1500*time.Millisecond)
	defer cancel()
	ctx, adm, done, err := a.admin(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer done()
	return question(ctx, adm), cobra.ShellCompDirectiveNoFileComp
}

func (a *app) completeTopics(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return a.ask(cmd, func(ctx context.Context, adm *adminClient) []cobra.Completion {
		return topicCompletions(ctx, adm, args, begun)
	})
}

func topicCompletions(ctx context.Context, adm *adminClient, used []string, begun string) []cobra.Completion {
	topics, err := adm.ListTopicsWithInternal(ctx)
	if err != nil {
		return nil
	}
	var out []cobra.Completion
	for _, n := range topics.Names() {
		// Internal topics only for those who ask for them by their underscores.
		if strings.HasPrefix(n, begun) && !slices.Contains(used, n) && (!topics[n].IsInternal || strings.HasPrefix(begun, "_")) {
			out = append(out, n)
		}
	}
	return out
}

func (a *app) completeOneTopic(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.completeTopics(cmd, args, begun)
}

// completeTopicThenFiles is for produce: a topic, then files.
func (a *app) completeTopicThenFiles(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	return a.completeTopics(cmd, args, begun)
}

// completeConfigResource is for config describe and alter: the kind, then names of that kind.
func (a *app) completeConfigResource(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return []cobra.Completion{"topic", "broker"}, cobra.ShellCompDirectiveNoFileComp
	}
	return a.ask(cmd, func(ctx context.Context, adm *adminClient) []cobra.Completion {
		if configKinds[args[0]] == kmsg.ConfigResourceTypeTopic {
			return topicCompletions(ctx, adm, args[1:], begun)
		}
		names, err := a.resourceNames(ctx, adm, kmsg.ConfigResourceTypeBroker, nil)
		if err != nil {
			return nil
		}
		return append(names, "default")
	})
}

// completeConfigNames offers names of settings, each with suffix ("=" where a value follows). Topic settings are taken from any
// topic; without one, and for kind unknown, the command's own first argument decides.
func (a *app) completeConfigNames(kind kmsg.ConfigResourceType, suffix string) completer {
	return func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if strings.Contains(begun, "=") {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		out, dir := a.ask(cmd, func(ctx context.Context, adm *adminClient) []cobra.Completion {
			kind, names := kind, args
			if kind == kmsg.ConfigResourceTypeUnknown && len(args) > 0 {
				kind, names = configKinds[args[0]], args[1:]
			}
			all, err := a.resourceNames(ctx, adm, cmp.Or(kind, kmsg.ConfigResourceTypeTopic), nil)
			if err != nil || len(all) == 0 {
				return nil
			}
			name := all[0]
			if len(names) > 0 && slices.Contains(all, names[0]) {
				name = names[0]
			}
			got, err := describeConfigs(ctx, adm.wire, cmp.Or(kind, kmsg.ConfigResourceTypeTopic), []string{name}, nil, false)
			if err != nil || len(got) == 0 {
				return nil
			}
			var out []cobra.Completion
			for _, e := range got[0].Configs {
				if strings.HasPrefix(e.Name, begun) {
					out = append(out, e.Name+suffix)
				}
			}
			return out
		})
		if suffix != "" {
			dir |= cobra.ShellCompDirectiveNoSpace
		}
		return out, dir
	}
}

func compareStrings(x, y string) int { return cmp.Compare(x, y) }
