"""The servers behind nginx: what they see is kept, what they answer says what they have seen, or is what a model's server would say."""

import http.server
import json
import threading
import time

CHAT = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello there"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}}


def events():
    for text in ("hel", "lo"):
        yield {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m",
               "choices": [{"index": 0, "delta": {"role": "assistant", "content": text}}]}
    yield {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m",
           "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    yield {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [],
           "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}}


class Server(http.server.ThreadingHTTPServer):
    """`seen`: (method, path, headers as a dict in lower case, body) of each request."""
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen = []
        self.port = self.server_address[1]
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        """An nginx that is stopped resets its connections."""

    def stop(self):
        self.shutdown()
        self.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do(self):
        body = self.body()
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.seen.append((self.command, self.path, headers, body))
        path = self.path.partition("?")[0]
        if path.startswith("/status/"):
            self.answer(int(path.split("/")[2]), b"refused by the service\n", {"X-Auth-Says": "no"})
        elif path.startswith("/token-auth"):
            self.answer(200, b"", {"X-Mse-Consumer": "alice.gpustack-7"})
        elif path.startswith("/secret"):
            self.answer(200, b"the card is 4111-leak-1111\n", {"Content-Type": "text/plain"})
        elif path.endswith("/chat/completions"):
            self.chat(body)
        else:
            echo = {"path": self.path, "headers": headers, "body": body.decode("utf-8", "replace")}
            self.answer(200, json.dumps(echo).encode(), {"Content-Type": "application/json", "X-Old": "old"})

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do

    def chat(self, body):
        try:
            asked = json.loads(body)
        except ValueError:
            asked = {}
        # No model is that quick, and some filters divide by the time.
        time.sleep(0.03)
        # The text that was sent comes back, as from a model that repeats it.
        said = (asked.get("messages") or [{}])[-1].get("content") or "nothing"
        if not asked.get("stream"):
            answer = {**CHAT, "model": asked.get("model"), "choices": [
                {"index": 0, "message": {"role": "assistant", "content": f"you said: {said}"}, "finish_reason": "stop"}]}
            self.answer(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for text in [*(f"data: {json.dumps(event)}\n\n" for event in events()), "data: [DONE]\n\n"]:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(text), text.encode()))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def body(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = b""
            while length := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(length)
                self.rfile.readline()
            self.rfile.readline()
            return body
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def answer(self, status, body, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
