"""Traffic of many pods from one process: a socket belongs to the namespace in which it was made.

First line of stdin: {"pods": [{"name", "netns"}], "targets": [{"address", "tcp", "udp"}], "interval", "talk",
"timeout"}. For each pod a new TCP connection and a datagram from a new port at every interval, to one target after
the other, and for each pod and target a TCP connection and a UDP flow that stay. Every payload says who sent it.
It answers {"ready": true}, and after the next line {"attempts": [...], "held": [...]}; it ends with its stdin.
"""

import itertools
import json
import select
import socket
import sys
import time

from held import Held
from pods import WAIT, Loop, Pod, entry, word

FINISH = 0.3  # what is under way at the end gets this long


class Attempt:
    """One new connection or datagram, from its beginning to its answer or error."""

    def __init__(self, loop, pod, proto, target, timeout, number):
        self.loop, self.proto, self.got = loop, proto, b""
        self.token = f"{pod.name} {proto} {number}\n".encode()
        self.connection, port = pod.open(proto)
        self.entry = entry(pod, proto, target, port)
        self.open = True
        loop.attempts.append(self.entry)
        loop.at(self.entry["time"] + timeout, lambda: self.end(error="timeout"))
        failed = self.connection.connect_ex((target["address"], target[proto]))
        if failed not in (0, *WAIT):
            return self.end(error=word(failed))
        loop.watch(self.connection, select.EPOLLOUT, self.ready)

    def ready(self, _events):
        failed = self.connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        try:
            if failed:
                raise OSError(failed, "")
            self.connection.send(self.token)
        except OSError as error:
            return self.end(error=word(error.errno))
        self.loop.handlers[self.connection.fileno()] = self.answered
        self.loop.epoll.modify(self.connection, select.EPOLLIN)

    def answered(self, _events):
        try:
            data = self.connection.recv(4096)
        except OSError as error:
            return None if error.errno in WAIT else self.end(error=word(error.errno))
        if not data and self.proto == "tcp":
            return self.end(error="reset")
        self.got += data
        # A TCP server says whom it sees, then echoes; a UDP server says whom it sees.
        if self.got.count(b"\n") >= (2 if self.proto == "tcp" else 1):
            self.end(source=self.got.split(b" ")[0].decode())

    def end(self, **how):
        if self.open:
            self.open = False
            self.entry.update(until=time.time(), **how)
            self.loop.forget(self.connection)


def repeat(loop, first, interval, action):
    def step(due):
        if loop.running:
            action()
            following = max(due + interval, time.time())  # late: left out, not made up for
            loop.at(following, lambda: step(following))

    loop.at(first, lambda: step(first))


def main():
    request = json.loads(sys.stdin.readline())
    loop, numbers = Loop(), itertools.count()
    pods = [Pod(**pod) for pod in request["pods"]]
    now, interval = time.time(), request["interval"]
    for i, (pod, proto) in enumerate(itertools.product(pods, ("tcp", "udp"))):
        turns = itertools.cycle(request["targets"])
        begin = lambda pod=pod, proto=proto, turns=turns: Attempt(
            loop, pod, proto, next(turns), request["timeout"], next(numbers)
        )
        repeat(loop, now + interval * i / (2 * len(pods)), interval, begin)
        for target in request["targets"] if request["talk"] else []:
            Held(loop, pod, proto, target, request["talk"])

    def stop(_events):
        if not loop.running:
            return
        sys.stdin.readline()
        loop.epoll.unregister(0)
        loop.running = False

    loop.handlers[0] = stop
    loop.epoll.register(0, select.EPOLLIN | select.EPOLLHUP)
    print(json.dumps({"ready": True}), flush=True)
    while loop.running:
        loop.turn()
    end = time.time() + FINISH
    while time.time() < end and any("until" not in attempt for attempt in loop.attempts[-500:]):
        loop.turn()
    for held in loop.held:
        held.settle()
    print(json.dumps({"attempts": loop.attempts, "held": [held.entry for held in loop.held]}), flush=True)


main()
