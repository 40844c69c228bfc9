"""Another program that speaks AMQP 1.0, by Apache Qpid Proton: `amqp1_peer.py VERB URL QUEUE`.

`send` sends a CloudEvent in each spelling, one with a time that is no text, and one as text. `undecodable` sends messages with
a list among the application properties, which the protocol forbids, and then an event; `no-text` one whose text is no UTF-8,
and then an event. `take` prints what is in the queue.
"""
import json
import sys

from proton import Message, symbol, timestamp
from proton.reactor import LinkOption
from proton.utils import BlockingConnection

verb, url, queue = sys.argv[1:]


class AsQueue(LinkOption):
    """Without the capability, some servers make up a topic."""

    def apply(self, link):
        end = link.source if link.is_receiver else link.target
        end.capabilities.put_object(symbol("queue"))


def event(number, prefix="cloudEvents_", body=b'{"lead":7}', **more):
    message = Message(body=body, inferred=isinstance(body, bytes), durable=True, content_type="application/json")
    said = {"id": f"proton-{number}", "source": "py", "specversion": "1.0", "type": "crm.lead.created", **more}
    message.properties = {prefix + name: value for name, value in said.items()}
    return message


connection = BlockingConnection(url, timeout=20, allowed_mechs="PLAIN")
if verb == "take":
    receiver = connection.create_receiver(queue, credit=1, options=AsQueue())
    message = receiver.receive(timeout=20)
    receiver.accept()
    properties = {name: str(value) for name, value in message.properties.items()}
    print(json.dumps({
        "id": message.id, "subject": message.subject, "content_type": message.content_type, "group_id": message.group_id,
        "correlation_id": message.correlation_id, "durable": message.durable, "properties": properties,
        "body": bytes(message.body).decode(),
    }))
else:
    sender = connection.create_sender(queue, options=AsQueue())
    if verb == "send":
        sender.send(event(1))
        sender.send(event(2, "cloudEvents:"))
        sender.send(event(3, time=timestamp(1767600000000), count=7))
        sender.send(event(4, body='{"lead":7}'))
    elif verb == "undecodable":
        for number in range(5):
            message = event(f"list-{number}")
            message.properties["list"] = [1, 2]
            sender.send(message)
        sender.send(event("behind"))
    elif verb == "no-text":
        sender.link.delivery(sender.link.delivery_tag())
        sender.link.stream(b"\x00\x53\x70\xc0\x02\x01\x41\x00\x53\x77\xa1\x02\xff\xfe")
        sender.link.advance()
        sender.send(event("behind"))
connection.close()
