"""The sample plugins, in each language."""

import json

from case import extism

NAMES = ("John Doe", "", "Zoë \"quoted\" \\ back", "line\nbreak", "a" * 100000)
REQUEST = {"method": "POST", "uri": "/teapot?a=1&b=%20", "path": "/teapot", "query": "a=1&b=%20", "headers": {"host": ["a"], "x-name": ["one", "two"]},
           "body": "the body 🦀\n", "remote_addr": "127.0.0.1"}
NONE = {**REQUEST, "path": "/none", "headers": {}}
LANGUAGES = (("rust", "", False), ("go", "_go", True), ("as", "_as", False))

CASES = [
    *(extism(f"hello/{language}", f"extism_hello{suffix}", *(("hello", name) for name in NAMES), wasi=wasi) for language, suffix, wasi in LANGUAGES),
    extism("hello/rust/not_utf8", "extism_hello", ("hello", b"\xff\xfe")),
    extism("count_vowels", "extism_count_vowels", ("count_vowels", "Hello, World!"), ("count_vowels", "aeiou"), ("count_vowels", ""), ("count_vowels", "ÄÖÜ")),
    extism("count_vowels/configured", "extism_count_vowels", ("count_vowels", "Hello, World!"), ("count_vowels", "ll"), config={"vowels": "lL"}),
    *(extism(f"json/{language}", f"extism_json{suffix}", *(("handle", json.dumps(request)) for request in (REQUEST, NONE)), wasi=wasi)
      for language, suffix, wasi in LANGUAGES),
    *(extism(f"json/{language}/malformed", f"extism_json{suffix}", ("handle", "{"), ("handle", ""), wasi=wasi) for language, suffix, wasi in LANGUAGES),
]
