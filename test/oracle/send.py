"""Traffic of many pods from one process: a socket belongs to the namespace in which it was made.

First line of stdin: {"pods": [{"name", "netns"}], "targets": [{"address", "tcp", "udp"}], "interval", "talk",
"timeout"}. For each pod a new TCP connection and a datagram from a new port at every interval, to one target after
the other, and for each pod and target a TCP connection and a UDP flow that stay. Every payload says who sent it.
It answers {"ready": true}, and after the next line {"attempts": [...], "held": [...]}; it ends with its stdin.
"""

import ctypes
import errno
import heapq
import itertools
import json
import os
import select
import socket
import sys
import time

IP_RECVERR, CLONE_NEWNET = 11, 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)
WORDS = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.EPIPE: "reset",
    errno.ETIMEDOUT: "timeout",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETUNREACH: "unreachable",
    errno.EPERM: "prohibited",
    errno.EACCES: "prohibited",
}
WAIT = (errno.EINPROGRESS, errno.EAGAIN)
IDLE = 0.1
SILENCE = 1.0
FINISH = 0.3  # what is under way at the end gets this long


class Loop:
    """Sockets and times; everything here runs in it."""

    def __init__(self):
        self.epoll, self.handlers, self.timers, self.order = select.epoll(), {}, [], itertools.count()
        self.attempts, self.held, self.running = [], [], True
        self.last, self.late = time.time(), 0.0  # how long this process had no turn, in all

    def at(self, due, action):
        heapq.heappush(self.timers, (due, next(self.order), action))

    def watch(self, connection, events, handler):
        self.handlers[connection.fileno()] = handler
        self.epoll.register(connection, events)

    def forget(self, connection):
        if self.handlers.pop(connection.fileno(), None):
            self.epoll.unregister(connection)
        connection.close()

    def turn(self):
        now = time.time()
        self.late += max(0, now - self.last - 2 * IDLE)
        self.last = now
        while self.timers and self.timers[0][0] <= now:
            heapq.heappop(self.timers)[2]()
        wait = min(IDLE, max(0, self.timers[0][0] - time.time())) if self.timers else IDLE
        for descriptor, events in self.epoll.poll(wait):
            if descriptor in self.handlers:
                self.handlers[descriptor](events)


class Pod:
    """A pod's namespace and its next local ports: none comes again within 400 s of 25 a second."""

    def __init__(self, name, netns):
        self.name = name
        self.namespace = os.open("/run/netns/" + netns, os.O_RDONLY)
        first = int(time.time() * 25) % 10000
        self.ports = {
            "tcp": itertools.cycle([10000 + (first + i) % 10000 for i in range(10000)]),
            "udp": itertools.cycle([20000 + (first + i) % 10000 for i in range(10000)]),
        }

    def open(self, proto):
        LIBC.setns(self.namespace, CLONE_NEWNET)
        kind = socket.SOCK_STREAM if proto == "tcp" else socket.SOCK_DGRAM
        connection = socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK)
        LIBC.setns(HOME, CLONE_NEWNET)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if proto == "tcp":
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        else:
            connection.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        while True:
            port = next(self.ports[proto])
            try:
                connection.bind(("", port))
                return connection, port
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise


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


class Held:
    """A connection or flow that stays: a line at every interval, and when its echoes came."""

    def __init__(self, loop, pod, proto, target, talk):
        self.loop, self.pod, self.proto, self.target, self.talk = loop, pod, proto, target, talk
        self.connection, port = pod.open(proto)
        self.entry = {**entry(pod, proto, target, port), "said": 0, "echoed": 0, "silences": []}
        now = self.entry["time"]
        self.waiting = None  # since when a line has no echo
        loop.held.append(self)
        failed = self.connection.connect_ex((target["address"], target[proto]))
        if failed not in (0, *WAIT):
            return self.end(word(failed))
        loop.watch(self.connection, select.EPOLLIN, self.heard)
        loop.at(now + talk, self.say)

    def say(self):
        if "until" in self.entry or not self.loop.running:
            return
        now = time.time()
        if self.entry["echoed"] == 0 and now - self.entry["time"] > 3 and self.proto == "tcp":
            return self.end("timeout")  # it never came to be
        try:
            self.connection.send(f"{self.pod.name} {self.proto} held {self.entry['said']}\n".encode())
            self.entry["said"] += 1
            self.waiting = self.waiting or (now, self.loop.late)
        except OSError as error:
            if error.errno not in (*WAIT, errno.ENOTCONN) and self.fatal(error):
                return
        self.loop.at(now + self.talk, self.say)

    def heard(self, events):
        try:
            if self.proto == "udp" and events & select.EPOLLERR:
                self.connection.recvmsg(1, 512, socket.MSG_ERRQUEUE)
            data = self.connection.recv(65536)
        except OSError as error:
            if error.errno not in WAIT:
                self.fatal(error)
            return
        if not data and self.proto == "tcp":
            return self.end("closed")
        self.settle()
        lines = data.count(b"\n")
        if "source" not in self.entry:
            self.entry["source"] = data.split(b" ")[0].decode()
            lines -= 1 if self.proto == "tcp" else 0
        self.entry["echoed"] += lines
        if self.proto == "udp":
            self.entry["lastSource"] = data.split(b" ")[0].decode()

    def fatal(self, error):
        """A TCP connection ends with its first error; a UDP flow goes on."""
        if self.proto == "udp":
            return False
        self.end(word(error.errno))
        return True

    def end(self, how):
        self.entry.update(until=time.time(), error=how)
        self.settle()
        self.loop.forget(self.connection)
        again = lambda: self.loop.running and Held(self.loop, self.pod, self.proto, self.target, self.talk)
        self.loop.at(time.time() + 0.2, again)

    def settle(self):
        """Notes a silence that was long, apart from the time in which this process itself had no turn."""
        now = time.time()
        if self.waiting and now - self.waiting[0] - (self.loop.late - self.waiting[1]) > SILENCE:
            self.entry["silences"].append([self.waiting[0], now])
        self.waiting = None


def entry(pod, proto, target, port):
    names = {"pod": pod.name, "proto": proto, "target": target["address"]}
    return {**names, "port": port, "dport": target[proto], "time": time.time()}


def word(number):
    return WORDS.get(number, errno.errorcode.get(number, str(number)))


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


HOME = os.open("/proc/self/ns/net", os.O_RDONLY)
main()
