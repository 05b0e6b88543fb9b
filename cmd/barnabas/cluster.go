package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// clusterInfo is what `cluster describe` prints.
type clusterInfo struct {
	ClusterID  string        `json:"cluster_id"`
	Controller int32         `json:"controller"` // -1: none known
	Version    string        `json:"version"`    // of Kafka that speaks the same API versions; "" when none does
	Topics     int           `json:"topics"`
	Partitions int           `json:"partitions"`
	Brokers    []brokerInfo  `json:"brokers"`
	Features   []featureInfo `json:"features"`
}

type brokerInfo struct {
	ID       int32        `json:"id"`
	Host     string       `json:"host"`
	Port     int32        `json:"port"`
	Rack     string       `json:"rack,omitempty"`
	Leads    int          `json:"leads"`    // partitions it leads
	Replicas int          `json:"replicas"` // partitions it holds
	LogDirs  []logDirInfo `json:"log_dirs"`
	Error    string       `json:"error,omitempty"`
}

type logDirInfo struct {
	Path        string `json:"path"`
	Partitions  int    `json:"partitions"`
	SizeBytes   int64  `json:"size_bytes"`
	TotalBytes  *int64 `json:"total_bytes"` // of the volume; null when the broker does not say
	UsableBytes *int64 `json:"usable_bytes"`
	Error       string `json:"error,omitempty"`
}

type featureInfo struct {
	Name      string `json:"name"`
	Finalized *int16 `json:"finalized"` // null: not in force
	Min       *int16 `json:"min"`
	Max       *int16 `json:"max"`
}

func newClusterCommand(a *app) *cobra.Command {
	describe := func(cmd *cobra.Command, _ []string) error { return a.describeCluster(cmd.Context()) }
	c := &cobra.Command{
		Use:   "cluster",
		Short: "Show the cluster: brokers, log directories, features, API versions",
		Args:  noArgs,
		RunE:  describe,
		Example: `  barnabas cluster
  barnabas cluster -o json
  barnabas cluster api-versions`,
	}
	c.AddCommand(
		&cobra.Command{
			Use:     "describe",
			Short:   "Show brokers, controller, cluster id, log directories with sizes, features (as `cluster` alone does)",
			Example: "  barnabas cluster describe\n  barnabas cluster describe -o yaml",
			Args:    noArgs,
			RunE:    describe,
		},
		&cobra.Command{
			Use:     "api-versions",
			Short:   "Show which requests, in which versions, each broker takes",
			Example: "  barnabas cluster api-versions\n  barnabas cluster api-versions -o json",
			Args:    noArgs,
			RunE:    func(cmd *cobra.Command, _ []string) error { return a.apiVersions(cmd.Context()) },
		},
	)
	return c
}

func (a *app) describeCluster(ctx context.Context) error {
	ctx, adm, done, err := a.admin(ctx)
	if err != nil {
		return err
	}
	defer done()
	meta, err := adm.Metadata(ctx)
	if err != nil {
		return wrap(err, "asking for metadata")
	}
	info := clusterInfo{ClusterID: meta.Cluster, Controller: meta.Controller, Topics: len(meta.Topics), Features: []featureInfo{}}
	byID := map[int32]*brokerInfo{}
	for _, b := range meta.Brokers {
		bi := &brokerInfo{ID: b.NodeID, Host: b.Host, Port: b.Port, LogDirs: []logDirInfo{}}
		if b.Rack != nil {
			bi.Rack = *b.Rack
		}
		byID[b.NodeID] = bi
	}
	for _, t := range meta.Topics {
		for _, p := range t.Partitions {
			info.Partitions++
			if b := byID[p.Leader]; b != nil {
				b.Leads++
			}
			for _, id := range p.Replicas {
				if b := byID[id]; b != nil {
					b.Replicas++
				}
			}
		}
	}
	dirs, err := adm.DescribeAllLogDirs(ctx, nil)
	if err != nil {
		a.warn("log directories are missing: %v", err)
	}
	for id, bd := range dirs {
		if b := byID[id]; b != nil {
			b.LogDirs = logDirs(bd)
		}
	}
	for _, b := range byID {
		info.Brokers = append(info.Brokers, *b)
	}
	slices.SortFunc(info.Brokers, func(x, y brokerInfo) int { return cmp.Compare(x.ID, y.ID) })
	versions, err := adm.ApiVersions(ctx)
	if err != nil {
		a.warn("API versions are missing: %v", err)
	}
	for _, v := range versions.Sorted() {
		if v.Err == nil {
			if guess := v.VersionGuess(); !strings.HasPrefix(guess, "between") && !strings.HasPrefix(guess, "not") {
				info.Version = guess
			}
			break
		}
	}
	if info.Features, err = features(ctx, adm); err != nil {
		a.warn("features are missing: %v", err)
	}
	return a.emit(info, func(w io.Writer) { a.drawCluster(w, info) })
}

