"""Connections and flows that stay."""

import errno
import select
import socket
import time

from pods import WAIT, entry, word

SILENCE = 1.0


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
                failed = self.connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                self.connection.recvmsg(1, 512, socket.MSG_ERRQUEUE)
                if failed == errno.ECONNREFUSED:
                    return self.end("refused")
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
        """A TCP connection ends with its first error; a UDP flow goes on, from another port once it is refused."""
        if self.proto == "udp" and error.errno != errno.ECONNREFUSED:
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
