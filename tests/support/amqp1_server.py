"""A server that speaks AMQP 1.0, by Apache Qpid Proton: `amqp1_server.py PORT`.

Whoever reads from it gets messages that cannot be decoded, without an end; it prints how many were settled when that link
ends. What is sent to it, it accepts.
"""
import sys

from proton import Message
from proton.handlers import MessagingHandler
from proton.reactor import Container


class Endless(MessagingHandler):
    def __init__(self):
        super().__init__(prefetch=100)
        self.settled = 0

    def on_start(self, event):
        event.container.listen(f"127.0.0.1:{sys.argv[1]}")

    def on_link_opening(self, event):
        link = event.link
        link.source.copy(link.remote_source)
        link.target.copy(link.remote_target)

    def on_sendable(self, event):
        for _ in range(event.link.credit):
            # A list, which the protocol forbids there.
            event.link.send(Message(body=b"{}", properties={"list": [1, 2]}))

    def on_settled(self, event):
        if event.link.is_sender:
            self.settled += 1

    def on_link_closing(self, event):
        if event.link.is_sender:
            print(self.settled, flush=True)


Container(Endless()).run()
