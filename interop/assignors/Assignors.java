import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.GroupSubscription;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.Subscription;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.clients.consumer.RoundRobinAssignor;
import org.apache.kafka.clients.consumer.StickyAssignor;
import org.apache.kafka.common.Cluster;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;

/**
 * Asks the assignors of Apache Kafka's own client. Reads cases from standard input, one word per field, "-" for an empty one:
 *
 *   topic NAME PARTITIONS RACKS        racks of each partition as r1,r2;r3;...
 *   member ID INSTANCE RACK GENERATION TOPICS OWNED USERDATA      topics as A,B; owned as A:0,B:3; user data in hexadecimal
 *   assign NAME
 *
 * and answers each "assign" with one line: ID=A:0,B:3 ID=... or "failed" and the exception.
 */
public class Assignors {
    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        Map<String, Node> nodes = new TreeMap<>();
        List<PartitionInfo> partitions = new ArrayList<>();
        Map<String, Subscription> members = new LinkedHashMap<>();
        for (String line; (line = in.readLine()) != null; ) {
            String[] f = line.split(" ");
            for (int i = 0; i < f.length; i++) {
                if (f[i].equals("-")) {
                    f[i] = "";
                }
            }
            switch (f[0]) {
                case "topic" -> {
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
                case "member" -> {
                    List<TopicPartition> owned = new ArrayList<>();
                    for (String tp : f[6].isEmpty() ? new String[0] : f[6].split(",")) {
                        String[] kv = tp.split(":");
                        owned.add(new TopicPartition(kv[0], Integer.parseInt(kv[1])));
                    }
                    ByteBuffer data = f[7].isEmpty() ? null : ByteBuffer.wrap(HexFormat.of().parseHex(f[7]));
                    List<String> topics = f[5].isEmpty() ? Collections.emptyList() : Arrays.asList(f[5].split(","));
                    Subscription s = new Subscription(topics, data, owned, Integer.parseInt(f[4]), f[3].isEmpty() ? Optional.empty() : Optional.of(f[3]));
                    if (!f[2].isEmpty()) {
                        s.setGroupInstanceId(Optional.of(f[2]));
                    }
                    members.put(f[1], s);
                }
                case "assign" -> {
                    ConsumerPartitionAssignor a = switch (f[1]) {
                        case "range" -> new RangeAssignor();
                        case "roundrobin" -> new RoundRobinAssignor();
                        case "sticky" -> new StickyAssignor();
                        default -> new CooperativeStickyAssignor();
                    };
                    StringBuilder out = new StringBuilder();
                    try {
                        Cluster cluster = new Cluster("c", nodes.values(), partitions, Collections.emptySet(), Collections.emptySet());
                        Map<String, ConsumerPartitionAssignor.Assignment> plan = a.assign(cluster, new GroupSubscription(members)).groupAssignment();
                        for (String id : members.keySet()) {
                            List<TopicPartition> tps = new ArrayList<>(plan.get(id).partitions());
                            tps.sort((x, y) -> x.topic().equals(y.topic()) ? x.partition() - y.partition() : x.topic().compareTo(y.topic()));
                            out.append(out.length() > 0 ? " " : "").append(id).append('=');
                            for (int i = 0; i < tps.size(); i++) {
                                out.append(i > 0 ? "," : "").append(tps.get(i).topic()).append(':').append(tps.get(i).partition());
                            }
                        }
                    } catch (RuntimeException e) {
                        out.append("failed ").append(e);
                    }
                    System.out.println(out);
                    partitions.clear();
                    members.clear();
                    nodes.clear();
                }
                default -> throw new IllegalArgumentException(line);
            }
        }
    }
}
