"""One request as JSON on standard input, one answer as JSON on standard output: kafka-python as its users use it, without a group."""
import base64
import json
import sys
import time

import kafka
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, NewTopic


def bytes_of(text):
    return None if text is None else base64.b64decode(text)


def text_of(data):
    return None if data is None else base64.b64encode(data).decode()


def admin(q):
    return KafkaAdminClient(bootstrap_servers=q["bootstrap"], client_id="interop")


def create(q):
    client = admin(q)
    try:
        client.create_topics([NewTopic(name=q["topic"], num_partitions=q["partitions"], replication_factor=1, topic_configs=q.get("configs") or {})])
    finally:
        client.close()
    return {}


def config_map(found, topic):
    """found is {resource type: {resource: {name: {"value": ...}}}}."""
    by_topic = next(iter(found.values()))
    return {name: c["value"] or "" for name, c in by_topic[topic].items()}


def describe(q):
    client = admin(q)
    try:
        topics = client.list_topics()
        about = client.describe_topics([q["topic"]])[0]
        found = client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, q["topic"])], config_filter="all")
        return {"description": {"partitions": len(about["partitions"]), "topics": list(topics), "configs": config_map(found, q["topic"])}}
    finally:
        client.close()


def alter(q):
    client = admin(q)
    try:
        client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, q["topic"], configs=q["configs"])])
    finally:
        client.close()
    return {}


def produce(q):
    p = q["produce"]
    producer = KafkaProducer(
        bootstrap_servers=q["bootstrap"], client_id="interop", acks="all", linger_ms=5, max_request_size=2 << 20,
        compression_type=None if p["codec"] == "none" else p["codec"], enable_idempotence=p["idempotent"], delivery_timeout_ms=60000,
        max_in_flight_requests_per_connection=5 if p["idempotent"] else 1)
    pause = p["interval_ns"] / 1e9
    due = time.monotonic()
    try:
        futures = []
        for r in p["records"]:
            if pause:
                due += pause
                time.sleep(max(0.0, due - time.monotonic()))
            headers = [(h["key"], bytes_of(h["value"])) for h in r["headers"] or []]
            futures.append(producer.send(p["topic"], partition=r["partition"], key=bytes_of(r["key"]), value=bytes_of(r["value"]),
                                         headers=headers, timestamp_ms=r["timestamp"] or None))
        for f in futures:
            f.get(timeout=60)
    finally:
        producer.close(timeout=10)
    return {}


def consume(q):
    c = q["consume"]
    parts = [TopicPartition(c["topic"], p) for p in c["partitions"]]
    consumer = KafkaConsumer(bootstrap_servers=q["bootstrap"], client_id="interop", group_id=None, enable_auto_commit=False, fetch_max_wait_ms=100)
    try:
        consumer.assign(parts)
        if c["from"] == "start":
            consumer.seek_to_beginning(*parts)
        elif c["from"] == "end":
            consumer.seek_to_end(*parts)
        else:
            for tp, at in consumer.offsets_for_times({tp: c["timestamp"] for tp in parts}).items():
                if at is None:
                    consumer.seek_to_end(tp)
                else:
                    consumer.seek(tp, at.offset)
        records = []
        deadline = time.monotonic() + 45
        while len(records) < c["count"]:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(records)} of {c['count']} records")
            for batch in consumer.poll(timeout_ms=200, max_records=c["count"] - len(records)).values():
                for m in batch:
                    records.append({"partition": m.partition, "offset": m.offset, "timestamp": m.timestamp, "key": text_of(m.key), "value": text_of(m.value),
                                    "headers": [{"key": k, "value": text_of(v)} for k, v in m.headers] or None})
        return {"records": records}
    finally:
        consumer.close()


def version(_):
    return {"version": f"{kafka.__version__}, Python {sys.version.split()[0]}"}


def main():
    q = json.load(sys.stdin)
    try:
        answer = {"create": create, "describe": describe, "alter": alter, "produce": produce, "consume": consume, "version": version}[q["op"]](q)
    except Exception as e:  # noqa: BLE001: whatever it is, the test wants to read it
        answer = {"error": f"{type(e).__name__}: {e}"}
    json.dump(answer, sys.stdout)


main()
