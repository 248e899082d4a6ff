"""Captures on many devices of many network namespaces at once: one process, next to no CPU.

The kernel fills a ring of blocks for each device (TPACKET_V3); this only copies full blocks to a file, each with
a head of its own: the number of the capture point and the length of the block, two little-endian words.
First line of stdin: {"points": [{"netns", "device", "outgoing"}], "inside": [CIDR], "file"}. It answers
{"begin": time}, captures until the next line or the end of stdin, and answers {"end": time, "dropped": [count of each
point]}: between these times every packet was captured at every point.
"""

import ctypes
import ipaddress
import json
import mmap
import os
import select
import socket
import struct
import sys
import threading
import time

SNAP = 128  # outer and inner headers of a tunnelled packet and the start of its payload
BLOCK = 1 << 16
BLOCKS = 32
RETIRE_MS = 60

SOL_PACKET, PACKET_RX_RING, PACKET_STATISTICS, PACKET_VERSION, TPACKET_V3 = 263, 5, 6, 10, 2
ETH_P_ALL, SO_ATTACH_FILTER, CLONE_NEWNET = 3, 26, 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


def enter(namespace):
    if LIBC.setns(namespace, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def load_byte(at):
    return (0x30, 0, 0, at)


def load_half(at):
    return (0x28, 0, 0, at)


def ret(size):
    return (0x06, 0, 0, size)


def equals(value, yes, no):
    return (0x15, yes, no, value)


# Inside the cluster only the tunnel is of interest (UDP port 4790, with a first fragment's header).
TUNNEL_ONLY = [
    load_byte(23),
    equals(17, 0, 5),
    load_half(20),
    (0x45, 3, 0, 0x1FFF),
    (0xB1, 0, 0, 14),
    (0x48, 0, 0, 16),
    equals(4790, 1, 0),
    ret(0),
    ret(SNAP),
]


def program(outgoing, inside):
    """A classic BPF program: IPv4; where only what is sent counts, without what stays inside the cluster."""
    lines = [load_half(12), equals(0x0800, 1, 0), ret(0)]
    if outgoing:
        packet_type = 0xFFFFF000 + 4  # SKF_AD_OFF + SKF_AD_PKTTYPE; 4 is PACKET_OUTGOING
        lines += [load_byte(packet_type), equals(4, 1, 0), ret(0)]
        for network in map(ipaddress.IPv4Network, inside):
            mask, address = int(network.netmask), int(network.network_address)
            lines += [(0x20, 0, 0, 30), (0x54, 0, 0, mask), equals(address, 0, len(TUNNEL_ONLY)), *TUNNEL_ONLY]
    return [*lines, ret(SNAP)]


def attach(ring_socket, lines):
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in lines))
    ring_socket.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", len(lines), ctypes.addressof(code)))


class Ring:
    def __init__(self, index, point, inside):
        self.index, self.next = index, 0
        namespace = os.open("/run/netns/" + point["netns"], os.O_RDONLY)
        enter(namespace)
        os.close(namespace)
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        attach(self.socket, program(point["outgoing"], inside))
        self.socket.setsockopt(SOL_PACKET, PACKET_VERSION, TPACKET_V3)
        request = struct.pack("7I", BLOCK, BLOCKS, 2048, BLOCK * BLOCKS // 2048, RETIRE_MS, 0, 0)
        self.socket.setsockopt(SOL_PACKET, PACKET_RX_RING, request)
        self.memory = mmap.mmap(self.socket.fileno(), BLOCK * BLOCKS)
        self.view = memoryview(self.memory)
        self.socket.bind((point["device"], ETH_P_ALL))

    def drain(self, file):
        """Copies the blocks that are full and gives them back to the kernel."""
        while True:
            base = self.next * BLOCK
            status, _packets, _first, length = struct.unpack_from("4I", self.memory, base + 8)
            if not status & 1:
                return
            file.write(struct.pack("<II", self.index, length))
            file.write(self.view[base : base + length])
            struct.pack_into("I", self.memory, base + 8, 0)
            self.next = (self.next + 1) % BLOCKS

    def dropped(self):
        return struct.unpack("3I", self.socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 12))[1]


def open_rings(points, inside):
    """Pods first: what is seen elsewhere was seen there. At once otherwise, since the kernel takes its time for each."""
    rings = [None] * len(points)

    def open_one(index):
        rings[index] = Ring(index, points[index], inside)  # it enters a namespace: that of its own thread

    for is_pod in (True, False):
        chosen = [index for index, point in enumerate(points) if (point["kind"] == "pod") == is_pod]
        threads = [threading.Thread(target=open_one, args=(index,)) for index in chosen]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if None in rings:
        sys.exit(1)  # the thread has said why
    return rings


def abandon(file):
    """Nobody is there any more to judge."""
    os.remove(file)
    os.rmdir(os.path.dirname(file))


def main():
    request = json.loads(sys.stdin.readline())
    os.nice(-10)
    rings = open_rings(request["points"], request["inside"])
    poll = select.poll()
    poll.register(0, select.POLLIN)
    by_descriptor = {ring.socket.fileno(): ring for ring in rings}
    for descriptor in by_descriptor:
        poll.register(descriptor, select.POLLIN)
    with open(request["file"], "wb", buffering=1 << 18) as file:
        print(json.dumps({"begin": time.time()}), flush=True)
        running = True
        while running:
            for descriptor, event in poll.poll():
                if descriptor == 0:
                    running = False
                    if not sys.stdin.readline():
                        return abandon(request["file"])
                    continue
                by_descriptor[descriptor].drain(file)
                if event & ~select.POLLIN:
                    poll.unregister(descriptor)  # its device has gone
        end = time.time()
        time.sleep(2.5 * RETIRE_MS / 1000)  # by then the kernel has handed over blocks that aren't full
        for ring in rings:
            ring.drain(file)
    print(json.dumps({"end": end, "dropped": [ring.dropped() for ring in rings]}), flush=True)


main()
