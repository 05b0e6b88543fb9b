package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/barnabas-mq/barnabas/internal/broker"
	"github.com/barnabas-mq/barnabas/internal/config"
	"github.com/barnabas-mq/barnabas/internal/storage"
	"github.com/barnabas-mq/barnabas/internal/vfs"
)

// exitHopeless says that the broker cannot run in these surroundings: restarting it without a change will not help.
const exitHopeless = 4

func newServeCommand(a *app) *cobra.Command {
	var args config.Args
	shortcuts := []struct{ flag, setting, help string }{
		{"data-dir", "log.dirs", "`folder` of the data (log.dirs); default ./barnabas-data"},
		{"listeners", "listeners", "`addresses` to serve clients on, such as PLAINTEXT://127.0.0.1:9092; several with commas between them"},
		{"advertised-listeners", "advertised.listeners", "`addresses` that clients are told, when they differ from the listeners"},
		{"admin-addr", "admin.address", "`host:port` of health, metrics and profiles; default 127.0.0.1:9644"},
	}
	values := make([]string, len(shortcuts))
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run a broker",
		Long: `Run a broker until it is interrupted.

Without flags it keeps its data in ./barnabas-data, serves Kafka clients on 127.0.0.1:9092, and health and metrics on
127.0.0.1:9644. A server.properties of Apache Kafka is a valid --config. Flags come before the environment
(KAFKA_LOG_RETENTION_MS for log.retention.ms), the environment before the file, the file before the defaults.
docs/configuration.md lists every setting.

What is acknowledged with acks=all is on the disk (log.flush=commit). SIGTERM and ctrl-C finish what is in flight, flush and exit
with 0. Exit 4 means that the surroundings are wrong (data of another cluster or a newer version, a directory that is in use or may
not be written).`,
		Example: `  barnabas serve
  barnabas serve --ephemeral
  barnabas serve --data-dir /var/lib/barnabas --listeners PLAINTEXT://0.0.0.0:9092 --advertised-listeners PLAINTEXT://kafka.example:9092
  barnabas serve --config server.properties --set log.flush=interval`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for i, s := range shortcuts {
				if cmd.Flags().Changed(s.flag) {
					args.Flags = append(args.Flags, config.Flag{Flag: "--" + s.flag, Name: s.setting, Value: values[i]})
				}
			}
			args.Environ = os.Environ()
			return serve(cmd.Context(), a, args)
		},
	}
	f := cmd.Flags()
	for i, s := range shortcuts {
		f.StringVar(&values[i], s.flag, "", s.help)
	}
	f.StringVar(&args.ConfigFile, "config", "", "`file` in the form of Kafka's server.properties")
	f.StringArrayVar(&args.Set, "set", nil, "one setting as `name=value`; may be repeated")
	f.BoolVar(&args.Ephemeral, "ephemeral", false, "temporary data and free ports; prints the address and forgets everything at the end")
	return cmd
}

func serve(ctx context.Context, a *app, args config.Args) error {
	cfg, warnings, err := config.Load(args)
	if err != nil {
		return &fault{what: err.Error(), cure: "docs/configuration.md and `barnabas serve --help` list what is allowed", code: exitUsage, err: err}
	}
	log := newLogger(a.err, cfg)
	for _, w := range warnings {
		log.Warn("configuration", "setting", w.Name, "from", w.Where, "reason", w.Text)
	}
	tuneCollector(ctx)
	b, err := broker.Start(ctx, broker.Options{Config: cfg, Logger: log, Version: buildInfo().Version})
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		log.Info("told to stop before the start was complete", "reason", err)
		return nil // an orderly stop like any other
	}
	if err != nil {
		return startFault(err)
	}
	if args.Ephemeral {
		// The one line on stdout, for scripts: where to connect.
		fmt.Fprintln(a.out, b.Addresses()[0])
	}
	<-ctx.Done()
	stopCtx, cancel := context.WithTimeout(context.Background(), cfg.Broker.ShutdownTimeout)
	defer cancel()
	if err := b.Close(stopCtx); err != nil {
		return failed("shutdown was not clean: "+err.Error(), "nothing acknowledged is lost; the next start recovers the logs")
	}
	return nil
}

// startFault gives each kind of hopeless surroundings its exit code.
func startFault(err error) error {
	var newer *storage.NewerFormatError
	var mismatch *storage.MismatchError
	var locked *vfs.LockedError
	var gone *storage.MissingError
	code := exitFailed
	if errors.As(err, &newer) || errors.As(err, &mismatch) || errors.As(err, &locked) || errors.As(err, &gone) {
		code = exitHopeless
	}
	cure := ""
	var path *fs.PathError
	if errors.As(err, &path) && (errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.ENOTDIR)) {
		code, cure = exitHopeless, "let the user of the broker write there, or choose another folder with --data-dir"
	}
	return &fault{what: "the broker cannot start: " + err.Error(), cure: cure, code: code, err: err}
}

func newLogger(w io.Writer, cfg *config.Config) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(cfg.Broker.LogLevel)) // the configuration knows the four levels and no other
	o := &slog.HandlerOptions{Level: level}
	if cfg.Broker.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}
