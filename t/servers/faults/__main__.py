"""An HTTP/1 upstream that does what its path says, right or wrong.

    python3 t/servers/faults LISTENER...      tcp:HOST:PORT, unix:PATH, or tls:HOST:PORT:CERT:KEY

Writes "ready" when it listens, and exits when its standard input ends. The paths are those of
paths.py and broken.py; t/lib/Servers.pm starts it.
"""

import asyncio
import os
import signal
import ssl
import sys

import connection
import paths

# The longest head of a request, or line of its body, in bytes.
LIMIT = 16 << 20


async def listen(what):
    """Listens, and gives the server, which is to be kept."""
    kind, _, where = what.partition(":")
    if kind == "unix":
        return await asyncio.start_unix_server(serve("unix"), where, limit=LIMIT, backlog=1024)
    context = None
    if kind == "tls":
        where, certificate, key = where.rsplit(":", 2)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        context.set_alpn_protocols(["http/1.1"])
        context.sni_callback = lambda socket, name, _: setattr(socket, "asked_name", name)
    host, _, port = where.rpartition(":")
    return await asyncio.start_server(
        serve(kind), host.strip("[]"), int(port), ssl=context, limit=LIMIT, backlog=1024)


def serve(kind):
    async def serve_connection(reader, writer):
        one = connection.Connection(kind, reader, writer)
        try:
            await paths.serve(one)
        except (ConnectionError, ssl.SSLError, asyncio.IncompleteReadError):
            pass
        finally:
            one.close()

    return serve_connection


async def main():
    servers = [await listen(what) for what in sys.argv[1:]]
    print("ready", flush=True)
    loop = asyncio.get_running_loop()
    end = loop.create_future()
    # Whoever started it is gone when this end of the pipe is closed.
    loop.add_reader(0, lambda: os.read(0, 4096) or end.done() or end.set_result(None))
    loop.add_signal_handler(signal.SIGTERM, lambda: end.done() or end.set_result(None))
    await end
    for server in servers:
        server.close()
    os._exit(0)


asyncio.run(main())
