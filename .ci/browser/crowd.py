"""Tick-to-wire latency of the demo alone and under a crowd: usage: crowd.py BINARY [SECONDS]

The crowd: eight dashboards, half of which never read, and 1,000 connections that say nothing.
"""

import json
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.request


def dashboard(address, reads):
    """Opens a stream; one that reads does so until the daemon ends it."""
    stream = socket.create_connection(address)
    stream.sendall(b"GET /stream?instrument=spot:BTCUSDT HTTP/1.1\r\nHost: localhost\r\n\r\n")

    def drain():
        try:
            while stream.recv(1 << 16):
                pass
        except OSError:
            pass

    if reads:
        threading.Thread(target=drain, daemon=True).start()
    return stream


def measure(binary, seconds, crowd):
    command = [binary, "demo", "--for", f"{seconds + 10}s"]
    demo = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        for line in demo.stdout:
            if found := re.match(r"\s*dashboard\s+http://([\d.]+):(\d+)", line):
                address = (found[1], int(found[2]))
                break
        threading.Thread(target=lambda: [None for _ in demo.stdout], daemon=True).start()
        guests = []
        if crowd:
            guests += [dashboard(address, reads=k % 2 == 0) for k in range(8)]
            guests += [socket.create_connection(address) for _ in range(1000)]
        time.sleep(seconds)
        with urllib.request.urlopen("http://%s:%d/status" % address) as reply:
            return json.load(reply)["driver"]
    finally:
        demo.terminate()
        demo.wait(timeout=30)


def main(binary, seconds="60"):
    for name, crowd in (("alone", False), ("crowded", True)):
        driver = measure(binary, int(seconds), crowd)
        print(
            f"{name:8} tick to wire p50 {driver['tick_to_wire_p50_us']:.0f} µs,"
            f" p99 {driver['tick_to_wire_p99_us']:.0f} µs over {driver['tick_to_wire_count']}"
        )


main(*sys.argv[1:])
