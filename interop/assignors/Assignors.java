import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Supplier;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.GroupSubscription;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.Subscription;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.StickyAssignor;
import org.apache.kafka.common.Cluster;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.coordinator.group.api.assignor.GroupAssignment;
import org.apache.kafka.coordinator.group.api.assignor.PartitionAssignor;
import org.apache.kafka.coordinator.group.api.assignor.SubscribedTopicDescriber;
import org.apache.kafka.coordinator.group.api.assignor.SubscriptionType;
import org.apache.kafka.coordinator.group.assignor.SimpleAssignor;
import org.apache.kafka.coordinator.group.assignor.UniformAssignor;
import org.apache.kafka.coordinator.group.modern.Assignment;
import org.apache.kafka.coordinator.group.modern.GroupSpecImpl;
import org.apache.kafka.coordinator.group.modern.MemberSubscriptionAndAssignmentImpl;

/**
 * Asks the assignors of Apache Kafka, the client's and the coordinator's. Reads from standard input, words divided by one space, "-" for an
 * empty one:
 *
 *   topic NAME PARTITIONS RACKS        racks of each partition as r1,r2;r3;...
 *   member ID INSTANCE RACK GENERATION TOPICS OWNED USERDATA
 *                                      topics as A,B, or = for the same as the member before; owned as A:0,B:3; user data in hexadecimal
 *   assign NAME                        range, roundrobin, sticky, cooperative-sticky; server-range, server-uniform, server-simple
 *   time NAME MILLISECONDS
 *
 * and answers each "assign" with one line, ID=A:0,B:3 ID=..., or "failed" and the exception; each "time" with the fastest and the median
 * run in nanoseconds of the thread's CPU time. Both end the case.
 */
