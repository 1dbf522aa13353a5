"""The client of cases over HTTP/2, without TLS and with prior knowledge: curl."""

import os
import subprocess
import tempfile


def ask(port, request, patience, until=None):
    """As client.ask. "leave" and "raw" are not for HTTP/2."""
    seen = {"status": None, "headers": [], "body": [], "trailers": [], "end": "whole"}
    with tempfile.TemporaryDirectory() as work:
        head, body, data = (os.path.join(work, name) for name in ("head", "body", "data"))
        command = ["curl", "--silent", "--http2-prior-knowledge", "--max-time", str(patience), "--dump-header", head, "--output", body,
                   "--path-as-is", "--header", "x-forwarded-proto: http", "--header", "accept:", "--header", "content-type:", "--user-agent", ""]
        for name, value in [("host", "test.example"), *request.get("headers", ())]:
            command += ["--header", f"{name}: {value}"]
        method = request.get("method", "GET")
        command += ["--head"] if method == "HEAD" else ["--request", method]
        if "body" in request:
            with open(data, "wb") as file:
                file.write(request["body"])
            command += ["--data-binary", f"@{data}"]
        status = subprocess.run([*command, f"http://127.0.0.1:{port}{request.get('path', '/')}"], check=False).returncode
        # 28 is curl's timeout; the rest are connections and streams that broke.
        seen["end"] = {0: "whole", 28: "timeout"}.get(status, "reset")
        read(seen, content(head).decode("latin-1"))
        if method != "HEAD" and (received := content(body)):
            seen["body"].append(received)
    return seen


def content(path):
    if not os.path.exists(path):
        return b""
    with open(path, "rb") as file:
        return file.read()


def read(seen, text):
    """Headers, and behind an empty line trailers; of the last response, where there were interim ones."""
    target = seen["headers"]
    for line in text.splitlines():
        if line.startswith("HTTP/"):
            seen["status"] = int(line.split(" ")[1])
            target = seen["headers"]
            target.clear()
        elif not line:
            target = seen["trailers"]
        else:
            name, _, value = line.partition(":")
            target.append((name.lower(), value.strip()))
