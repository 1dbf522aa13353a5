"""GPUStack's filters that balance: one publishes candidates, others rank them, the last one chooses. nginx takes the upstream from the header."""

from .package import chat as any_chat
from .package import plugin

lb = plugin("gpustack-lb", "0.1.2")
affinity = plugin("gpustack-lb-session-affinity", "0.1.0")
least = plugin("gpustack-lb-least-load", "0.1.0")
decision = plugin("gpustack-lb-decision-service", "0.2.1")

A, B = "outbound|80||model-2-12.static", "outbound|80||model-3-4.static"
BLOCKS = f"""upstream {A} {{ server 127.0.0.1:{{UP}}; }}
    upstream {B} {{ server 127.0.0.1:{{SPARE}}; }}
    upstream outbound|80||side.static {{ server 127.0.0.1:{{SIDE}}; }}
    upstream outbound|6379||redis.dns {{ server 127.0.0.1:{{REDIS}}; }}"""
# The filter has chosen by then.
LOCATION = "proxy_pass http://$http_x_higress_target_cluster;"
REDIS = {"redis": {"service_name": "redis.dns", "service_port": 6379}}


def chat(send=(), **more):
    """As it comes from the filter that routes by model."""
    return any_chat(send={"x-higress-llm-model": more.get("model", "m"), **dict(send)}, **more)


def chain(*between, weights=(None, None), **more):
    candidates = [{"cluster": cluster, "targetId": target, **({"weight": weight} if weight is not None else {})}
                  for cluster, target, weight in zip((A, B), "23", weights)]
    mappers = {"2": {"gpt-*": "first"}, "3": {"*": "second"}}
    context = {"mode": "context", "candidates": candidates, "modelMappers": mappers, **more}
    return [lb.link(context, "lb"), *between, lb.link({"mode": "finisher", **more}, "lb")]


def balanced(tried, name, links, *steps, **more):
    tried.chained(name, links, *steps, location=LOCATION, http=BLOCKS, needs="proxy_pass to the header's upstream", **more)


balanced(lb, "weights: one candidate of two", chain(weights=(0, 10)),
         chat(model="gpt-4", times=3, sees={"x-higress-target-cluster": "model-3-4"}, seen_body='"second"', body="you said"))
balanced(lb, "weights: the other one", chain(weights=(10, 0)),
         chat(model="gpt-4", times=3, sees={"x-higress-target-cluster": "model-2-12"}, seen_body='"first"', body="you said"))
balanced(lb, "with its state in Redis", chain(weights=(0, 10), **REDIS),
         chat(model="gpt-4", times=3, sees={"x-higress-target-cluster": "model-3-4"}, seen_body='"second"'), redis=True)
lb.case("a model's name alone", {"mode": "context", "modelMapping": {"gpt-*": "mapped"}}, chat(model="gpt-4", seen_body='"mapped"', body="you said"))
balanced(least, "between candidates", chain(least.link({"enabled": True})),
         chat(model="gpt-4", times=3, sees={"x-higress-target-cluster": "model"}, body="you said"))
balanced(affinity, "by a header", chain(affinity.link({"sessionKeys": [{"header": "session_id"}]})),
         chat(model="gpt-4", send={"session_id": "s1"}, times=4, sees={"x-higress-target-cluster": "model"}, body="you said"))
balanced(affinity, "by the body",
         chain(affinity.link({"sessionKeys": [{"bodyKey": "model"}], "enableOnPathSuffix": ["/chat/completions"]})),
         chat(model="gpt-4", times=4, sees={"x-higress-target-cluster": "model"}, body="you said"))
balanced(decision, "asks its service, and goes on without an answer of use",
         chain(decision.link({
             "providers": [{"id": "default", "type": "systemone", "endpoint": "http://jev.test", "cluster": "outbound|80||side.static", "apiTokens": ["k"]}],
             "activeProviderId": "default", "modelSelection": {"criteria": {"first": "quick", "second": "thorough"}}})),
         chat(model="gpt-4", sees={"x-higress-target-cluster": "model"}, body="you said", calls=("POST .*thorough",)))

FILTERS = [lb, affinity, least, decision]
