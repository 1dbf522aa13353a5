"""GPUStack's own filters, but those that balance."""

from case import Step

from .higress import statistics
from .package import STREAMED, chat, plugin

ROUTE = "wasm_property route_name ai-route-route-1.internal; proxy_pass http://up;"
SIDE = "upstream outbound|80||side.static { server 127.0.0.1:{SIDE}; }\n    upstream outbound|6379||redis.dns { server 127.0.0.1:{REDIS}; }"
MODEL = "proxy_pass http://outbound|80||model-1-2.static;"
MODELS = SIDE + "\n    upstream outbound|80||model-1-2.static { server 127.0.0.1:{UP}; }"

pre_route = plugin("gpustack-set-header-pre-route", "1.0.1")
pre_route.case(
    "names of route and cluster as headers",
    {"routeNameHeader": "x-route", "clusterNameHeader": "x-cluster", "enableOnPathSuffix": ["/chat/completions"]},
    chat(sees={"x-route": "^ai-route-route-1.internal$", "x-cluster": "^model-1-2"}),
    Step(path="/other", sees={"x-route": None}),
    location="wasm_property route_name ai-route-route-1.internal; " + MODEL, http=MODELS, needs="wasm_property route_name")

acl = plugin("gpustack-ip-acl", "0.1.0")
RULES = {"consumers": {"alice": {"allowedCidrs": ["192.168.1.0/24"]}, "bob": {"deniedCidrs": ["127.0.0.0/8"]},
                       "*-ci": {"allowedCidrs": ["127.0.0.0/8"], "deniedCidrs": ["127.0.0.1"]}}}
acl.case(
    "by the client's address", RULES,
    Step(send={"x-mse-consumer": "alice"}, status=403, reaches=False), Step(send={"x-mse-consumer": "bob"}, status=403),
    Step(send={"x-mse-consumer": "x-ci"}, status=403), Step(send={"x-mse-consumer": "carol"}, reaches=True), Step(reaches=True))
acl.case(
    "by a header", {**RULES, "realIPHeader": "x-forwarded-for"},
    Step(send={"x-mse-consumer": "alice", "x-forwarded-for": "192.168.1.7"}, reaches=True),
    Step(send={"x-mse-consumer": "alice", "x-forwarded-for": "192.168.2.7"}, status=403),
    Step(send={"x-mse-consumer": "alice", "x-forwarded-for": "nonsense"}, status=403))
acl.case(
    "rules by route",
    {**RULES, "_rules_": [{"_match_route_": ["ai-route-route-1.internal"], "consumers": {"bob": {}}}]},
    Step(send={"x-mse-consumer": "bob"}, reaches=True), Step(send={"x-mse-consumer": "alice"}, status=403),
    location=ROUTE, needs="wasm_property route_name")

auth = plugin("gpustack-ext-auth", "0.1.3")


def authz(path="/token-auth", service="side.static", **more):
    return {"route_match_regexes": ["^ai-route-route-"], "status_on_error": 403,
            "authz": {"timeout": 5000, "endpoint": {"path": path, "request_method": "GET", "service_name": service, "service_port": 80}}, **more}


auth.case("a key that the service knows", authz(), chat(send={"authorization": "Bearer k1"}, body="you said", sees={"x-mse-consumer": "alice"},
                                                       calls=("GET /token-auth.*Bearer k1",)), location=ROUTE, http=SIDE, needs="wasm_property route_name")
auth.case("a key that it refuses", authz("/status/401"), chat(send={"authorization": "Bearer k1"}, status=401, reaches=False),
          location=ROUTE, http=SIDE)
auth.case("a service that is down", authz(service="down.static"), chat(send={"authorization": "Bearer k1"}, status=403, reaches=False),
          location=ROUTE, http="upstream outbound|80||down.static { server 127.0.0.1:1; }")
auth.case("a route that is not its own", authz("/status/401"), chat(body="you said", calls=("^$",)), http=SIDE)

