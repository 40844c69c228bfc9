"""Checks and makes signatures of webhooks with the services' own libraries: a line of JSON in, a line of JSON out."""

import base64
import datetime
import json
import sys

import stripe
from slack_sdk.signature import SignatureVerifier
from standardwebhooks.webhooks import Webhook
from svix.webhooks import Webhook as Svix

LIBRARIES = {"standardwebhooks": (Webhook, "webhook"), "svix": (Svix, "svix")}


def verify(asked):
    library, _ = LIBRARIES[asked["verify"]]
    try:
        library(asked["secret"]).verify(base64.b64decode(asked["body"]).decode(), asked["headers"])
        return "good"
    except Exception as error:
        print(repr(error), file=sys.stderr)
        return "bad"


def sign(asked):
    now, secret, body = datetime.datetime.now(datetime.timezone.utc), asked["secret"], asked["body"]
    at = str(int(now.timestamp()))
    if asked["sign"] == "stripe":
        signature = stripe.WebhookSignature._compute_signature(f"{at}.{body}", secret)
        return {"stripe-signature": f"t={at},v1={signature}"}
    if asked["sign"] == "slack_sdk":
        signature = SignatureVerifier(secret).generate_signature(timestamp=at, body=body)
        return {"x-slack-request-timestamp": at, "x-slack-signature": signature}
    library, prefix = LIBRARIES[asked["sign"]]
    signature = library(secret).sign("msg_1", now, body)
    return {f"{prefix}-id": "msg_1", f"{prefix}-timestamp": at, f"{prefix}-signature": signature}


for line in sys.stdin:
    asked = json.loads(line)
    print(json.dumps(verify(asked) if "verify" in asked else sign(asked)))
