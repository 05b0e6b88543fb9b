"""One member of a consumer group: its config as the first line of standard input, commands as further lines, an event per line of output."""

import faulthandler
import json
import signal
import sys
import threading
import time

from kafka import ConsumerRebalanceListener, KafkaConsumer, OffsetAndMetadata
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor

ASSIGNORS = {"range": RangePartitionAssignor, "roundrobin": RoundRobinPartitionAssignor, "sticky": StickyPartitionAssignor,
             "cooperative": CooperativeStickyAssignor}

out = threading.Lock()


def emit(event, **fields):
    with out:
        sys.stdout.write(json.dumps({"at": time.time_ns() // 1000, "event": event, **fields}) + "\n")
        sys.stdout.flush()


class Listener(ConsumerRebalanceListener):
    """Callbacks run on the library's own loop and may not block, so the commits stay with the polling thread."""

    def on_partitions_revoked(self, revoked):
        if revoked:
            emit("revoked", partitions=sorted(p.partition for p in revoked))

    def on_partitions_assigned(self, assigned):
        emit("assigned", partitions=sorted(p.partition for p in assigned))

    def on_partitions_lost(self, lost):
        if lost:
            emit("lost", partitions=sorted(p.partition for p in lost))


class Member:
    def __init__(self):
        self.stop = False
        self.nap = 0
        self.again = None  # a command to commit again and again

    def obey(self):
        for line in sys.stdin:
            command = json.loads(line)
            if command["do"] == "sleep":
                self.nap = command["ms"] / 1000
            elif command["do"] == "commit":
                self.again = command
            else:
                self.stop = True
        self.stop = True  # the harness is gone

    def run(self, c):
        consumer = KafkaConsumer(
            bootstrap_servers=c["bootstrap"], client_id=c["client_id"], group_id=c["group"], group_instance_id=c["instance"] or None,
            partition_assignment_strategy=[ASSIGNORS[c["assignor"]]], session_timeout_ms=c["session_ms"], heartbeat_interval_ms=c["heartbeat_ms"],
            max_poll_interval_ms=c["poll_max_ms"], metadata_max_age_ms=c["metadata_ms"], auto_offset_reset="earliest", enable_auto_commit=False,
            fetch_max_wait_ms=200, request_timeout_ms=10000, reconnect_backoff_max_ms=500,
            **({"max_in_flight_requests_per_connection": c["in_flight"]} if c.get("in_flight") else {}))
        # Without it the first assignment of a leader is empty, and what it then does about the topic it learns of may stop it for good.
        consumer.partitions_for_topic(c["topic"])
        consumer.subscribe([c["topic"]], listener=Listener())
        pending = {}  # handed on and not committed
        while not self.stop:
            if self.again:
                again, self.again = self.again, None
                self.commit_again_and_again(consumer, again["ms"] / 1000, again.get("every_ms", 0) / 1000)
            try:
                polled = consumer.poll(timeout_ms=100)
            except Exception as e:  # noqa: BLE001: whatever it is, the test wants to read it
                emit("error", error=f"{type(e).__name__}: {e}")
                time.sleep(0.1)
                continue
            for tp, records in polled.items():
                for r in records:
                    emit("record", partition=r.partition, offset=r.offset, value=r.value.decode())
                    pending[tp] = OffsetAndMetadata(r.offset + 1, "", -1)
                    if self.nap:
                        nap, self.nap = self.nap, 0
                        emit("sleeping")
                        time.sleep(nap)
                        emit("awake")
            pending = {tp: o for tp, o in pending.items() if tp in consumer.assignment()}
            if pending:
                offsets = {str(tp.partition): o.offset for tp, o in pending.items()}
                try:
                    consumer.commit(pending, timeout_ms=10000)
                    emit("commit", offsets=offsets)
                    pending = {}
                except Exception as e:  # noqa: BLE001
                    emit("commit_failed", offsets=offsets, error=type(e).__name__)
        consumer.close()

    def commit_again_and_again(self, consumer, seconds, every):
        took = []
        offsets = {tp: OffsetAndMetadata(0, "", -1) for tp in consumer.assignment()}
        end = time.monotonic() + seconds
        while not self.stop and time.monotonic() < end:
            began = time.monotonic()
            try:
                consumer.commit(offsets, timeout_ms=10000)
            except Exception as e:  # noqa: BLE001
                emit("error", error=f"commit: {type(e).__name__}: {e}")
                break
            took.append(int((time.monotonic() - began) * 1e6))
            while time.monotonic() < began + every:
                consumer.poll(timeout_ms=max(0, int(1000 * (began + every - time.monotonic()))))
        emit("commits", took_us=took)


def main():
    faulthandler.register(signal.SIGUSR1, all_threads=True)  # kill -USR1 shows where a member hangs
    member = Member()
    config = json.loads(sys.stdin.readline())
    threading.Thread(target=member.obey, daemon=True).start()
    try:
        member.run(config)
    except Exception as e:  # noqa: BLE001
        emit("error", error=f"{type(e).__name__}: {e}")
        sys.exit(1)
    emit("closed")


main()
