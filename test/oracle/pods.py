"""An event loop, and sockets in the namespaces of pods."""

import ctypes
import errno
import heapq
import itertools
import os
import select
import socket
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


def entry(pod, proto, target, port):
    names = {"pod": pod.name, "proto": proto, "target": target["address"]}
    return {**names, "port": port, "dport": target[proto], "time": time.time()}


def word(number):
    return WORDS.get(number, errno.errorcode.get(number, str(number)))


HOME = os.open("/proc/self/ns/net", os.O_RDONLY)
