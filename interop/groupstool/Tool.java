import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.MemberToRemove;
import org.apache.kafka.clients.admin.RemoveMembersFromConsumerGroupOptions;
import org.apache.kafka.clients.admin.RemoveMembersFromConsumerGroupResult;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.utils.Exit;
import org.apache.kafka.tools.consumer.group.ConsumerGroupCommand;

import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/**
 * One JVM that runs kafka-consumer-groups.sh over and over, and the Java consumers whose groups it looks at. A line of JSON in is a command,
 * a line of JSON out its result. It ends when its input does.
 */
public class Tool {
    static final ObjectMapper JSON = new ObjectMapper();
    static final Map<String, Member> MEMBERS = new HashMap<>();

    /** The tool wants to end the JVM. */
    static class Ended extends Error {
        final int code;

        Ended(int code) {
            super(null, null, false, false);
            this.code = code;
        }
    }

    public static void main(String[] args) throws Exception {
        PrintStream answers = System.out;
        PrintStream errors = System.err;
        Exit.setExitProcedure((code, message) -> {
            throw new Ended(code);
        });
        Exit.setHaltProcedure((code, message) -> {
            throw new Ended(code);
        });
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = in.readLine()) != null; ) {
            JsonNode command = JSON.readTree(line);
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            ByteArrayOutputStream err = new ByteArrayOutputStream();
            System.setOut(new PrintStream(out, true, StandardCharsets.UTF_8));
            System.setErr(new PrintStream(err, true, StandardCharsets.UTF_8));
            int exit = 0;
            try {
                run(command);
            } catch (Ended e) {
                exit = e.code;
            } catch (RuntimeException e) {
                exit = command.get("do").asText().equals("tool") ? 1 : -1; // the JVM would end with it
                e.printStackTrace();
            } catch (Throwable e) {
                exit = -1; // a fault of this program or of the set-up, never one of the tool
                e.printStackTrace();
            } finally {
                System.setOut(answers);
                System.setErr(errors);
            }
            ObjectNode answer = JSON.createObjectNode();
            answer.put("exit", exit);
            answer.put("out", out.toString(StandardCharsets.UTF_8));
            answer.put("err", err.toString(StandardCharsets.UTF_8));
            answers.write((JSON.writeValueAsString(answer) + "\n").getBytes(StandardCharsets.UTF_8));
            answers.flush();
        }
        for (Member m : MEMBERS.values()) m.stop();
    }

    static void run(JsonNode c) throws Exception {
        switch (c.get("do").asText()) {
            case "tool" -> ConsumerGroupCommand.main(strings(c.get("args")).toArray(new String[0]));
            case "join" -> {
                Member m = new Member(c);
                MEMBERS.put(c.get("name").asText(), m);
                m.assigned.get(30, TimeUnit.SECONDS);
            }
            case "leave" -> MEMBERS.remove(c.get("name").asText()).stop();
            case "leave-all" -> {
                for (Member m : MEMBERS.values()) m.stop();
                MEMBERS.clear();
            }
            case "remove" -> remove(c);
            default -> throw new IllegalArgumentException(c.toString());
        }
    }

    static List<String> strings(JsonNode list) {
        List<String> out = new ArrayList<>();
        if (list != null) list.forEach(n -> out.add(n.asText()));
        return out;
    }

    /** The Admin call behind removing members, for which Kafka ships no command. */
    static void remove(JsonNode c) throws Exception {
        Properties p = new Properties();
        p.put("bootstrap.servers", c.get("bootstrap").asText());
        try (Admin admin = Admin.create(p)) {
            RemoveMembersFromConsumerGroupOptions options = new RemoveMembersFromConsumerGroupOptions();
            List<String> instances = strings(c.get("instances"));
            if (!instances.isEmpty()) {
                Set<MemberToRemove> who = new java.util.HashSet<>();
                instances.forEach(i -> who.add(new MemberToRemove(i)));
                options = new RemoveMembersFromConsumerGroupOptions(who);
            }
            if (c.has("reason")) options.reason(c.get("reason").asText());
            RemoveMembersFromConsumerGroupResult result = admin.removeMembersFromConsumerGroup(c.get("group").asText(), options);
            Map<String, String> said = new TreeMap<>();
            for (String i : instances) {
                try {
                    result.memberResult(new MemberToRemove(i)).get();
                    said.put(i, "removed");
                } catch (java.util.concurrent.ExecutionException e) {
                    said.put(i, e.getCause().toString());
                }
            }
            said.forEach((i, s) -> System.out.println(i + ": " + s));
            try {
                result.all().get();
                System.out.println("all: removed");
            } catch (java.util.concurrent.ExecutionException e) {
                System.out.println("all: " + e.getCause());
            }
        }
    }

    /** A consumer in a thread of its own. It polls until it is told to stop, and commits once, when it owns what it is to own. */
    static class Member {
        final CompletableFuture<Void> assigned = new CompletableFuture<>();
        final Thread thread;
        volatile boolean stopping;

        Member(JsonNode c) {
            thread = new Thread(() -> poll(c));
            thread.start();
        }

        void poll(JsonNode c) {
            Properties p = new Properties();
            p.put("bootstrap.servers", c.get("bootstrap").asText());
            p.put("group.id", c.get("group").asText());
            p.put("client.id", c.get("name").asText());
            p.put("enable.auto.commit", "false");
            p.put("auto.offset.reset", "earliest");
            p.put("heartbeat.interval.ms", "200");
            p.put("session.timeout.ms", "30000");
            if (c.has("instance")) p.put("group.instance.id", c.get("instance").asText());
            if (c.has("protocol")) {
                p.put("group.protocol", c.get("protocol").asText());
                p.remove("heartbeat.interval.ms");
                p.remove("session.timeout.ms");
            }
            try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(p, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
                Map<TopicPartition, OffsetAndMetadata> commit = new HashMap<>();
                if (c.has("commit")) {
                    c.get("commit").properties().forEach(e -> {
                        int at = e.getKey().lastIndexOf('-');
                        commit.put(new TopicPartition(e.getKey().substring(0, at), Integer.parseInt(e.getKey().substring(at + 1))),
                            c.has("epoch")
                                ? new OffsetAndMetadata(e.getValue().asLong(), java.util.Optional.of(c.get("epoch").asInt()), "note of " + c.get("name").asText())
                                : new OffsetAndMetadata(e.getValue().asLong()));
                    });
                }
                if (!c.has("topics")) { // offsets without a membership
                    consumer.assign(commit.keySet());
                    consumer.commitSync(commit);
                    assigned.complete(null);
                    return;
                }
                consumer.subscribe(strings(c.get("topics")));
                int owns = c.get("owns").asInt();
                while (!stopping) {
                    consumer.poll(Duration.ofMillis(50));
                    if (!assigned.isDone() && consumer.assignment().size() == owns && consumer.groupMetadata().generationId() > 0) {
                        if (!commit.isEmpty()) consumer.commitSync(commit);
                        assigned.complete(null);
                    }
                }
            } catch (Throwable e) {
                assigned.completeExceptionally(e);
            }
        }

        void stop() throws InterruptedException {
            stopping = true;
            thread.join(30000);
        }
    }
}
