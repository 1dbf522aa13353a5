#!/usr/bin/env bash
# What nginx makes of a request that ends with trailers, in HTTP/1.1, HTTP/2 and HTTP/3.
#
# Expected: the same in all three. nginx is known to drop the trailers of HTTP/1.1 requests, so the others are
#   dropped, too, or all are passed on.
# Seen: HTTP/1.1 and HTTP/3: dropped; the upstream gets the body, the client its answer. HTTP/2: the trailers are
#   taken for a second request on the same stream. nginx ends the connection (GOAWAY, PROTOCOL_ERROR), there is no
#   answer, the upstream sees nothing, and the access log has 499, as if the client had left.
# With: nginx 1.28.3 (crate nginx-src 1.28.5+1.28.3), clients h2 4.3.0 and aioquic 1.3.0 (PyPI). RFC 9113, 8.1
#   allows such requests. nginx/nginx issue 1527 asks for HTTP/2, and leaves open whether HTTP/3 has it as well.
# Why it matters: no module can see the trailers of a request, so the callback proxy_on_request_trailers cannot
#   come from nginx. A client that puts a checksum of its body into a trailer works or breaks by the protocol that
#   it has negotiated, and the access log blames it.
#
# Needs cargo, a C compiler and OpenSSL's headers. Exit: 0 as described, 1 it has changed, 2 it could not be tried.
set -Eeuo pipefail
trap 'echo "cannot try: line $LINENO failed" >&2; exit 2' ERR
dir=$(mktemp -d) pids=()
stop() { for p in "${pids[@]}"; do { kill "$p" && wait "$p"; } 2>/dev/null || true; done; }
trap 'stop; rm -rf "$dir"' EXIT
cd "$dir"

python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check h2==4.3.0 aioquic==1.3.0
mkdir -p source/src run/logs
printf '[package]\nname = "source"\nversion = "0.0.0"\n[dependencies]\nnginx-src = "=1.28.5+1.28.3"\n' >source/Cargo.toml
touch source/src/lib.rs
(cd source && cargo vendor -q vendor >/dev/null)
(
    cd source/vendor/nginx-src/nginx
    auto/configure --with-cc-opt=-O0 --with-http_v2_module --with-http_v3_module --with-http_ssl_module \
        --without-http_rewrite_module --without-http_gzip_module
    make -j2
) >build.log 2>&1 || { tail -3 build.log >&2; false; }

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=test.example \
    -keyout run/key.pem -out run/cert.pem 2>/dev/null
