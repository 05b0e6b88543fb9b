// Package monitoring holds the alert rules and the dashboard of docs against a real Prometheus that scrapes a live broker.
package monitoring
