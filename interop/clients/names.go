package clients

// The columns of the matrix.
const (
	ScenarioCreate       = "create topic"
	ScenarioAdmin        = "admin"
	ScenarioCodecs       = "produce, all codecs"
	ScenarioCross        = "cross-reading"
	ScenarioPositions    = "from end and timestamp"
	ScenarioBig          = "big records"
	ScenarioPartitions   = "many partitions"
	ScenarioRestart      = "restart, idempotent"
	ScenarioRestartPlain = "restart, plain"
)

// Scenarios in the order of the columns.
var Scenarios = []string{ScenarioCreate, ScenarioAdmin, ScenarioCodecs, ScenarioCross, ScenarioPositions, ScenarioBig, ScenarioPartitions,
	ScenarioRestart, ScenarioRestartPlain}

var meanings = map[string]string{
	ScenarioCreate:       "three partitions and two configs; creating it again is refused",
	ScenarioAdmin:        "topics listed and described, configs described and changed",
	ScenarioCodecs:       "none, gzip, snappy, lz4 and zstd, with keys, headers, explicit timestamps, nulls and empty values; read back exactly by franz-go, and the batches in the log carry the codec",
	ScenarioCross:        "what every client wrote with every codec is read by every other, byte for byte, with headers and timestamps, from the start",
	ScenarioPositions:    "the first record not older than a timestamp; from the end only what is written later",
	ScenarioBig:          "a record of 900 KiB arrives whole; one above max.message.bytes is refused and says so",
	ScenarioPartitions:   "24 partitions written and read at once",
	ScenarioRestart:      "in the middle of an idempotent producer's run the broker is killed (SIGKILL) and started again, and later stopped (SIGTERM) and started again: every record once, in order",
	ScenarioRestartPlain: "the same without idempotence: no record missing",
}
