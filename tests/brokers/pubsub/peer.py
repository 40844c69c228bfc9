"""A program of another house at Pub/Sub, by Google's own library: it sends what a line of its input says, and prints
what it receives, each as JSON."""
import json
import sys

from google.cloud import pubsub_v1

verb, place = sys.argv[1:]
if verb == "send":
    publisher = pubsub_v1.PublisherClient()
    for line in sys.stdin:
        message = json.loads(line)
        publisher.publish(place, message["data"].encode(), **message["attributes"]).result(timeout=10)
else:
    subscriber = pubsub_v1.SubscriberClient()
    answer = subscriber.pull(subscription=place, max_messages=10, timeout=10)
    for received in answer.received_messages:
        message = received.message
        print(json.dumps({
            "data": message.data.decode(), "attributes": dict(message.attributes), "key": message.ordering_key
        }))
        subscriber.acknowledge(subscription=place, ack_ids=[received.ack_id])
