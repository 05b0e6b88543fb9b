package interop;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.time.Duration;
import java.time.Instant;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.clients.consumer.RoundRobinAssignor;
import org.apache.kafka.clients.consumer.StickyAssignor;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

/** One member of a consumer group: its config as the first line of standard input, commands as further lines, an event per line of output. */
public final class GroupMember implements ConsumerRebalanceListener {
  private static final ObjectMapper JSON = new ObjectMapper();

  private final String topic;
  private final KafkaConsumer<String, String> consumer;
  private final Map<TopicPartition, OffsetAndMetadata> pending = new HashMap<>();
  private volatile boolean stop;
  private volatile long napMs;
  private volatile long awayMs;
  private volatile JsonNode commits; // a command to commit again and again
  private final boolean auto;

  private GroupMember(JsonNode c) {
    topic = c.get("topic").asText();
    Map<String, Object> config = new HashMap<>();
    config.put("bootstrap.servers", c.get("bootstrap").asText());
    config.put("client.id", c.get("client_id").asText());
    config.put("group.id", c.get("group").asText());
    if (!c.get("instance").asText().isEmpty()) {
      config.put("group.instance.id", c.get("instance").asText());
    }
    config.put("partition.assignment.strategy", List.of(switch (c.get("assignor").asText()) {
      case "range" -> RangeAssignor.class;
      case "roundrobin" -> RoundRobinAssignor.class;
      case "sticky" -> StickyAssignor.class;
      case "cooperative" -> CooperativeStickyAssignor.class;
      default -> throw new IllegalArgumentException("no assignor " + c.get("assignor"));
    }));
    config.put("session.timeout.ms", c.get("session_ms").asInt());
    config.put("heartbeat.interval.ms", c.get("heartbeat_ms").asInt());
    config.put("max.poll.interval.ms", c.get("poll_max_ms").asInt());
    config.put("metadata.max.age.ms", c.get("metadata_ms").asInt());
    config.put("request.timeout.ms", 10000);
    config.put("default.api.timeout.ms", 15000);
    config.put("fetch.max.wait.ms", 200);
    long autoCommitMs = c.path("auto_commit_ms").asLong();
    auto = autoCommitMs > 0;
    config.put("enable.auto.commit", auto);
    if (auto) {
      config.put("auto.commit.interval.ms", (int) autoCommitMs);
    }
    config.put("auto.offset.reset", "earliest");
    consumer = new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer());
  }

  public static void main(String[] args) throws Exception {
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
    GroupMember member = new GroupMember(JSON.readTree(in.readLine()));
    Thread commands = new Thread(() -> member.obey(in), "commands");
    commands.setDaemon(true);
    commands.start();
    int code = 0;
    try {
      member.run();
      long began = System.nanoTime();
      member.consumer.close();
      ObjectNode closed = JSON.createObjectNode().put("event", "closed");
      closed.putArray("took_us").add((System.nanoTime() - began) / 1000);
      emit(closed);
    } catch (Exception e) {
      emit(JSON.createObjectNode().put("event", "error").put("error", e.toString()));
      code = 1;
    }
    System.exit(code);
  }

  private void obey(BufferedReader in) {
    try {
      for (String line = in.readLine(); line != null; line = in.readLine()) {
        JsonNode command = JSON.readTree(line);
        switch (command.get("do").asText()) {
          case "sleep" -> napMs = command.get("ms").asLong();
          case "away" -> awayMs = command.get("ms").asLong();
          case "commit" -> commits = command;
          case "metrics" -> metrics();
          case "stop" -> stop = true;
          default -> emit(JSON.createObjectNode().put("event", "error").put("error", "unknown command " + line));
        }
      }
    } catch (Exception e) {
      emit(JSON.createObjectNode().put("event", "error").put("error", e.toString()));
    }
    stop = true; // the harness is gone
  }

  private void run() throws Exception {
    consumer.subscribe(List.of(topic), this);
    while (!stop) {
      long away = awayMs;
      if (away > 0) {
        awayMs = 0;
        consumer.unsubscribe();
        pending.clear();
        Thread.sleep(away);
        consumer.subscribe(List.of(topic), this);
      }
      JsonNode again = commits;
      if (again != null) {
        commits = null;
        commitAgainAndAgain(again.get("ms").asLong(), again.path("every_ms").asLong());
      }
      ConsumerRecords<String, String> records = consumer.poll(Duration.ofMillis(100));
      for (ConsumerRecord<String, String> r : records) {
        emit(JSON.createObjectNode().put("event", "record").put("partition", r.partition()).put("offset", r.offset()).put("value", r.value()));
        pending.put(new TopicPartition(r.topic(), r.partition()), new OffsetAndMetadata(r.offset() + 1));
        long nap = napMs;
        if (nap > 0) {
          napMs = 0;
          emit(JSON.createObjectNode().put("event", "sleeping"));
          Thread.sleep(nap);
          emit(JSON.createObjectNode().put("event", "awake"));
        }
      }
      if (!auto) {
        commit();
      }
    }
  }

  /** Commits one position of each partition it owns, again and again, and tells how long each commit took. */
  private void commitAgainAndAgain(long ms, long everyMs) {
    ObjectNode event = JSON.createObjectNode().put("event", "commits");
    ArrayNode took = event.putArray("took_us");
    Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
    consumer.assignment().forEach(p -> offsets.put(p, new OffsetAndMetadata(0)));
    for (long end = System.nanoTime() + ms * 1_000_000; !stop && System.nanoTime() < end; ) {
      long began = System.nanoTime();
      try {
        consumer.commitSync(offsets);
      } catch (RuntimeException e) {
        emit(JSON.createObjectNode().put("event", "error").put("error", "commit: " + e));
        break;
      }
      took.add((System.nanoTime() - began) / 1000);
      for (long until = began + everyMs * 1_000_000; System.nanoTime() < until; ) {
        consumer.poll(Duration.ofNanos(Math.max(0, until - System.nanoTime())));
      }
    }
    emit(event);
  }

  private void metrics() {
    ObjectNode event = JSON.createObjectNode().put("event", "metrics");
    ObjectNode values = event.putObject("metrics");
    consumer.metrics().forEach((name, metric) -> {
      if (name.group().equals("consumer-coordinator-metrics") && metric.metricValue() instanceof Double d && !d.isNaN() && !d.isInfinite()) {
        values.put(name.name(), d);
      }
    });
    emit(event);
  }

  private void commit() {
    if (pending.isEmpty()) {
      return;
    }
    ObjectNode event = JSON.createObjectNode().put("event", "commit");
    ObjectNode offsets = event.putObject("offsets");
    pending.forEach((p, o) -> offsets.put(Integer.toString(p.partition()), o.offset()));
    try {
      consumer.commitSync(pending);
      pending.clear();
    } catch (RuntimeException e) {
      // The records stay pending: the commit is tried again, at the latest before the partitions are given away.
      event.put("event", "commit_failed").put("error", e.getClass().getSimpleName());
    }
    emit(event);
  }

  @Override
  public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
    if (!partitions.isEmpty()) {
      commit();
      partitions.forEach(pending::remove);
      emit(partitions("revoked", partitions));
    }
  }

  @Override
  public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
    emit(partitions("assigned", partitions));
  }

  @Override
  public void onPartitionsLost(Collection<TopicPartition> partitions) {
    partitions.forEach(pending::remove);
    emit(partitions("lost", partitions));
  }

  private static ObjectNode partitions(String event, Collection<TopicPartition> partitions) {
    ObjectNode o = JSON.createObjectNode().put("event", event);
    ArrayNode ids = o.putArray("partitions");
    partitions.forEach(p -> ids.add(p.partition()));
    return o;
  }

  private static synchronized void emit(ObjectNode event) {
    Instant now = Instant.now();
    event.put("at", now.getEpochSecond() * 1_000_000 + now.getNano() / 1000);
    System.out.println(event);
    System.out.flush();
  }
}
