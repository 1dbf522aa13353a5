"""Faults. None of these keeps its connection, and they do not wait for the request's body.

    /close              closes without an answer
    /reset              resets the connection
    /reset-head         resets it in the middle of the head
    /reset-body         resets it behind 5 of 100 bytes
    /truncated-head     closes it in the middle of the head
    /truncated          closes it behind 5 of 100 bytes
    /truncated-chunks   closes it before the last chunk
    /never              does not answer, for 60 s
    /never-body         a head and 5 of 100 bytes, and then nothing for 60 s
    /http09             a body without any head
    /garbage            no status line but something else
    /garbage-tls        as if it were TLS
    /bad-version        HTTP/3.7
    /bad-status         a status that is no number
    /bad-header         a header line without a colon
    /bad-name           a header name with a space in it
    /nul                a zero byte in a header value
    /fold               a header value that goes on in the next line
    /bad-chunk          a chunk size that is no number
    /bad-chunk-end      a chunk with more bytes than it says
    /huge-chunk         a chunk size of 2^64 - 1
    /bad-length         Content-Length: abc
    /negative-length    Content-Length: -1
    /two-lengths        two that differ
    /length-and-chunks  both Content-Length and chunked
    /unknown-coding     Transfer-Encoding: gzip
    /huge-head/N        a header value of N bytes
    /many-headers/N     N header lines
    /endless-head       header lines without end
    /endless            a chunked body without end
    /hints-only         102 over and over, and never an answer
    /switch             101 where nobody asked for it
    /http10             HTTP/1.0, the body ends with the connection
    /http10-length      HTTP/1.0 with Content-Length, closed
    /until-close        HTTP/1.1, the body ends with the connection
    /stale              a good answer that promises to keep the connection, and then closes it
    /surplus            a good answer with more bytes behind it
    /early              an answer before the request's body is read; closes then
"""

import asyncio

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"
PART = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def sends(data):
    """A path that sends this and closes."""
    async def path(connection, request):
        await connection.send(data)
        await end(connection)
    return path


async def end(connection):
    """Closes; what still comes is read before, or else the other side sees a reset."""
    if connection.writer.can_write_eof():
        connection.writer.write_eof()
        try:
            await asyncio.wait_for(connection.reader.read(), 1)
        except asyncio.TimeoutError:
            pass


def resets(data):
    async def path(connection, request):
        await connection.send(data)
        # What has been sent is to arrive before the reset.
        await asyncio.sleep(0.05)
        connection.reset()
    return path


def silent(data):
    async def path(connection, request):
        await connection.send(data)
        await connection.gone(60)
    return path


async def huge_head(connection, request, size):
    await sends(GOOD + b"X-Huge: " + b"h" * int(size) + b"\r\n\r\nhello")(connection, request)


async def many_headers(connection, request, count):
    lines = b"".join(b"X-H%d: %d\r\n" % (i, i) for i in range(int(count)))
    await sends(GOOD + lines + b"\r\nhello")(connection, request)


def endless(first, more, pause=0):
    async def path(connection, request):
        await connection.send(first)
        while True:
            await connection.send(more)
            await asyncio.sleep(pause)
    return path


async def stale(connection, request):
    await connection.rest(request)
    await connection.send(GOOD + b"Connection: keep-alive\r\n\r\nhello")


PATHS = {
    "close": sends(b""),
    "reset": resets(b""),
    "reset-head": resets(b"HTTP/1.1 200 OK\r\nX-Half"),
    "reset-body": resets(PART),
    "truncated-head": sends(b"HTTP/1.1 200 OK\r\nX-Half"),
    "truncated": sends(PART),
    "truncated-chunks": sends(CHUNKED + b"5\r\nhello\r\n"),
    "never": silent(b""),
    "never-body": silent(PART),
    "http09": sends(b"hello"),
    "garbage": sends(b"\x00\xff nonsense \r\n\r\n"),
    "garbage-tls": sends(b"\x15\x03\x01\x00\x02\x02\x28"),
    "bad-version": sends(b"HTTP/3.7 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
    "bad-status": sends(b"HTTP/1.1 2x0 OK\r\nContent-Length: 5\r\n\r\nhello"),
    "bad-header": sends(GOOD + b"no colon\r\n\r\nhello"),
    "bad-name": sends(GOOD + b"bad name: 1\r\n\r\nhello"),
    "nul": sends(GOOD + b"X-Nul: a\x00b\r\n\r\nhello"),
    "fold": sends(GOOD + b"X-Fold: a\r\n b\r\n\r\nhello"),
    "bad-chunk": sends(CHUNKED + b"xyz\r\nhello\r\n0\r\n\r\n"),
    "bad-chunk-end": sends(CHUNKED + b"3\r\nhello\r\n0\r\n\r\n"),
    "huge-chunk": sends(CHUNKED + b"ffffffffffffffff\r\nhello"),
    "bad-length": sends(b"HTTP/1.1 200 OK\r\nContent-Length: abc\r\n\r\nhello"),
    "negative-length": sends(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nhello"),
    "two-lengths": sends(GOOD + b"Content-Length: 6\r\n\r\nhello!"),
    "length-and-chunks": sends(GOOD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
    "unknown-coding": sends(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello"),
    "huge-head": huge_head,
    "many-headers": many_headers,
    "endless-head": endless(GOOD, b"X-More: more\r\n" * 100),
    "endless": endless(CHUNKED, b"1000\r\n" + b"x" * 4096 + b"\r\n"),
    "hints-only": endless(b"", b"HTTP/1.1 102 Processing\r\n\r\n", 0.05),
    "switch": sends(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\nConnection: upgrade\r\n\r\n"),
    "http10": sends(b"HTTP/1.0 200 OK\r\n\r\nhello"),
    "http10-length": sends(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
    "until-close": sends(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello"),
    "stale": stale,
    "surplus": sends(GOOD + b"\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nagain"),
    "early": sends(b"HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\nConnection: close\r\n\r\nlarge"),
}
