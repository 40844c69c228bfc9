"""Reads each message of standard input with the package `cloudevents`, and writes what it read in its own way."""

import base64
import json
import sys

from cloudevents.core.bindings import amqp, http, kafka, rabbitmq
from cloudevents.core.formats.json import JSONFormat

FORMAT = JSONFormat()


def read(binding, headers, content_type, body):
    if binding == "http":
        return http.from_binary(http.HTTPMessage(headers, body), FORMAT)
    if binding == "kafka":
        return kafka.from_binary(kafka.KafkaMessage({k: v.encode() for k, v in headers.items()}, None, body), FORMAT)
    if binding == "amqp":
        properties = {"content-type": content_type} if content_type else {}
        return amqp.from_binary(amqp.AMQPMessage(properties, headers, body), FORMAT)
    if binding == "rabbitmq":
        return rabbitmq.from_binary(rabbitmq.RabbitMQMessage(headers, content_type, body), FORMAT)
    return FORMAT.read(None, body)


def write(binding, event):
    if binding == "http":
        message = http.to_binary(event, FORMAT)
        return message.headers, None, message.body
    if binding == "kafka":
        message = kafka.to_binary(event, FORMAT)
        return {k: v.decode() for k, v in message.headers.items()}, None, message.value
    if binding == "amqp":
        message = amqp.to_binary(event, FORMAT)
        return message.application_properties, message.properties.get("content-type"), message.application_data
    if binding == "rabbitmq":
        message = rabbitmq.to_binary(event, FORMAT)
        return message.headers, message.content_type, message.body
    return {}, None, FORMAT.write(event)


for line in sys.stdin:
    ours = json.loads(line)
    event = read(ours["binding"], ours["headers"], ours["content_type"], base64.b64decode(ours["body"]))
    headers, content_type, body = write(ours["binding"], event)
    attributes = {name: str(value) for name, value in event.get_attributes().items() if value is not None}
    attributes["time"] = event.get_time().isoformat()
    theirs = {"headers": headers, "content_type": content_type, "body": base64.b64encode(body).decode()}
    print(json.dumps({"attributes": attributes, **theirs}))