port=$(venv/bin/python - <<'PY'
import socket
for port in range(23400, 23500):
    try:
        socket.socket(type=socket.SOCK_DGRAM).bind(("127.0.0.1", port))
    except OSError:
        continue
    print(port)
    break
PY
)
cat >run/nginx.conf <<CONF
daemon off; master_process off; pid logs/pid; error_log logs/error.log info;
events {}
http {
    log_format status "\$uri \$status";
    access_log logs/access.log status;
    client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4; scgi_temp_path t5;
    ssl_certificate cert.pem; ssl_certificate_key key.pem;
    server {
        listen unix:$dir/run/tcp.sock; http2 on;
        listen 127.0.0.1:$port quic;
        location / { proxy_http_version 1.1; proxy_pass http://unix:$dir/run/upstream.sock:; }
    }
}
CONF

# The upstream tells what it has got: the path, the body, and whether the trailer's name came with it.
cat >upstream.py <<'PY'
import re, socket
listener = socket.socket(socket.AF_UNIX)
listener.bind("run/upstream.sock")
listener.listen()
while True:
    client = listener.accept()[0]
    got = b""
    while b"\r\n\r\n" not in got or len(got.split(b"\r\n\r\n", 1)[1]) < int(re.search(rb"(?i)content-length: (\d+)", got)[1]):
        got += client.recv(65536)
    with open("run/got", "ab") as log:
        log.write(b"%s %s %s\n" % (got.split()[1], got.split(b"\r\n\r\n", 1)[1], b"trailer" if b"x-sum" in got else b"-"))
    client.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
    client.close()
PY
cat >client.py <<'PY'
import asyncio, socket, ssl, sys
import h2.config, h2.connection, h2.events
from aioquic.asyncio import QuicConnectionProtocol, connect
from aioquic.h3.connection import H3Connection
from aioquic.h3.events import HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated

def tcp():
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(20)
    client.connect("run/tcp.sock")
    return client

def http1():
    client, got = tcp(), b""
    client.sendall(b"POST /http1 HTTP/1.1\r\nhost: test.example\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
                   b"4\r\nbody\r\n0\r\nx-sum: 1\r\n\r\n")
    while part := client.recv(65536):
        got += part
    return got.split()[1].decode()

def http2(trailers):
    client = tcp()
    h = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
    h.initiate_connection()
    path = "/http2" if trailers else "/http2-none"
    h.send_headers(1, [(":method", "POST"), (":scheme", "http"), (":authority", "test.example"), (":path", path)])
    h.send_data(1, b"body", end_stream=not trailers)
    if trailers:
        h.send_headers(1, [("x-sum", "1")], end_stream=True)
    client.sendall(h.data_to_send())
    while part := client.recv(65536):
        for event in h.receive_data(part):
            if isinstance(event, h2.events.ResponseReceived):
                return dict(event.headers)[":status"]
            if isinstance(event, h2.events.ConnectionTerminated):
                return "GOAWAY " + event.error_code.name
        client.sendall(h.data_to_send())
    return "closed"

class Client(QuicConnectionProtocol):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.http = H3Connection(self._quic)
        self.answer = asyncio.get_running_loop().create_future()
    def quic_event_received(self, event):
        found = None
        if isinstance(event, ConnectionTerminated):
            found = "closed %s" % event.error_code
        for e in self.http.handle_event(event):
            if isinstance(e, HeadersReceived):
                found = dict(e.headers)[b":status"].decode()
        if found and not self.answer.done():
            self.answer.set_result(found)

async def http3(port):
    conf = QuicConfiguration(alpn_protocols=["h3"], verify_mode=ssl.CERT_NONE, server_name="test.example")
    async with connect("127.0.0.1", port, configuration=conf, create_protocol=Client) as client:
        stream = client._quic.get_next_available_stream_id()
        client.http.send_headers(stream, [(b":method", b"POST"), (b":scheme", b"https"), (b":authority", b"test.example"), (b":path", b"/http3")])
        client.http.send_data(stream, b"body", end_stream=False)
        client.http.send_headers(stream, [(b"x-sum", b"1")], end_stream=True)
        client.transmit()
        return await asyncio.wait_for(client.answer, 20)

print("http1 " + http1())
print("http2-none " + http2(False))
print("http2 " + http2(True))
print("http3 " + asyncio.run(http3(int(sys.argv[1]))))
PY

venv/bin/python upstream.py 2>upstream.log & pids+=($!)
source/vendor/nginx-src/nginx/objs/nginx -p "$dir/run/" -c nginx.conf 2>nginx.log & pids+=($!)
for _ in $(seq 100); do [ -S run/tcp.sock ] && [ -S run/upstream.sock ] && break; sleep 0.1; done
venv/bin/python client.py "$port" >client.out
stop; pids=()

failed=
is() { # what, seen, expected
    echo "  $1: $2"
    [ "$2" = "$3" ] || { echo "changed: $1 was \"$3\", is \"$2\""; failed=yes; }
}
client() { sed -n "s/^$1 //p" client.out; }
upstream() { sed -n "s,^/$1 ,,p" run/got; }
logged() { sed -n "s,^/$1 ,,p" run/logs/access.log; }
echo "answer to the client; body and trailer at the upstream; access log"
is "HTTP/1.1 with trailers" "$(client http1); $(upstream http1); $(logged http1)" "200; body -; 200"
is "HTTP/3 with trailers" "$(client http3); $(upstream http3); $(logged http3)" "200; body -; 200"
is "HTTP/2 without trailers" "$(client http2-none); $(upstream http2-none); $(logged http2-none)" "200; body -; 200"
is "HTTP/2 with trailers" "$(client http2); $(upstream http2); $(logged http2)" "GOAWAY PROTOCOL_ERROR; ; 499"
grep -o 'client sent HEADERS frame with incorrect identifier [0-9]*, the last was [0-9]*' run/logs/error.log || true
[ -z "$failed" ] || exit 1
echo "as described"
