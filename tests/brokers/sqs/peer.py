"""A program of another house at SQS, by AWS's own library: it sends what a line of its input says, and prints what it
receives, each as JSON."""
import json
import sys

import boto3

verb, endpoint, queue = sys.argv[1:]
sqs = boto3.client(
    "sqs", endpoint_url=endpoint, region_name="eu-central-1", aws_access_key_id="key", aws_secret_access_key="secret"
)
if verb == "send":
    for line in sys.stdin:
        message = json.loads(line)
        attributes = {
            name: {"DataType": "String", "StringValue": value} for name, value in message["attributes"].items()
        }
        sqs.send_message(QueueUrl=queue, MessageBody=message["body"], MessageAttributes=attributes)
else:
    answer = sqs.receive_message(QueueUrl=queue, MessageAttributeNames=["All"], WaitTimeSeconds=5)
    for message in answer["Messages"]:
        attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
        print(json.dumps({"body": json.loads(message["Body"]), "attributes": attributes}))
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
