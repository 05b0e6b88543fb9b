// Package config is the one place that knows every setting: its name, type, default, allowed values, scope and meaning.
//
// It reads settings from flags, the environment, a server.properties file and the dynamic configuration kept in the metadata,
// and hands out one immutable *Config: a typed Broker for the rooms of this process, a typed TopicConfig per topic, and the rows
// that DescribeConfigs answers. It promises that every fault of a start is reported at once, with the place it came from, and
// that a setting which does nothing says so.
//
// What may not be done here: no globals that change, no logging, no decision beyond the settings themselves. Files and the
// environment are read in load.go only. A new setting is a row in one of the table_*.go files and, if the process uses it, a
// field in broker.go or topic.go with the setting's name in its tag; docs/configuration.md is generated from the same rows.
// Start reading at definition.go, then load.go.
package config

//go:generate go test -run TestDocumentationIsCurrent -rewrite .
