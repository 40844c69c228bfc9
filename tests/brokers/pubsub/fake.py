"""A server of Pub/Sub that says what no emulator says: each status, no answer, acks that are confirmed, no count of
attempts. What it does, the id of the topic or subscription says. It prints its port, and then each request as JSON."""
import asyncio
import json
import socket
import sys

import grpc
from google.protobuf import any_pb2, duration_pb2, empty_pb2
from google.pubsub_v1.types import pubsub as types
from google.rpc import error_details_pb2, status_pb2

published = {}


def note(verb, of):
    print(json.dumps([verb, of]), flush=True)


async def publish(request, context):
    topic = request.topic.rsplit("/", 1)[1]
    ids = [message.attributes["ce-id"] for message in request.messages]
    note("publish", ids)
    before = published[topic] = published.get(topic, 0) + 1
    if topic.startswith("says-"):
        code = grpc.StatusCode[topic.removeprefix("says-")]
        await context.abort(code, "why")
    if topic == "quota":
        wait = any_pb2.Any()
        wait.Pack(error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=30)))
        status = status_pb2.Status(code=8, message="quota", details=[wait])
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "quota")
    if topic == "fails-once" and before == 1:
        await context.abort(grpc.StatusCode.INTERNAL, "why")
    if topic == "refuses-poison" and "poison" in ids:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "why")
    if topic == "silent" and "heard" not in ids:
        await asyncio.sleep(60)
    return types.PublishResponse(message_ids=ids)


def message(number, size=2, key=""):
    attributes = {"ce-specversion": "1.0", "ce-id": str(number), "ce-source": "crm", "ce-type": "crm.lead.created"}
    return types.ReceivedMessage(
        ack_id=f"ack-{number}",
        message=types.PubsubMessage(
            data=b"x" * size, attributes=attributes, message_id=f"m-{number}", ordering_key=key
        ),
    )


async def streaming_pull(requests, context):
    first = await requests.__anext__()
    name = first.subscription.rsplit("/", 1)[1]
    note("pull", [first.stream_ack_deadline_seconds, first.max_outstanding_messages])
    if name == "goes-away":
        await context.abort(grpc.StatusCode.NOT_FOUND, "deleted")
    answer = types.StreamingPullResponse(received_messages=[message(1)])
    if name == "two-of-a-key":
        answer = types.StreamingPullResponse(received_messages=[message(1, key="k"), message(2, key="k")])
    if name == "large":
        answer = types.StreamingPullResponse(received_messages=[message(1, 5 * 1024 * 1024)])
    if name.startswith("exactly-once"):
        answer.subscription_properties.exactly_once_delivery_enabled = True
    await context.write(answer)
    async for _ in requests:
        pass


async def acknowledge(request, context):
    note("ack", list(request.ack_ids))
    if request.subscription.endswith("refused"):
        await context.abort(grpc.StatusCode.PERMISSION_DENIED, "why")
    return empty_pb2.Empty()


async def modify(request, context):
    note("modify", [request.ack_deadline_seconds, list(request.ack_ids)])
    return empty_pb2.Empty()


class Handlers(grpc.GenericRpcHandler):
    def service(self, details):
        unary = grpc.unary_unary_rpc_method_handler
        empty = empty_pb2.Empty.SerializeToString
        if details.method.endswith("/Publish"):
            return unary(publish, types.PublishRequest.deserialize, types.PublishResponse.serialize)
        if details.method.endswith("/Acknowledge"):
            return unary(acknowledge, types.AcknowledgeRequest.deserialize, empty)
        if details.method.endswith("/ModifyAckDeadline"):
            return unary(modify, types.ModifyAckDeadlineRequest.deserialize, empty)
        return grpc.stream_stream_rpc_method_handler(
            streaming_pull, types.StreamingPullRequest.deserialize, types.StreamingPullResponse.serialize
        )


async def copy(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def rest(reader, writer):
    """The subscription, over HTTP 1.1: there, missing or forbidden, as its name says."""
    while (line := await reader.readline()) and not line.startswith(b"ET "):
        pass
    path = line.split(b" ")[1].split(b"?")[0].decode()
    while (await reader.readline()).strip():
        pass
    name = path.rsplit("/", 1)[1]
    status = {"missing": (404, "NOT_FOUND"), "forbidden": (403, "PERMISSION_DENIED")}.get(name)
    if status:
        code, of = status
        body = {"error": {"code": code, "message": "why", "status": of}}
    else:
        code, body = 200, {"name": path.removeprefix("/v1/"), "topic": "projects/tests/topics/orders"}
    body = json.dumps(body).encode()
    head = f"HTTP/1.1 {code} said\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {len(body)}"
    writer.write(head.encode() + b"\r\n\r\n" + body)
    await writer.drain()
    writer.close()


async def serve():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        behind = free.getsockname()[1]
    server = grpc.aio.server()
    server.add_generic_rpc_handlers([Handlers()])
    server.add_insecure_port(f"127.0.0.1:{behind}")
    await server.start()

    async def accept(reader, writer):
        first = await reader.read(1)
        if first == b"G":
            return await rest(reader, writer)
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", behind)
        to_writer.write(first)
        await asyncio.gather(copy(reader, to_writer), copy(to_reader, writer))

    front = await asyncio.start_server(accept, "127.0.0.1", 0)
    print(front.sockets[0].getsockname()[1], flush=True)
    # It ends with whoever has started it.
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


asyncio.run(serve())
