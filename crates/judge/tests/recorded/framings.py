#!/usr/bin/env python3
"""Writes framings.jsonl: state changes as the real serializers put them on a topic.

    pip install "confluent-kafka[json,schemaregistry]==2.16.1" cloudevents==2.2.0
    WRITE_INPUTS=target/inputs cargo test -p audit-judge corpus
    python crates/judge/tests/recorded/framings.py target/inputs

Run it from the top folder after the cases or the schema have changed. Each line has the name of a case, what a
producer writes without any framing (`plain`), the framing, and the value of the record (base64).
"""

import base64
import datetime
import json
import pathlib
import sys

from cloudevents.core.bindings.kafka import to_binary, to_structured
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from confluent_kafka.schema_registry import SchemaRegistryClient, header_schema_id_serializer
from confluent_kafka.schema_registry.json_schema import JSONSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

CASES = [
    "access-denied", "customer-on-behalf-of-another-user", "device-unknown", "employee", "escapes-and-unicode",
    "failure-forbidden", "port-speed-zero-is-disable", "power-on", "principal-unknown", "rename",
    "time-without-offset",
]
SCHEMA = pathlib.Path("schemas/state-change.schema.json").read_text()
TOPIC = "infrastructure.state-changes"


def confluent(change, **conf):
    # Some cases break the schema on purpose.
    serialize = JSONSerializer(SCHEMA, SchemaRegistryClient.new_client({"url": "mock://"}), conf={"validate": False, **conf})
    headers = []
    return serialize(change, SerializationContext(TOPIC, MessageField.VALUE, headers))


def cloud_event(change):
    attributes = {
        "id": "1", "source": "/control-plane", "type": "infrastructure.state-change", "datacontenttype": "application/json",
        "time": datetime.datetime(2024, 5, 1, tzinfo=datetime.timezone.utc), "specversion": "1.0",
    }
    return CloudEvent(attributes=attributes, data=change)


FRAMINGS = {
    "confluent": lambda change: confluent(change),
    "confluent-id-in-header": lambda change: confluent(change, **{"schema.id.serializer": header_schema_id_serializer}),
    "cloudevents-structured": lambda change: to_structured(cloud_event(change), JSONFormat()).value,
    "cloudevents-binary": lambda change: to_binary(cloud_event(change), JSONFormat()).value,
}


def lines():
    for name in CASES:
        change = json.loads(pathlib.Path(sys.argv[1], name).read_text())
        for framing, value in FRAMINGS.items():
            yield json.dumps({
                "example": name,
                "framing": framing,
                "plain": json.dumps(change),
                "value": base64.b64encode(value(change)).decode(),
            })


if __name__ == "__main__":
    pathlib.Path(__file__).with_suffix(".jsonl").write_text("".join(f"{line}\n" for line in lines()))
