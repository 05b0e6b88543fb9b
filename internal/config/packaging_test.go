package config

import (
	"path/filepath"
	"testing"
)

// The property files that are shipped must load as they are.
func TestShippedFilesLoad(t *testing.T) {
	for name, want := range map[string]struct{ listen, advertise, admin string }{
		"server.properties":    {"127.0.0.1:9092", "127.0.0.1:9092", "127.0.0.1:9644"},
		"container.properties": {":9092", "localhost:9092", "0.0.0.0:9644"},
	} { // any order: independent
		c, warnings, err := Load(Args{ConfigFile: filepath.Join("..", "..", "packaging", name)})
		if err != nil || len(warnings) != 0 {
			t.Errorf("%s: %v %v", name, err, warnings)
			continue
		}
		l := c.Broker.Listeners[0]
		if l.Address() != want.listen || l.AdvertisedAddress() != want.advertise || c.Broker.Admin.Address != want.admin || c.Broker.LogDirs[0] != "/var/lib/barnabas" {
			t.Errorf("%s: got %+v", name, c.Broker)
		}
	}
}

// The two listeners of the Compose example in docs/deploy.md, on top of the image's file.
func TestComposeExample(t *testing.T) {
	c, _, err := Load(Args{
		ConfigFile: filepath.Join("..", "..", "packaging", "container.properties"),
		Environ: []string{
			"KAFKA_LISTENERS=INSIDE://:29092,OUTSIDE://:9092", "KAFKA_ADVERTISED_LISTENERS=INSIDE://kafka:29092,OUTSIDE://localhost:9092",
			"KAFKA_LISTENER_SECURITY_PROTOCOL_MAP=INSIDE:PLAINTEXT,OUTSIDE:PLAINTEXT", "KAFKA_INTER_BROKER_LISTENER_NAME=INSIDE",
			"KAFKA_PROCESS_ROLES=broker,controller", "KAFKA_CONTROLLER_LISTENER_NAMES=CONTROLLER", "KAFKA_PORT=tcp://10.0.0.1:9092",
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if l := c.Broker.Listeners; len(l) != 2 || l[0].AdvertisedAddress() != "kafka:29092" || l[1].AdvertisedAddress() != "localhost:9092" || c.Broker.InterBrokerListener != "INSIDE" {
		t.Errorf("got %+v", l)
	}
}
