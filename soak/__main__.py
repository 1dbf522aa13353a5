"""Hours of mixed traffic in minutes, against an nginx that is reloaded and whose workers are killed.

    python soak --nginx FILE --module FILE --filters DIRECTORY --work DIRECTORY [--time SECONDS]
                [--seed NUMBER] [--kinds NAME,NAME...]

Half of the time nginx is reloaded every few seconds, and now and then one of its workers is killed; for
the other half, workers are left alone. kinds.py has what is asked for. In the end, there is a table and,
with exit status 1, a line for each of these that is not so:

- Every request has an answer, and the one that is right for its kind. Only one that was under way
  when a worker was killed may have none.
- In each worker that was not killed, as many contexts were deleted as created, and each was done and
  logged once.
- Memory and descriptors of the master after the reloads, and of workers after traffic, are what they were
  when nginx had warmed up, within BOUNDS.
- nginx logs nothing at level alert or emerg but the ends of the workers that were killed, and no panic.
"""

import argparse
import asyncio
import os
import random
import shutil
import socket
import sys
import time

import kinds
from nginx import Nginx
from servers import Servers
from soak import Soak


def ports(count):
    """Ports that are free now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    numbers = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return numbers


def main():
    parser = argparse.ArgumentParser(prog="soak")
    for name in ("nginx", "module", "filters", "work"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--time", type=float, default=600)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--kinds", type=lambda text: text.split(","), default=None)
    arguments = parser.parse_args()

    work = os.path.abspath(arguments.work)
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(work)
    port, faults, grpc = ports(3)
    environment = kinds.Environment(os.path.abspath(arguments.filters), faults, grpc)
    print(f"seed {arguments.seed}, {arguments.time:g} s; nginx.conf and error.log are in {work}", flush=True)
    nginx = Nginx(arguments.nginx, os.path.abspath(arguments.module), work, port, 2, environment)
    with Servers(faults, grpc):
        nginx.start()
        try:
            soak = Soak(nginx, arguments.time, arguments.seed, arguments.kinds)
            asyncio.run(soak.run())
        finally:
            nginx.kill()
    reasons = soak.report()
    for reason in reasons:
        print(f"FAILED: {reason}")
    print("failed" if reasons else "all is well")
    return 1 if reasons else 0


begin = time.monotonic()
status = main()
print(f"{time.monotonic() - begin:.0f} s")
sys.exit(status)
