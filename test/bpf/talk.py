"""Both ends of what is said over a path: `serve` at the outside, the others in a pod. Prints JSON."""

import json
import os
import socket
import sys
import threading
import time

HOST, TCP, UDP, CLOSED = "203.0.113.9", 7001, 7002, 7999
# By these everything that is answered has IP options.
TCP_OPTIONS, UDP_OPTIONS = 7003, 7004
NOTHING = b"\x01" * 8
LENGTH = 2_000_000
# Seconds that a connection may stand still: more where the machine is slow.
PATIENCE = float(os.environ.get("EGW_PATIENCE", "3"))


def with_options(one):
    one.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, NOTHING)
    return one


def serve():
    def echo(connection, peer):
        connection.sendall(json.dumps(peer).encode() + b"\n")
        while data := connection.recv(65536):
            connection.sendall(data)
        connection.close()

    def accept(server, with_some):
        while True:
            connection, peer = server.accept()
            threading.Thread(target=echo, args=(with_some(connection), peer), daemon=True).start()

    def answer(datagrams):
        while True:
            data, peer = datagrams.recvfrom(65536)
            datagrams.sendto(json.dumps(peer).encode().ljust(len(data)), peer)

    def run(task, *words):
        threading.Thread(target=task, args=words, daemon=True).start()

    def bound(port):
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        datagrams.bind((HOST, port))
        return datagrams

    run(accept, socket.create_server((HOST, TCP)), lambda one: one)
    run(accept, socket.create_server((HOST, TCP_OPTIONS)), with_options)
    run(answer, with_options(bound(UDP_OPTIONS)))
    datagrams = bound(UDP)
    print("ready", flush=True)
    answer(datagrams)


def dial(seconds=PATIENCE, port=TCP, prepare=lambda one: one):
    connection = prepare(socket.socket())
    connection.settimeout(seconds)
    connection.connect((HOST, port))
    reader = connection.makefile("rb")
    return connection, reader, json.loads(reader.readline())


def knock(seconds=3):
    """One connection; prints by which source it came, null if it did not within that time."""
    try:
        print(json.dumps(dial(float(seconds))[2][0]))
    except OSError:
        print("null")


def options():
    """What has IP options from its first packet on, and later, and is answered with some: the source, and whether all came back."""
    told = {}
    for name, first, later in [("first", with_options, lambda one: one), ("later", lambda one: one, with_options)]:
        connection, reader, seen = dial(port=TCP_OPTIONS, prepare=first)
        later(connection)
        data = os.urandom(100_000)
        sender = threading.Thread(target=connection.sendall, args=(data,))
        sender.start()
        told[name] = [seen[0], reader.read(len(data)) == data]
        sender.join()
    datagrams = with_options(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    datagrams.settimeout(2)
    datagrams.connect((HOST, UDP_OPTIONS))
    told["udp"] = []
    for _ in range(3):
        datagrams.send(b"x" * 100)
        told["udp"].append(json.loads(datagrams.recv(1000))[0])
    print(json.dumps(told))


def call():
    connection, reader, seen = dial()
    data = bytes(i * 7 & 0xFF for i in range(LENGTH))
    sender = threading.Thread(target=connection.sendall, args=(data,))
    sender.start()
    echoed = reader.read(LENGTH)
    sender.join()
    told = {"tcp": seen[0], "whole": echoed == data, "udp": [], "closed": "nothing"}
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.settimeout(2)
    datagrams.connect((HOST, UDP))
    for _ in range(3):
        datagrams.send(b"x")
        told["udp"].append(json.loads(datagrams.recv(100)))
    closed = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    closed.settimeout(2)
    closed.connect((HOST, CLOSED))
    try:
        closed.send(b"x")
        closed.recv(1)
    except OSError as error:
        told["closed"] = type(error).__name__
    print(json.dumps(told))


def send(source, port, *sizes):
    """Datagrams of these sizes from one socket; prints for each the port by which it came, if an answer as long comes back."""
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind((source, int(port)))
    datagrams.settimeout(1)
    seen = []
    for size in sizes:
        datagrams.sendto(bytes(int(size)), (HOST, UDP))
        try:
            seen.append(json.loads(datagrams.recv(65536))[1])
        except TimeoutError:
            seen.append(None)
    print(json.dumps(seen))


def hold():
    """Echoes line by line until its input ends; says how many."""
    connection, reader, seen = dial()
    print("ready", flush=True)
    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    count = 0
    while not over.is_set():
        connection.sendall(b"%d\n" % count)
        if reader.readline() != b"%d\n" % count:
            raise SystemExit("another line came back")
        count += 1
        time.sleep(0.001)
    print(json.dumps({"source": seen[0], "count": count}))


{"serve": serve, "call": call, "options": options, "hold": hold, "send": send, "knock": knock}[sys.argv[1]](*sys.argv[2:])
