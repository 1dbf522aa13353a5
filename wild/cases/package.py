"""The plugins of GPUStack's package, which has some of Higress' own, too."""

from case import Filter, Step

PACKAGE = "gpustack-higress-plugins==0.5.1"
CHAT = "/v1/chat/completions"
# Request bodies go on as they come.
STREAMED = "proxy_request_buffering off; proxy_pass http://up;"


def plugin(name, version, language="Go"):
    return Filter(name, version, language, "PyPI, `gpustack-higress-plugins` 0.5.1",
                  ("wheel", PACKAGE, f"gpustack_higress_plugins/plugins/{name}/{version}/plugin.wasm"))


def chat(**more):
    """A request for a chat. `text`, `model` and `stream` go into its body."""
    data = {"model": more.pop("model", "m"), "messages": [{"role": "user", "content": more.pop("text", "hi")}]}
    if "stream" in more:
        data["stream"] = more.pop("stream")
    return Step(path=more.pop("path", CHAT), method="POST", data=data, **more)
