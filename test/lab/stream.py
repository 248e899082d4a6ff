"""What goes on in the background until it is stopped: held connections and steady senders."""

import threading
import time

import call


class Held:
    """A TCP connection that stays open between requests."""

    def __init__(self, request):
        self.connection = call.connect(request)
        self.peer = call.seen(call.read_line(self.connection))
        self.peer["localPort"] = self.connection.getsockname()[1]

    def say(self, request):
        """Sends a line and waits for its echo."""
        self.connection.settimeout(request["timeout"])
        self.connection.sendall((request.get("text", "hello") + "\n").encode())
        return {"echo": call.read_line(self.connection)}

    def stop(self):
        self.connection.close()
        return {}


class Sender:
    """Calls again and again, each call in its own thread, so that one that hangs delays no other."""

    def __init__(self, request):
        self.request = request
        self.results = []
        self.lock = threading.Lock()
        self.running = True
        self.slots = threading.Semaphore(request.get("atOnce", 256))
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        due = time.monotonic()
        while self.running:
            self.slots.acquire()
            threading.Thread(target=self.one, daemon=True).start()
            due += self.request["interval"]
            time.sleep(max(0, due - time.monotonic()))

    def one(self):
        begin = time.time()
        try:
            result = call.CALLS[self.request["proto"]](self.request)
        except OSError as error:
            result = {"error": call.word(error)}
        with self.lock:
            self.results.append({"time": begin, "until": time.time(), **result})
        self.slots.release()

    def stop(self):
        self.running = False
        self.thread.join()
        for _ in range(self.request.get("atOnce", 256)):
            self.slots.acquire()
        return {"results": sorted(self.results, key=lambda result: result["time"])}


class Talker:
    """One connection on which a line goes and comes back at every interval, until the first failure."""

    def __init__(self, request):
        self.request = request
        self.held = Held(request)
        self.results = []
        self.running = True
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while self.running:
            begin = time.time()
            try:
                self.held.say(self.request)
                self.results.append({"time": begin, "until": time.time(), "source": self.held.peer["source"]})
            except OSError as error:
                self.results.append({"time": begin, "until": time.time(), "error": call.word(error)})
                return
            time.sleep(self.request["interval"])

    def stop(self):
        self.running = False
        self.thread.join()
        self.held.stop()
        return {**self.held.peer, "results": self.results}


KINDS = {"hold": Held, "send": Sender, "talk": Talker}
