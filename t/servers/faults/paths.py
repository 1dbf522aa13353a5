"""What each path does. After an answer without a fault, the connection is kept.

Parts in capitals are the caller's; a query string is not looked at.

    /echo               the request, as JSON: method, path, version, headers and trailers in order as
                        [name, value], framing (none, length or chunked), body, and the connection:
                        number, how many requests it had, listener (tcp, unix or tls), sni, alpn
    /raw                the request's bytes
    /status/N[/TEXT]    that status, with the text as the body
    /size/N             a body of N bytes, abcdefghabc...
    /chunked/N/TIMES    so many chunks of N bytes each
    /trailers           a chunked body and the trailers x-trailer: 1, x-trailer: 2 and x-last: end
    /multi              header lines x-multi: 1, x-other: o, x-multi: 2, two Set-Cookie
    /hints              100 and 103 before the answer
    /delay/S            the answer after S seconds
    /drip/S             the answer in pieces of 4 bytes, S seconds between each two
    /hits/NAME          how often this was asked for, this time included
    /flaky/NAME/N       N times reset, then an answer
    /keep/NAME          keeps the request's body
    /kept/NAME          all bodies that were kept, one behind the other
    /hold/NAME          answers when somebody asks for /release/NAME; if the other side leaves before
                        that, /held/NAME counts it
    /release/NAME       lets all that are held go; says how many
    /held/NAME          "waiting=N left=N released=N"
    /log                "METHOD path" of every request but those for /log, /held and /kept, a line each; and
                        /log/clear forgets them

and the faults of broken.py.
"""

import asyncio
import collections
import json

import broken

hits = collections.Counter()
log = []
kept = collections.defaultdict(bytes)


class Hold:
    def __init__(self):
        self.event = asyncio.Event()
        self.waiting = self.left = self.released = 0


holds = collections.defaultdict(Hold)


def head(status, *lines):
    return "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {status}", *lines, "")).encode("latin-1")


def answer(body, *lines, status="200 OK"):
    body = body.encode() if isinstance(body, str) else body
    return head(status, "Content-Type: text/plain", f"Content-Length: {len(body)}", *lines) + body


def pattern(size):
    return (b"abcdefgh" * (size // 8 + 1))[:size]


async def serve(connection):
    while (request := await connection.head()) is not None:
        name, *arguments = request.path.partition("?")[0].lstrip("/").split("/")
        if name not in ("log", "held", "kept"):
            log.append(f"{request.method} {request.path}")
        if name in broken.PATHS:
            await broken.PATHS[name](connection, request, *arguments)
            return
        if (request.header("expect") or "").lower() == "100-continue":
            await connection.send(head("100 Continue"))
        await connection.rest(request)
        data = await PATHS.get(name, not_found)(connection, request, *arguments)
        if data is not None:
            if request.method == "HEAD":
                data = data.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
            await connection.send(data)
        if request.version == "HTTP/1.0" or (request.header("connection") or "").lower() == "close":
            return


async def not_found(connection, request, *_):
    return answer(f"no such path: {request.path}\n", status="404 Not Found")


async def echo(connection, request):
    text = json.dumps({
        "method": request.method,
        "path": request.path,
        "version": request.version,
        "headers": request.headers,
        "framing": request.framing,
        "body": request.body.decode("latin-1"),
        "trailers": request.trailers,
        "connection": connection.number,
        "requests": connection.requests,
        "listener": connection.kind,
        "sni": connection.sni,
        "alpn": connection.alpn,
    })
    return answer(text)


async def raw(connection, request):
    return answer(request.raw)


async def status(connection, request, code, text=""):
    if code in ("204", "304"):
        return head(f"{code} Scripted")
    return answer(text, status=f"{code} Scripted")


async def size(connection, request, count):
    return answer(pattern(int(count)))


async def chunked(connection, request, count, times):
    chunk = pattern(int(count))
    await connection.send(head("200 OK", "Transfer-Encoding: chunked"))
    for _ in range(int(times)):
        await connection.send(b"%x\r\n%s\r\n" % (len(chunk), chunk))
    await connection.send(b"0\r\n\r\n")


async def trailers(connection, request):
    return (head("200 OK", "Transfer-Encoding: chunked", "Trailer: x-trailer, x-last") +
            b"5\r\nhello\r\n7;ext=1\r\n, world\r\n0\r\nX-Trailer: 1\r\nx-trailer: 2\r\nx-last: end\r\n\r\n")


async def multi(connection, request):
    return answer("multi", "X-Multi: 1", "X-Other: o", "X-Multi: 2", "Set-Cookie: a=1", "Set-Cookie: b=2")


async def hints(connection, request):
    await connection.send(head("100 Continue"))
    await connection.send(head("103 Early Hints", "Link: </a.css>; rel=preload"))
    return answer("behind hints")


async def delay(connection, request, seconds):
    await asyncio.sleep(float(seconds))
    return answer("late")


async def drip(connection, request, seconds):
    data = answer("drip, drip")
    for start in range(0, len(data), 4):
        await connection.send(data[start:start + 4])
        await asyncio.sleep(float(seconds))


async def hit(connection, request, name):
    hits[name] += 1
    return answer(str(hits[name]))


async def flaky(connection, request, name, times):
    hits[name] += 1
    if hits[name] > int(times):
        return answer(f"try {hits[name]}")
    connection.reset()


async def keep(connection, request, name):
    kept[name] += request.body
    return answer("kept")


async def show_kept(connection, request, name):
    return answer(kept[name])


async def hold(connection, request, name):
    one = holds[name]
    one.waiting += 1
    released = asyncio.ensure_future(one.event.wait())
    left = asyncio.ensure_future(connection.gone(60))
    done, _ = await asyncio.wait((released, left), return_when=asyncio.FIRST_COMPLETED)
    one.waiting -= 1
    if released not in done:
        released.cancel()
        one.left += 1
        raise ConnectionResetError
    left.cancel()
    await asyncio.wait((left,))
    one.released += 1
    return answer("released")


async def release(connection, request, name):
    one = holds[name]
    count = one.waiting
    one.event.set()
    one.event = asyncio.Event()
    return answer(str(count))


async def held(connection, request, name):
    one = holds[name]
    return answer(f"waiting={one.waiting} left={one.left} released={one.released}")


async def show_log(connection, request, what=""):
    if what == "clear":
        log.clear()
    return answer("".join(f"{line}\n" for line in log))


PATHS = {
    "echo": echo, "raw": raw, "status": status, "size": size, "chunked": chunked, "trailers": trailers,
    "multi": multi, "hints": hints, "delay": delay, "drip": drip, "hits": hit, "flaky": flaky,
    "keep": keep, "kept": show_kept, "hold": hold, "release": release, "held": held, "log": show_log,
}