public class Assignors {
    private final Map<String, Node> nodes = new TreeMap<>();
    private final List<PartitionInfo> partitions = new ArrayList<>();
    private final Map<String, Uuid> ids = new LinkedHashMap<>();
    private final Map<Uuid, String> names = new HashMap<>();
    private final Map<Uuid, Integer> sizes = new HashMap<>();
    private final Map<String, Subscription> members = new LinkedHashMap<>();
    private List<String> lastTopics = List.of();
    private final Map<String, String> strings = new HashMap<>();

    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        Assignors one = new Assignors();
        for (String line; (line = in.readLine()) != null; ) {
            String[] f = line.split(" ");
            for (int i = 0; i < f.length; i++) {
                if (f[i].equals("-")) {
                    f[i] = "";
                }
            }
            switch (f[0]) {
                case "topic" -> one.topic(f);
                case "member" -> one.member(f);
                case "assign" -> {
                    System.out.println(one.assign(f[1]));
                    one = new Assignors();
                }
                case "time" -> {
                    System.out.println(one.time(f[1], Long.parseLong(f[2])));
                    System.out.flush();
                    one = new Assignors();
                }
                default -> throw new IllegalArgumentException(line);
            }
        }
    }

    private void topic(String[] f) {
        Uuid id = new Uuid(1, ids.size() + 1);
        ids.put(f[1], id);
        names.put(id, f[1]);
        sizes.put(id, Integer.parseInt(f[2]));
        String[] racks = f[3].split(";", -1);
        for (int p = 0; p < Integer.parseInt(f[2]); p++) {
            List<Node> replicas = new ArrayList<>();
            for (String rack : p < racks.length && !racks[p].isEmpty() ? racks[p].split(",") : new String[0]) {
                replicas.add(nodes.computeIfAbsent(rack, r -> new Node(nodes.size(), "h", 1, r)));
            }
            Node[] all = replicas.toArray(new Node[0]);
            partitions.add(new PartitionInfo(f[1], p, all.length > 0 ? all[0] : null, all, all));
        }
    }

    private void member(String[] f) {
        List<TopicPartition> owned = new ArrayList<>();
        for (String tp : f[6].isEmpty() ? new String[0] : f[6].split(",")) {
            String[] kv = tp.split(":");
            owned.add(new TopicPartition(kv[0], Integer.parseInt(kv[1])));
        }
        ByteBuffer data = f[7].isEmpty() ? null : ByteBuffer.wrap(HexFormat.of().parseHex(f[7]));
        if (!f[5].equals("=")) {
            // One string for each name, as a client's or a coordinator's metadata has it.
            lastTopics = new ArrayList<>();
            for (String topic : f[5].isEmpty() ? new String[0] : f[5].split(",")) {
                lastTopics.add(strings.computeIfAbsent(topic, t -> t));
            }
        }
        Subscription s = new Subscription(lastTopics, data, owned, Integer.parseInt(f[4]), f[3].isEmpty() ? Optional.empty() : Optional.of(f[3]));
        if (!f[2].isEmpty()) {
            s.setGroupInstanceId(Optional.of(f[2]));
        }
        members.put(f[1], s);
    }

    private String assign(String name) {
        try {
            Map<String, List<TopicPartition>> plan = new HashMap<>();
            Object result = run(name).get();
            if (result instanceof GroupAssignment g) {
                g.members().forEach((id, a) -> {
                    List<TopicPartition> tps = new ArrayList<>();
                    a.partitions().forEach((topic, ps) -> ps.forEach(p -> tps.add(new TopicPartition(names.get(topic), p))));
                    plan.put(id, tps);
                });
            } else {
                ((ConsumerPartitionAssignor.GroupAssignment) result).groupAssignment().forEach((id, a) -> plan.put(id, new ArrayList<>(a.partitions())));
            }
            StringBuilder out = new StringBuilder();
            for (String id : members.keySet()) {
                List<TopicPartition> tps = plan.getOrDefault(id, List.of());
                if (!tps.isEmpty()) {
                    tps.sort(Comparator.comparing(TopicPartition::topic).thenComparing(TopicPartition::partition));
                }
                out.append(out.length() > 0 ? " " : "").append(id).append('=');
                for (int i = 0; i < tps.size(); i++) {
                    out.append(i > 0 ? "," : "").append(tps.get(i).topic()).append(':').append(tps.get(i).partition());
                }
            }
            return out.toString();
        } catch (RuntimeException e) {
            return "failed " + e;
        }
    }

    /** Repeats until the thread has had so much of a CPU, or ten times as long has passed, in batches of half a millisecond and more. */
    private String time(String name, long milliseconds) {
        Supplier<Object> call = run(name);
        long n = 1;
        long first = batch(call, n);
        List<Long> took = new ArrayList<>();
        long start = System.nanoTime();
        long used = 0;
        while (took.size() < (first > 1_000_000_000 ? 2 : 5) || used < milliseconds * 1_000_000 && System.nanoTime() - start < milliseconds * 10_000_000) {
            long t = batch(call, n);
            used += t;
            if (t < 500_000 && n < 1 << 12) {
                n *= 2; // also later on: what has been compiled by then is quicker
                took.clear();
                continue;
            }
            took.add(t / n);
        }
        Collections.sort(took);
        return took.get(took.size() / 100) + " " + took.get(took.size() / 2);
    }

    private static long batch(Supplier<Object> call, long n) {
        ThreadMXBean threads = ManagementFactory.getThreadMXBean();
        long at = threads.getCurrentThreadCpuTime();
        for (long i = 0; i < n; i++) {
            call.get();
        }
        return threads.getCurrentThreadCpuTime() - at;
    }

    private Supplier<Object> run(String name) {
        if (name.startsWith("server-")) {
            return server(name);
        }
        ConsumerPartitionAssignor a = switch (name) {
            case "range" -> new org.apache.kafka.clients.consumer.RangeAssignor();
            case "roundrobin" -> new org.apache.kafka.clients.consumer.RoundRobinAssignor();
            case "sticky" -> new StickyAssignor();
            case "cooperative-sticky" -> new CooperativeStickyAssignor();
            default -> throw new IllegalArgumentException(name);
        };
        Cluster cluster = new Cluster("c", nodes.values(), partitions, Collections.emptySet(), Collections.emptySet());
        GroupSubscription group = new GroupSubscription(members);
        return () -> a.assign(cluster, group);
    }

    private Supplier<Object> server(String name) {
        PartitionAssignor a = switch (name) {
            case "server-range" -> new org.apache.kafka.coordinator.group.assignor.RangeAssignor();
            case "server-uniform" -> new UniformAssignor();
            case "server-simple" -> new SimpleAssignor();
            default -> throw new IllegalArgumentException(name);
        };
        Map<String, MemberSubscriptionAndAssignmentImpl> specs = new LinkedHashMap<>();
        Map<Uuid, Map<Integer, String>> inverted = new HashMap<>();
        Map<List<String>, Set<Uuid>> sets = new HashMap<>();
        members.forEach((id, s) -> {
            Set<Uuid> topics = sets.computeIfAbsent(s.topics(), list -> {
                Set<Uuid> set = new LinkedHashSet<>();
                list.forEach(t -> set.add(ids.get(t)));
                return set;
            });
            Map<Uuid, Set<Integer>> target = new LinkedHashMap<>();
            for (TopicPartition tp : s.ownedPartitions()) {
                target.computeIfAbsent(ids.get(tp.topic()), t -> new HashSet<>()).add(tp.partition());
                inverted.computeIfAbsent(ids.get(tp.topic()), t -> new HashMap<>()).put(tp.partition(), id);
            }
            specs.put(id, new MemberSubscriptionAndAssignmentImpl(s.rackId(), s.groupInstanceId(), topics, new Assignment(target)));
        });
        SubscriptionType type = sets.size() == 1 ? SubscriptionType.HOMOGENEOUS : SubscriptionType.HETEROGENEOUS;
        GroupSpecImpl spec = new GroupSpecImpl(specs, type, inverted);
        SubscribedTopicDescriber describer = new SubscribedTopicDescriber() {
            public int numPartitions(Uuid id) {
                return sizes.getOrDefault(id, -1);
            }

            public Set<String> racksForPartition(Uuid id, int partition) {
                return Set.of();
            }
        };
        return () -> a.assign(spec, describer);
    }
}
