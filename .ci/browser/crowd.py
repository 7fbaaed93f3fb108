"""Tick-to-wire latency of the daemon alone and under a crowd: usage: crowd.py BINARY [SECONDS] [ROUNDS]

Both run config/demo.toml against config/exchange.toml, with one small order a side that follows every
move of a market at four times its pace: a p99 wants many samples, and a venue takes a hundred orders
in ten seconds.
The crowd, all at once and for as long as the measurement lasts:
- two dashboards that read, three that read a byte every tenth of a second, three that never read;
- 1,000 connections that say nothing, opened anew as the daemon closes them;
- ten oversized requests a second, by head and by body, and ten with a wrong token;
- a scrape of the metrics every second, and dashboards beyond the eight that there may be.

Alone and crowded take turns, so that a machine that is busy is busy for both. What counts is the
ratio of the medians of the rounds; the daemon itself says the latencies (`/status`).
"""

import json
import math
import os
import pathlib
import re
import resource
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
IDLE = 1000
# Fresh connections a second at most, so that what is measured is not how fast we can connect.
ANEW_PER_S = 500


class Crowd:
    def __init__(self, address):
        self.address, self.over = address, threading.Event()
        self.refused, self.anew, self.codes = 0, 0, {}
        jobs = [self.idle, self.oversized, self.scrape]
        jobs += [lambda: self.dashboard(0.0, 1 << 16)] * 2 + [lambda: self.dashboard(0.1, 1)] * 3
        jobs += [lambda: self.dashboard(3600.0, 1)] * 3
        self.threads = [self.start(job) for job in jobs]
        self.over.wait(1.0)
        self.threads.append(self.start(self.ninth))

    def start(self, job):
        def body():
            # A crowd is on other machines: its own work must not take the daemon's processor.
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
            job()

        thread = threading.Thread(target=body, daemon=True)
        thread.start()
        return thread

    def connect(self):
        stream = socket.create_connection(self.address, timeout=5)
        return stream

    def dashboard(self, pause, bytes_at_once):
        """Comes back whenever it is sent away."""
        while not self.over.wait(0.5):
            try:
                with self.connect() as stream:
                    stream.sendall(b"GET /stream?instrument=spot:BTCUSDT HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    while not self.over.wait(pause) and stream.recv(bytes_at_once):
                        pass
            except OSError:
                pass

    def ninth(self):
        while not self.over.wait(0.5):
            code = self.ask(b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.refused += code == 503

    def idle(self):
        watched = selectors.DefaultSelector()
        try:
            while not self.over.is_set():
                for _ in range(min(IDLE - len(watched.get_map()), ANEW_PER_S // 10)):
                    try:
                        stream = self.connect()
                        stream.setblocking(False)
                        watched.register(stream, selectors.EVENT_READ)
                        self.anew += 1
                    except OSError:
                        break
                for key, _ in watched.select(timeout=0):
                    # Nothing was asked, so whatever there is to read is the end.
                    watched.unregister(key.fileobj)
                    key.fileobj.close()
                self.over.wait(0.1)
        finally:
            for key in list(watched.get_map().values()):
                key.fileobj.close()

    def ask(self, request):
        try:
            with self.connect() as stream:
                try:
                    stream.sendall(request)
                except OSError:
                    pass
                return int(stream.recv(64).split(b" ")[1])
        except (OSError, IndexError, ValueError):
            return 0

    def oversized(self):
        body = b"x" * (1 << 20)
        big = b"POST /control/kill HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer no\r\nContent-Length: %d\r\n\r\n"
        requests = {
            "head of 1 MB": b"GET /status HTTP/1.1\r\nHost: localhost\r\nX: " + body + b"\r\n\r\n",
            "body of 1 MB": big % len(body) + body,
            "wrong token": big % 0,
        }
        while not self.over.wait(0.1):
            for name, request in requests.items():
                codes = self.codes.setdefault(name, {})
                code = self.ask(request)
                codes[code] = codes.get(code, 0) + 1

    def scrape(self):
        while not self.over.wait(1.0):
            code = self.ask(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            codes = self.codes.setdefault("metrics", {})
            codes[code] = codes.get(code, 0) + 1

    def leave(self):
        self.over.set()
        for thread in self.threads:
            thread.join(timeout=1)


def status(address):
    """Asked until there is an answer: in a crowd one may lose its seat."""
    request = b"GET /status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    for _ in range(50):
        try:
            with socket.create_connection(address, timeout=5) as stream:
                stream.sendall(request)
                reply = b"".join(iter(lambda: stream.recv(1 << 16), b""))
            return json.loads(reply.split(b"\r\n\r\n", 1)[1])
        except (OSError, IndexError, ValueError):
            time.sleep(0.1)
    sys.exit("the daemon does not answer in the crowd")


def memory_mb(pid):
    with open(f"/proc/{pid}/status") as lines:
        return int(re.search(r"VmRSS:\s+(\d+)", lines.read())[1]) / 1024


def written(folder, name, changes):
    text = (TOP / "config" / name).read_text()
    for old, new in changes.items():
        if old not in text:
            sys.exit(f"config/{name} has no {old!r} any more")
        text = text.replace(old, new)
    path = pathlib.Path(folder) / name
    path.write_text(text)
    return str(path)


def free_ports(count):
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [str(one.getsockname()[1]) for one in held]
    for one in held:
        one.close()
    return ports


def measure(binary, seconds, crowded):
    spot, usdm, own = free_ports(3)
    with tempfile.TemporaryDirectory() as folder:
        ports = {"127.0.0.1:9180": f"127.0.0.1:{spot}", "127.0.0.1:9181": f"127.0.0.1:{usdm}"}
        faults = (TOP / "config/exchange.toml").read_text().partition("[[faults]]")[2]
        calm = {"speed = 1.0": "speed = 4.0", f"[[faults]]{faults}": ""}
        exchange = written(folder, "exchange.toml", ports | calm)
        daemon = written(folder, "demo.toml", ports | {
            'state_dir = "state/demo"': f'state_dir = "{folder}/state"',
            'listen = "127.0.0.1:0"': f'listen = "127.0.0.1:{own}"',
            "reprice_threshold_bps = 1.5": "reprice_threshold_bps = 0.1",
            "reprice_min_interval_ms = 250": "reprice_min_interval_ms = 0",
            "[[quoting.levels]]\noffset_bps = 1.5\nsize_base = 0.004\n": "",
        })
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        venue = subprocess.Popen([binary, "exchange", "--config", exchange], **quiet)
        bot, crowd = None, None
        try:
            time.sleep(1.0)
            bot = subprocess.Popen([binary, "run", "--config", daemon], **quiet)
            address = ("127.0.0.1", int(own))
            time.sleep(2.0)
            crowd = Crowd(address) if crowded else None
            time.sleep(seconds)
            driver = status(address)["driver"]
            return driver, memory_mb(bot.pid), crowd
        finally:
            if crowd:
                crowd.leave()
            for process in filter(None, (bot, venue)):
                process.terminate()
                process.wait(timeout=60)


def main(binary, seconds="30", rounds="3"):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096) if hard > 0 else 4096, hard))
    seen, fewest = {False: [], True: []}, math.inf
    for _ in range(int(rounds)):
        for crowded in (False, True):
            driver, memory, crowd = measure(binary, int(seconds), crowded)
            p50, p99 = driver["tick_to_wire_p50_us"], driver["tick_to_wire_p99_us"]
            seen[crowded].append((p50, p99))
            fewest = min(fewest, driver["tick_to_wire_count"])
            print(f"{'crowded' if crowded else 'alone':8} tick to wire p50 {p50:5.0f} µs, p99 {p99:6.0f} µs"
                  f" over {driver['tick_to_wire_count']}; {memory:.0f} MB", flush=True)
            if crowd:
                told = "; ".join(f"{name}: {dict(sorted(codes.items()))}" for name, codes in crowd.codes.items())
                print(f"         {crowd.anew} idle connections in all, {crowd.refused} dashboards too many refused; {told}")
                for name, wanted in (("head of 1 MB", {431, 0}), ("body of 1 MB", {401, 413, 0}), ("wrong token", {401, 0})):
                    if not set(crowd.codes.get(name, {})) <= wanted:
                        sys.exit(f"{name} was answered {crowd.codes[name]}, not {wanted}")
    for at, name in ((0, "p50"), (1, "p99")):
        alone, crowded = (statistics.median(run[at] for run in seen[kind]) for kind in (False, True))
        verdict = "" if at == 0 else " (target: 0.90 to 1.10)"
        if at and fewest < 1000:
            verdict += f": only {fewest} samples in a round, no p99 worth its name; measure for longer"
        print(f"{name} crowded over alone: {crowded / alone:.2f}{verdict}")


main(*sys.argv[1:])
