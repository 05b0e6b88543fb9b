package interop;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.time.Duration;
import java.time.Instant;
import java.util.Properties;
import java.util.TreeSet;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.state.Stores;

/**
 * An application that counts the values of a topic and writes the counts to the topic of the same name with "-counts". Counting by value needs a
 * repartition topic, a store and its changelog, so both of Streams' kinds of internal topics are there. It speaks the protocol of the group
 * members: "assigned" names the partitions of its active tasks of the counting half, each time the application runs again.
 */
public final class StreamsApp {
  private static final ObjectMapper JSON = new ObjectMapper();

  private StreamsApp() {}

  public static void main(String[] args) throws Exception {
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
    JsonNode c = JSON.readTree(in.readLine());
    String topic = c.get("topic").asText();
    Properties config = new Properties();
    config.put(StreamsConfig.APPLICATION_ID_CONFIG, c.get("group").asText());
    config.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, c.get("bootstrap").asText());
    config.put(StreamsConfig.CLIENT_ID_CONFIG, c.get("client_id").asText());
    config.put(StreamsConfig.STATE_DIR_CONFIG, args[0]);
    config.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 100);
    config.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 0);
    config.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
    config.put(StreamsConfig.mainConsumerPrefix("session.timeout.ms"), c.get("session_ms").asInt());
    config.put(StreamsConfig.mainConsumerPrefix("heartbeat.interval.ms"), c.get("heartbeat_ms").asInt());
    config.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");

    StreamsBuilder builder = new StreamsBuilder();
    builder.stream(topic, Consumed.with(Serdes.String(), Serdes.String()))
        .groupBy((key, value) -> value, Grouped.with(Serdes.String(), Serdes.String()))
        .count(Materialized.<String, Long>as(Stores.inMemoryKeyValueStore("counts")).withKeySerde(Serdes.String()).withValueSerde(Serdes.Long()))
        .toStream()
        .mapValues(n -> Long.toString(n))
        .to(topic + "-counts", Produced.with(Serdes.String(), Serdes.String()));

    KafkaStreams streams = new KafkaStreams(builder.build(), config);
    streams.setUncaughtExceptionHandler(e -> {
      emit(JSON.createObjectNode().put("event", "error").put("error", e.toString()));
      return org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse.REPLACE_THREAD;
    });
    streams.start();
    Thread watch = new Thread(() -> watch(streams), "watch");
    watch.setDaemon(true);
    watch.start();
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      if (JSON.readTree(line).get("do").asText().equals("stop")) {
        break;
      }
    }
    streams.close(Duration.ofSeconds(20));
    emit(JSON.createObjectNode().put("event", "closed"));
    System.exit(0);
  }

  /** Tells of the active tasks whenever they are others than before. Subtopology 1 is the half behind the repartition topic. */
  private static void watch(KafkaStreams streams) {
    TreeSet<Integer> told = null;
    while (true) {
      if (streams.state() == KafkaStreams.State.RUNNING) {
        TreeSet<Integer> now = new TreeSet<>();
        streams.metadataForLocalThreads().forEach(t -> t.activeTasks().forEach(task -> {
          if (task.taskId().subtopology() == 1) {
            now.add(task.taskId().partition());
          }
        }));
        if (!now.equals(told)) {
          if (told != null) {
            emit(partitions("revoked", told));
          }
          emit(partitions("assigned", now));
          told = now;
        }
      }
      try {
        Thread.sleep(50);
      } catch (InterruptedException e) {
        return;
      }
    }
  }

  private static ObjectNode partitions(String event, Iterable<Integer> partitions) {
    ObjectNode o = JSON.createObjectNode().put("event", event);
    ArrayNode ids = o.putArray("partitions");
    partitions.forEach(ids::add);
    return o;
  }

  private static synchronized void emit(ObjectNode event) {
    Instant now = Instant.now();
    event.put("at", now.getEpochSecond() * 1_000_000 + now.getNano() / 1000);
    System.out.println(event);
    System.out.flush();
  }
}
