"""Answers, and measures how fast it is answered.

  ping-pong.py serve PORT
  ping-pong.py measure HOST PORT CONNECTIONS REQUESTS    prints one line of JSON, times in microseconds
"""

import json
import socket
import struct
import sys
import time

BYTES = b"x" * 64


def serve(port):
    listener = socket.create_server(("", port), backlog=128)
    while True:
        connection, _ = listener.accept()
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while data := connection.recv(len(BYTES)):
                connection.sendall(data)
        except OSError:
            pass  # the client ends its short connections by a reset
        finally:
            connection.close()


def open_to(address):
    connection = socket.create_connection(address, timeout=5)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def ask(connection):
    connection.sendall(BYTES)
    got = 0
    while got < len(BYTES):
        data = connection.recv(len(BYTES) - got)
        if not data:
            raise OSError("the server closed the connection")
        got += len(data)


def connect_once(address):
    connection = open_to(address)
    ask(connection)
    # Ended by a reset: thousands of ports in TIME_WAIT would measure the port search.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def timed(count, act):
    times = []
    for _ in range(count):
        began = time.perf_counter_ns()
        act()
        times.append((time.perf_counter_ns() - began) / 1000)
    return times


def quantile(times, share):
    return sorted(times)[min(len(times) - 1, int(len(times) * share))]


def measure(address, connections, requests):
    connects = timed(connections, lambda: connect_once(address))
    with open_to(address) as connection:
        ask(connection)
        answers = timed(requests, lambda: ask(connection))
    result = {
        "connectsPerSecond": 1e6 * connections / sum(connects),
        "connectP50": quantile(connects, 0.5),
        "connectP99": quantile(connects, 0.99),
        "answerP50": quantile(answers, 0.5),
        "answerP99": quantile(answers, 0.99),
    }
    print(json.dumps(result))


if sys.argv[1] == "serve":
    serve(int(sys.argv[2]))
else:
    measure((sys.argv[2], int(sys.argv[3])), int(sys.argv[4]), int(sys.argv[5]))