router = plugin("gpustack-generic-proxy-router", "1.0.1")
ROUTER = {"addProviderHeader": "x-higress-llm-provider", "modelToHeader": "x-final", "aliasNameMapping": {"openai-alias": "openai/gpt-4"},
          "autoRouting": {"enable": True, "defaultModel": "small", "rules": [{"pattern": "(?i)\\bcode\\b", "model": "coder"}]}}
router.case("a model by the path", ROUTER, chat(
    path="/model/proxy/openai-alias/v1/chat/completions", model="foo", seen_body='"foo"',
    sees={"x-higress-llm-model": "^openai/gpt-4$", "x-higress-llm-provider": "^openai$", "x-final": "^gpt-4$"}))
router.case("a model by the body", ROUTER, chat(
    model="openai/gpt-4o", seen_body='"model": ?"gpt-4o"', sees={"x-higress-llm-model": "^openai/gpt-4o$", "x-higress-llm-provider": "^openai$"}))
router.case("a model by the question", ROUTER,
            chat(model="higress/auto", text="write some code", sees={"x-higress-llm-model": "^coder$"}, seen_body='"coder"'),
            chat(model="higress/auto", text="hi", sees={"x-higress-llm-model": "^small$"}))
FORM = ('--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nopenai/whisper\r\n'
        '--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nsound\r\n--b--\r\n')
router.case("a model by a form", ROUTER, Step(
    path="/v1/audio/transcriptions", method="POST", data=FORM, send={"content-type": "multipart/form-data; boundary=b"},
    sees={"x-higress-llm-model": "^openai/whisper$"}, seen_body=r'name="model"\r\n\r\nwhisper\r\n.*sound'))

usage = plugin("gpustack-token-usage", "1.2.2")
usage.case("its figures in a stream, which it asks for", {}, chat(
    stream=True, seen_body='"include_usage": ?true', body=r'"hel".*"time_to_first_token_ms".*\[DONE\]'))
REPORT = {"endpoint": {"service_name": "side.static", "service_port": 80, "path": "/report"}}
TOLD = r'POST /report(?=.*"input_token":5\b)(?=.*"output_token":7\b)(?=.*"completed":true)'
for kind, more in (("an answer", {"body": "you said"}), ("a stream", {"stream": True, "body": "DONE"})):
    usage.case(f"a report at the end of {kind}", REPORT, chat(calls=(TOLD,), **more), location=MODEL, http=MODELS,
               needs="upstream blocks named as its services")
usage.case(
    "headers for upstreams that are trusted", {"realIPHeader": "x-real", "header_add": {"x-token": "secret"}},
    chat(send={"x-token": "forged"}, sees={"x-real": "^127.0.0.1$", "x-token": "^secret$"}), location=MODEL, http=MODELS)
usage.case("and none for others", {"realIPHeader": "x-real", "header_add": {"x-token": "secret"}}, chat(sees={"x-real": None, "x-token": None}))

limit = plugin("gpustack-rate-limit", "1.0.1")


def limits(redis=None, **more):
    match = [{"source": "header", "name": "x-user", "value": "*"}]
    config = {"rule_name": "r", "enable_on_path_suffix": ["*"], "limit_combinations": [{"name": "c", "match": match, **more}]}
    return {**config, "redis": {"service_name": "redis.dns", "service_port": 6379}} if redis else config


for redis, where in ((False, "in shared data"), (True, "in Redis")):
    limit.case(f"requests, counted {where}", limits(redis, query_limits={"per_hour": 2}),
               Step(send={"x-user": "a"}, times=2), Step(send={"x-user": "a"}, status=429, reaches=False), Step(send={"x-user": "b"}),
               redis=redis, http=SIDE if redis else "")
    limit.chained(f"tokens, counted {where}, with ai-statistics",
                  [limit.link(limits(redis, token_limits={"per_hour": 20})), statistics.link({})],
                  chat(send={"x-user": "a"}, body="you said", times=2), chat(send={"x-user": "a"}, status=429), chat(send={"x-user": "b"}),
                  redis=redis, http=SIDE if redis else "")

router.again("a model by the body", "streamed", location=STREAMED)
usage.again("its figures in a stream, which it asks for", "streamed", location=STREAMED)

FILTERS = [pre_route, acl, auth, router, usage, limit]
