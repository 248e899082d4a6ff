"""The honest servers of an outside host or pod: they say whom they see, and write it down."""

import json
import select
import socket
import struct
import threading
import time


SO_MAX_PACING_RATE = 47


class Log:
    """One JSON line for everything that arrives."""

    def __init__(self, path):
        self.file = open(path, "a", buffering=1)
        self.lock = threading.Lock()

    def write(self, proto, peer, dport, size, **more):
        entry = {"time": time.time(), "proto": proto, "source": peer[0], "sport": peer[1], "dport": dport, "bytes": size}
        with self.lock:
            self.file.write(json.dumps({**entry, **more}) + "\n")


def listen_tcp(port, handle):
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("", port))
    server.listen(1024)

    def serve(connection, peer):
        try:
            with connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                handle(connection, peer)
        except OSError:
            pass  # the other side has gone: what came before is in the log

    def accept():
        while True:
            connection, peer = server.accept()
            threading.Thread(target=serve, args=(connection, peer), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def serve_echo(log, port):
    """Gives each line back; one that begins "after SECONDS" that much later."""

    def handle(connection, peer):
        log.write("tcp", peer, port, 0)
        connection.sendall(f"{peer[0]} {peer[1]}\n".encode())
        while data := connection.recv(65536):
            log.write("tcp", peer, port, len(data))
            if data.startswith(b"after "):
                time.sleep(float(data.split()[1]))
            connection.sendall(data)

    listen_tcp(port, handle)
    return handle


def serve_http(log, port, echo):
    """HTTP; a client that waits to be spoken to first gets the echo server instead."""

    def handle(connection, peer):
        if not select.select([connection], [], [], 0.1)[0]:
            return echo(connection, peer)
        head, body = read_head(connection)
        if not head:
            return None
        method, path = head[0].split(" ")[:2]
        length = next((int(line.split(":")[1]) for line in head if line.lower().startswith("content-length:")), 0)
        received = len(body)
        while received < length and (data := connection.recv(262144)):
            received += len(data)
        log.write("http", peer, port, received, method=method, path=path)
        if path.startswith("/bytes/"):
            return respond_bytes(connection, *(int(number) for number in path.split("/")[2:4]))
        answer = {"source": peer[0], "port": peer[1], "time": time.time(), "bytes": received}
        text = json.dumps(answer).encode() + b"\n"
        return connection.sendall(response_head(len(text), "application/json") + text)

    listen_tcp(port, handle)


def read_head(connection):
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return [], b""
        data += more
    head, body = data.split(b"\r\n\r\n", 1)
    return head.decode("latin-1").split("\r\n"), body


def response_head(length, kind):
    return (f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n").encode()


def respond_bytes(connection, count, rate=0):
    """`rate`: bytes a second; 0 = as many as go."""
    if rate:
        connection.setsockopt(socket.SOL_SOCKET, SO_MAX_PACING_RATE, rate)
    connection.sendall(response_head(count, "application/octet-stream"))
    block = b"x" * 262144
    while count > 0:
        connection.sendall(block[:count])
        count -= len(block)


def serve_udp(log, port):
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("", port))

    def answer():
        while True:
            try:
                data, peer = server.recvfrom(65535)
                log.write("udp", peer, port, len(data))
                server.sendto(f"{peer[0]} {peer[1]}\n".encode(), peer)
            except OSError:
                pass  # an ICMP error about an earlier answer

    threading.Thread(target=answer, daemon=True).start()


def watch_icmp(log):
    """Writes down every echo request, with the start of its payload; the kernel answers it."""
    watcher = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    watcher.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)

    def watch():
        while True:
            packet, peer = watcher.recvfrom(65535)
            icmp = packet[(packet[0] & 15) * 4 :]
            if len(icmp) >= 8 and icmp[0] == 8:
                identifier, sequence = struct.unpack("!HH", icmp[4:8])
                log.write("icmp", (peer[0], identifier), 0, len(icmp), sequence=sequence, payload=icmp[8:24].hex())

    threading.Thread(target=watch, daemon=True).start()
