package barnabastest

// Option changes how Start starts a broker.
type Option func(*options)

type options struct {
	set      []setting
	topics   []topic
	inMemory bool
}

type setting struct{ name, value string }

type topic struct {
	name       string
	partitions int
	settings   []string
}

// With sets a broker setting by its Kafka name, such as With("message.max.bytes", "2000000"). The last value of a name counts. Every
// setting of docs/configuration.md may be set; listeners and log.dirs are the broker's own to choose.
func With(name, value string) Option {
	return func(o *options) { o.set = append(o.set, setting{name, value}) }
}

// Topic creates a topic before Start returns. settings are names and values in turn: Topic("t", 1, "cleanup.policy", "compact").
func Topic(name string, partitions int, settings ...string) Option {
	return func(o *options) { o.topics = append(o.topics, topic{name, partitions, settings}) }
}

// InMemory gives the broker a network in memory: no port is opened, and clients connect with Broker.Dialer.
func InMemory() Option { return func(o *options) { o.inMemory = true } }
