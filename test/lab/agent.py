"""The one process of a pod or outside host: its servers, and a Unix socket by which it is told what to call.

One connection carries one request and one answer, each a line of JSON. An OSError of the network is an
answer {"error": word}; anything else is a fault of the request, {"fault": text}.
"""

import argparse
import json
import os
import socket
import threading

import call
import serve
import stream

streams = {}


def start(request):
    streams[request["id"]] = stream.KINDS[request["kind"]](request)
    return getattr(streams[request["id"]], "peer", {})


def reset(_request):
    for name in list(streams):
        streams.pop(name).stop()
    return {}


OPERATIONS = {
    "ping": lambda request: {},
    "call": lambda request: call.CALLS[request["proto"]](request),
    "raw": call.send_raw,
    "start": start,
    "say": lambda request: streams[request["id"]].say(request),
    "stop": lambda request: streams.pop(request["id"]).stop(),
    "reset": reset,
}


def answer(line):
    try:
        request = json.loads(line)
        return OPERATIONS[request["op"]](request)
    except OSError as error:
        return {"error": call.word(error)}
    except Exception as fault:  # the caller throws it
        return {"fault": f"{type(fault).__name__}: {fault}"}


def control(connection):
    with connection, connection.makefile("rw") as lines:
        try:
            lines.write(json.dumps(answer(lines.readline())) + "\n")
        except BrokenPipeError:
            pass


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--socket")
    options.add_argument("--log")
    for name in ("tcp", "udp", "http"):
        options.add_argument(f"--{name}", type=int)
    given = options.parse_args()
    log = serve.Log(given.log)
    echo = serve.serve_echo(log, given.tcp)
    serve.serve_udp(log, given.udp)
    serve.serve_http(log, given.http, echo)
    serve.watch_icmp(log)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(given.socket + ".new")
    server.listen(256)
    os.rename(given.socket + ".new", given.socket)  # it appears when it answers
    while True:
        threading.Thread(target=control, args=(server.accept()[0],), daemon=True).start()


main()
