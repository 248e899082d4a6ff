"""Calls from a host's own kernel: what came back, or in one word why nothing did."""

import errno
import os
import select
import socket
import struct
import time

IP_RECVERR = 11
SO_MAX_PACING_RATE = 47

WORDS = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.EPIPE: "reset",
    errno.ETIMEDOUT: "timeout",
    errno.EAGAIN: "timeout",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETUNREACH: "unreachable",
    errno.EPERM: "prohibited",
    errno.EACCES: "prohibited",
    errno.EMSGSIZE: "too-big",
}


def word(error):
    """One word for an OSError: refused, reset, timeout, unreachable, prohibited, too-big."""
    if isinstance(error, socket.timeout):
        return "timeout"
    return WORDS.get(error.errno, errno.errorcode.get(error.errno, str(error)))


def connect(request):
    connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(request["timeout"])
        if request.get("sourcePort"):
            connection.bind(("", request["sourcePort"]))
        connection.connect((request["address"], request["port"]))
        return connection
    except OSError:
        connection.close()
        raise


def read_line(connection):
    data = b""
    while not data.endswith(b"\n"):
        more = connection.recv(65536)
        if not more:
            raise ConnectionResetError(errno.ECONNRESET, "closed")
        data += more
    return data.decode().strip()


def seen(line):
    source, port = line.split(" ")[:2]
    return {"source": source, "sport": int(port)}


def call_tcp(request):
    with connect(request) as connection:
        return seen(read_line(connection))


def call_udp(request):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        client.settimeout(request["timeout"])
        if request.get("sourcePort"):
            client.bind(("", request["sourcePort"]))
        client.connect((request["address"], request["port"]))
        client.send(b"x" * request.get("bytes", 5))
        return seen(client.recv(65535).decode())


def call_http(request):
    """GET path, or POST of so many bytes; the body when it is small, the count and time always."""
    import json

    upload = request.get("upload")
    method, length = ("GET", 0) if upload is None else ("POST", upload)
    head = f"{method} {request.get('path', '/')} HTTP/1.1\r\nHost: lab\r\nContent-Length: {length}\r\n\r\n"
    begin = time.time()
    with connect(request) as connection:
        connection.sendall(head.encode())
        if request.get("rate"):
            connection.setsockopt(socket.SOL_SOCKET, SO_MAX_PACING_RATE, request["rate"])
        block = b"x" * 262144
        while length > 0:
            connection.sendall(block[:length])
            length -= len(block)
        received, text, expected = 0, b"", None
        while expected is None or received < expected:
            data = connection.recv(262144)
            if not data:
                raise ConnectionResetError(errno.ECONNRESET, "closed early")
            if expected is None:
                text += data
                if b"\r\n\r\n" not in text:
                    continue
                head_text, text = text.split(b"\r\n\r\n", 1)
                expected = int(head_text.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                received = len(text)
            else:
                received += len(data)
                if received < 65536:
                    text += data
    answer = {"bytes": received, "seconds": time.time() - begin}
    if text.startswith(b"{"):
        body = json.loads(text)
        answer.update(source=body["source"], sport=body["port"], received=body["bytes"])
    return answer


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def call_icmp(request):
    """One echo request. Who was seen stands in the other side's log under the payload."""
    payload = os.urandom(16)
    identifier = int.from_bytes(os.urandom(2), "big")
    head = struct.pack("!BBHHH", 8, 0, 0, identifier, 1)
    echo = struct.pack("!BBHHH", 8, 0, checksum(head + payload), identifier, 1) + payload
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as client:
        client.sendto(echo, (request["address"], 0))
        end = time.time() + request["timeout"]
        while (left := end - time.time()) > 0:
            if not select.select([client], [], [], left)[0]:
                break
            packet, peer = client.recvfrom(65535)
            icmp = packet[(packet[0] & 15) * 4 :]
            if icmp[0] == 0 and icmp[8:24] == payload:
                return {"payload": payload.hex(), "from": peer[0]}
            if icmp[0] == 3 and payload in icmp:
                raise OSError(errno.EHOSTUNREACH, f"icmp code {icmp[1]} from {peer[0]}")
    raise socket.timeout()


def send_raw(request):
    """Sends IP packets as they are, headers and all (the kernel fills in an IP checksum)."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sender:
        for packet in request["packets"]:
            data = bytes.fromhex(packet)
            sender.sendto(data, (socket.inet_ntoa(data[16:20]), 0))
    return {"sent": len(request["packets"])}


CALLS = {"tcp": call_tcp, "udp": call_udp, "http": call_http, "icmp": call_icmp}
