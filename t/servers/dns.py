"""A DNS server of a few names, for tests of nginx's resolver.

    dns.py udp:ADDRESS:PORT NAME=ANSWER...

An answer is addresses, separated by commas, of IPv4, of IPv6 or of both; or `servfail`, `refused`,
`silent` (there is none) or `late:ADDRESS` (after 0.5 s). Any other name does not exist. Of
`asked.NAME` the address is 0.0.0.N, N being how often NAME was asked for.

Prints "ready" when it listens; ends when its standard input does.
"""

import asyncio
import collections
import ipaddress
import os
import socket
import struct
import sys

A, AAAA = 1, 28
NXDOMAIN, RCODES = 3, {"servfail": 2, "refused": 5}


class Server(asyncio.DatagramProtocol):
    def __init__(self, names):
        self.names = names
        self.asked = collections.Counter()

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        name, kind, question = parse(data)
        self.asked[name] += 1
        value = self.names.get(name)
        if name.startswith("asked."):
            value = f"0.0.0.{self.asked[name[6:]]}"
        delay = 0
        if value == "silent":
            return
        if value and value.startswith("late:"):
            value, delay = value[5:], 0.5
        rcode, addresses = NXDOMAIN, []
        if value in RCODES:
            rcode = RCODES[value]
        elif value is not None:
            rcode = 0
            addresses = [ipaddress.ip_address(text) for text in value.split(",")]
        records = [a.packed for a in addresses if (a.version == 6) == (kind == AAAA)]
        answer = data[:2] + struct.pack(">HHHHH", 0x8180 | rcode, 1, len(records), 0, 0) + question
        for packed in records:
            answer += struct.pack(">HHHIH", 0xC00C, kind, 1, 60, len(packed)) + packed
        asyncio.get_running_loop().call_later(delay, self.transport.sendto, answer, address)


def parse(data):
    """The name, the type, and the bytes of the question."""
    labels, at = [], 12
    while data[at]:
        labels.append(data[at + 1 : at + 1 + data[at]].decode("latin-1"))
        at += 1 + data[at]
    end = at + 5
    (kind,) = struct.unpack(">H", data[at + 1 : at + 3])
    return ".".join(labels).lower(), kind, data[12:end]


async def main():
    listener, *names = sys.argv[1:]
    _, host, port = listener.split(":")
    names = dict(name.split("=", 1) for name in names)
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(
        lambda: Server(names), local_addr=(host, int(port)), family=socket.AF_INET
    )
    print("ready", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    os._exit(0)


asyncio.run(main())