func logDirs(dirs kadm.DescribedLogDirs) []logDirInfo {
	out := []logDirInfo{}
	for _, d := range dirs.Sorted() {
		li := logDirInfo{Path: d.Dir, SizeBytes: d.Size()}
		if d.TotalBytes >= 0 {
			li.TotalBytes = &d.TotalBytes
		}
		if d.UsableBytes >= 0 {
			li.UsableBytes = &d.UsableBytes
		}
		if d.Err != nil {
			li.Error = kadmError(d.Err, "").Error()
		}
		for _, ps := range d.Topics {
			li.Partitions += len(ps)
		}
		out = append(out, li)
	}
	return out
}

// features reads what ApiVersions says of the cluster's features (KIP-584), from any one broker.
func features(ctx context.Context, adm *adminClient) ([]featureInfo, error) {
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = "barnabas-cli", softwareVersion()
	resp, err := req.RequestWith(ctx, adm.wire)
	out := []featureInfo{}
	if err != nil {
		return out, err
	}
	at := func(name string) *featureInfo {
		i := slices.IndexFunc(out, func(f featureInfo) bool { return f.Name == name })
		if i < 0 {
			out, i = append(out, featureInfo{Name: name}), len(out)
		}
		return &out[i]
	}
	for _, f := range resp.SupportedFeatures {
		fi := at(f.Name)
		fi.Min, fi.Max = &f.MinVersion, &f.MaxVersion
	}
	for _, f := range resp.FinalizedFeatures {
		at(f.Name).Finalized = &f.MaxVersionLevel
	}
	slices.SortFunc(out, func(x, y featureInfo) int { return cmp.Compare(x.Name, y.Name) })
	return out, nil
}

func (a *app) drawCluster(w io.Writer, info clusterInfo) {
	var controller any = info.Controller
	if info.Controller < 0 {
		controller = "none"
	}
	kv := []any{"cluster id", info.ClusterID, "controller", controller}
	if info.Version != "" {
		kv = append(kv, "speaks like", "Kafka "+info.Version)
	}
	pairs(w, append(kv, "topics", info.Topics, "partitions", info.Partitions)...)
	fmt.Fprintln(w)
	t := newTable(">BROKER", "ADDRESS", "RACK", ">LEADS", ">REPLICAS")
	for _, b := range info.Brokers {
		t.row(b.ID, fmt.Sprintf("%s:%d", b.Host, b.Port), b.Rack, b.Leads, b.Replicas)
	}
	t.dropEmptyColumns()
	t.draw(w, a.paint)
	fmt.Fprintln(w)
	d := newTable(">BROKER", "LOG DIRECTORY", ">PARTITIONS", ">SIZE", ">FREE", ">VOLUME", "ERROR")
	for _, b := range info.Brokers {
		for _, l := range b.LogDirs {
			d.row(b.ID, l.Path, l.Partitions, humanBytes(l.SizeBytes), humanBytes(deref(l.UsableBytes)), humanBytes(deref(l.TotalBytes)), l.Error)
		}
	}
	if len(d.rows) > 0 {
		d.dropEmptyColumns()
		d.draw(w, a.paint)
	}
	if len(info.Features) > 0 {
		fmt.Fprintln(w)
		ft := newTable("FEATURE", ">IN FORCE", "SUPPORTED")
		for _, f := range info.Features {
			var level, span any
			if f.Finalized != nil {
				level = *f.Finalized
			}
			if f.Min != nil {
				span = fmt.Sprintf("%d-%d", *f.Min, *f.Max)
			}
			ft.row(f.Name, level, span)
		}
		ft.draw(w, a.paint)
	}
}

// apiRow is one request kind of `cluster api-versions`.
type apiRow struct {
	Broker int32  `json:"broker"`
	Key    int16  `json:"key"`
	Name   string `json:"name"`
	Min    int16  `json:"min"`
	Max    int16  `json:"max"`
}

func (a *app) apiVersions(ctx context.Context) error {
	ctx, adm, done, err := a.admin(ctx)
	if err != nil {
		return err
	}
	defer done()
	all, err := adm.ApiVersions(ctx)
	if err != nil {
		return wrap(err, "asking for API versions")
	}
	rows := []apiRow{}
	for _, b := range all.Sorted() {
		if b.Err != nil {
			a.warn("broker %d: %v", b.NodeID, b.Err)
			continue
		}
		b.EachKeySorted(func(key, lo, hi int16) {
			rows = append(rows, apiRow{b.NodeID, key, strings.TrimPrefix(kmsg.NameForKey(key), "Unknown"), lo, hi})
		})
	}
	return a.emit(rows, func(w io.Writer) {
		t := newTable(">BROKER", ">KEY", "NAME", "VERSIONS")
		for _, r := range rows {
			t.row(r.Broker, r.Key, r.Name, fmt.Sprintf("%d-%d", r.Min, r.Max))
		}
		t.draw(w, a.paint)
	})
}
