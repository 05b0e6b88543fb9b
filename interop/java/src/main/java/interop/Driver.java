package interop;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.utils.AppInfoParser;

/** One request as JSON on standard input, one answer as JSON on standard output: kafka-clients as its users use it, without a group. */
public final class Driver {
  private static final ObjectMapper JSON = new ObjectMapper();

  private Driver() {}

  public static void main(String[] args) throws Exception {
    JsonNode q = JSON.readTree(System.in);
    ObjectNode answer = JSON.createObjectNode();
    try {
      perform(q, answer);
    } catch (ExecutionException e) {
      answer.put("error", String.valueOf(e.getCause()));
    } catch (Exception e) {
      answer.put("error", e.toString());
    }
    System.out.println(JSON.writeValueAsString(answer));
    System.out.flush();
    System.exit(0);
  }

  private static void perform(JsonNode q, ObjectNode answer) throws Exception {
    switch (q.get("op").asText()) {
      case "version" -> answer.put("version", AppInfoParser.getVersion() + ", Java " + System.getProperty("java.version"));
      case "create" -> create(q);
      case "describe" -> describe(q, answer);
      case "alter" -> alter(q);
      case "produce" -> produce(q.get("bootstrap").asText(), q.get("produce"));
      case "consume" -> consume(q.get("bootstrap").asText(), q.get("consume"), answer);
      default -> throw new IllegalArgumentException("unknown op " + q.get("op"));
    }
  }

  private static Map<String, Object> base(String bootstrap) {
    Map<String, Object> config = new HashMap<>();
    config.put("bootstrap.servers", bootstrap);
    config.put("client.id", "interop");
    return config;
  }

  private static Map<String, String> texts(JsonNode node) {
    Map<String, String> out = new HashMap<>();
    if (node != null) {
      node.fields().forEachRemaining(e -> out.put(e.getKey(), e.getValue().asText()));
    }
    return out;
  }

  private static void create(JsonNode q) throws Exception {
    try (Admin admin = Admin.create(base(q.get("bootstrap").asText()))) {
      NewTopic topic = new NewTopic(q.get("topic").asText(), q.get("partitions").asInt(), (short) 1).configs(texts(q.get("configs")));
      admin.createTopics(List.of(topic)).all().get(30, TimeUnit.SECONDS);
    }
  }

  private static void describe(JsonNode q, ObjectNode answer) throws Exception {
    String name = q.get("topic").asText();
    try (Admin admin = Admin.create(base(q.get("bootstrap").asText()))) {
      ObjectNode d = answer.putObject("description");
      d.put("partitions", admin.describeTopics(List.of(name)).allTopicNames().get(30, TimeUnit.SECONDS).get(name).partitions().size());
      ArrayNode topics = d.putArray("topics");
      admin.listTopics().names().get(30, TimeUnit.SECONDS).forEach(topics::add);
      ObjectNode configs = d.putObject("configs");
      ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, name);
      for (ConfigEntry e : admin.describeConfigs(List.of(resource)).all().get(30, TimeUnit.SECONDS).get(resource).entries()) {
        configs.put(e.name(), e.value() == null ? "" : e.value());
      }
    }
  }

  private static void alter(JsonNode q) throws Exception {
    try (Admin admin = Admin.create(base(q.get("bootstrap").asText()))) {
      List<AlterConfigOp> ops = new ArrayList<>();
      texts(q.get("configs")).forEach((k, v) -> ops.add(new AlterConfigOp(new ConfigEntry(k, v), AlterConfigOp.OpType.SET)));
      admin.incrementalAlterConfigs(Map.of(new ConfigResource(ConfigResource.Type.TOPIC, q.get("topic").asText()), ops)).all().get(30, TimeUnit.SECONDS);
    }
  }

  private static byte[] bytes(JsonNode node) throws Exception {
    return node == null || node.isNull() ? null : node.binaryValue();
  }

  private static void produce(String bootstrap, JsonNode p) throws Exception {
    Map<String, Object> config = base(bootstrap);
    boolean idempotent = p.get("idempotent").asBoolean();
    config.put("acks", "all");
    config.put("compression.type", p.get("codec").asText());
    config.put("enable.idempotence", idempotent);
    config.put("max.in.flight.requests.per.connection", idempotent ? 5 : 1);
    config.put("max.request.size", 2 << 20);
    config.put("linger.ms", 5);
    config.put("delivery.timeout.ms", 60000);
    config.put("request.timeout.ms", 20000);
    long interval = p.get("interval_ns").asLong();
    try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer())) {
      List<Future<RecordMetadata>> sent = new ArrayList<>();
      long due = System.nanoTime();
      for (JsonNode r : p.get("records")) {
        if (interval > 0) {
          due += interval;
          long wait = due - System.nanoTime();
          if (wait > 0) {
            TimeUnit.NANOSECONDS.sleep(wait);
          }
        }
        long timestamp = r.get("timestamp").asLong();
        ProducerRecord<byte[], byte[]> record = new ProducerRecord<>(
            p.get("topic").asText(), r.get("partition").asInt(), timestamp == 0 ? null : timestamp, bytes(r.get("key")), bytes(r.get("value")));
        for (JsonNode h : r.get("headers")) {
          record.headers().add(h.get("key").asText(), bytes(h.get("value")));
        }
        sent.add(producer.send(record));
      }
      for (Future<RecordMetadata> f : sent) {
        f.get(60, TimeUnit.SECONDS);
      }
    }
  }

  private static void consume(String bootstrap, JsonNode q, ObjectNode answer) throws Exception {
    Map<String, Object> config = base(bootstrap);
    config.put("fetch.max.wait.ms", 100);
    config.put("enable.auto.commit", false);
    config.put("auto.offset.reset", "none");
    int count = q.get("count").asInt();
    List<TopicPartition> parts = new ArrayList<>();
    q.get("partitions").forEach(p -> parts.add(new TopicPartition(q.get("topic").asText(), p.asInt())));
    ArrayNode out = answer.putArray("records");
    try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
      consumer.assign(parts);
      switch (q.get("from").asText()) {
        case "start" -> consumer.seekToBeginning(parts);
        case "end" -> consumer.seekToEnd(parts);
        default -> seek(consumer, parts, q.get("timestamp").asLong());
      }
      long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(45);
      while (out.size() < count) {
        if (System.nanoTime() > deadline) {
          throw new IllegalStateException(out.size() + " of " + count + " records");
        }
        for (ConsumerRecord<byte[], byte[]> r : consumer.poll(Duration.ofMillis(100))) {
          if (out.size() == count) {
            break;
          }
          ObjectNode o = out.addObject().put("partition", r.partition()).put("offset", r.offset()).put("timestamp", r.timestamp());
          o.put("key", r.key());
          o.put("value", r.value());
          ArrayNode headers = o.putArray("headers");
          for (Header h : r.headers()) {
            headers.addObject().put("key", h.key()).put("value", h.value());
          }
        }
      }
    }
  }

  private static void seek(KafkaConsumer<byte[], byte[]> consumer, List<TopicPartition> parts, long timestamp) {
    Map<TopicPartition, Long> ask = new HashMap<>();
    parts.forEach(p -> ask.put(p, timestamp));
    for (Map.Entry<TopicPartition, OffsetAndTimestamp> e : consumer.offsetsForTimes(ask).entrySet()) {
      if (e.getValue() == null) {
        consumer.seekToEnd(List.of(e.getKey()));
      } else {
        consumer.seek(e.getKey(), e.getValue().offset());
      }
    }
  }
}
