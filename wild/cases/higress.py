"""Higress' own: transformer, ai-statistics, ai-data-masking, ai-proxy."""

from case import Step

from .package import CHAT, STREAMED, chat, plugin

transformer = plugin("transformer", "2.0.0")
transformer.case(
    "request headers: removed, renamed, replaced, added",
    {"reqRules": [
        {"operate": "remove", "headers": [{"key": "x-remove"}]},
        {"operate": "rename", "headers": [{"oldKey": "x-old", "newKey": "x-new"}]},
        {"operate": "replace", "headers": [{"key": "x-replace", "newValue": "replaced"}]},
        {"operate": "add", "headers": [{"key": "x-add", "value": "host-$1", "host_pattern": "^(.*)\\.test$"}]}]},
    Step(send={"x-remove": "1", "x-old": "kept", "x-replace": "no"},
         sees={"x-remove": None, "x-old": None, "x-new": "^kept$", "x-replace": "^replaced$", "x-add": "^host-wild$"}))
transformer.case(
    "request arguments",
    {"reqRules": [
        {"operate": "remove", "querys": [{"key": "k1"}]},
        {"operate": "rename", "querys": [{"oldKey": "k2", "newKey": "k2-new"}]},
        {"operate": "add", "querys": [{"key": "k3", "value": "v3"}]}]},
    Step(path="/get?k1=v1&k2=v2", seen_path=r"^/get\?k2-new=v2&k3=v3$"))
transformer.case(
    "a header from the request body",
    {"reqRules": [{"operate": "map", "mapSource": "body", "headers": [{"fromKey": "user.id", "toKey": "x-user-id"}]}]},
    Step(method="POST", data={"user": {"id": "u12"}}, sees={"x-user-id": "^u12$"}, seen_body='"u12"'))
transformer.case(
    "the request body, JSON",
    {"reqRules": [
        {"operate": "remove", "body": [{"key": "a1"}]},
        {"operate": "rename", "body": [{"oldKey": "a2", "newKey": "a2-new"}]},
        {"operate": "add", "body": [{"key": "a3", "value": "12", "value_type": "number"}]}]},
    Step(method="POST", data={"a1": "t1", "a2": "t2"}, seen_body=r'^\{(?!.*a1)(?=.*"a2-new": ?"t2")(?=.*"a3": ?12).*\}$'))
transformer.case(
    "response headers and body",
    {"respRules": [
        {"operate": "add", "headers": [{"key": "x-added", "value": "yes"}], "body": [{"key": "added", "value": "yes"}]},
        {"operate": "remove", "headers": [{"key": "x-old"}], "body": [{"key": "headers"}]}]},
    Step(headers={"x-added": "^yes$", "x-old": None}, body=r'^\{(?!.*"headers")(?=.*"added": ?"yes").*\}$'))

statistics = plugin("ai-statistics", "2.0.0")
statistics.case(
    "tokens of a JSON answer, as metrics", {},
    chat(body='"total_tokens": 12', metrics=r"input_token\S* 5\n.*output_token\S* 7\n"))
statistics.case(
    "tokens of a stream, as metrics", {},
    chat(stream=True, body=r'"hel".*"lo".*\[DONE\]', metrics=r"input_token\S* 5\n.*output_token\S* 7\n"))
statistics.case(
    "question and answer in the request's log",
    {"attributes": [
        {"key": "question", "value_source": "request_body", "value": "messages.@reverse.0.content", "apply_to_log": True},
        {"key": "answer", "value_source": "response_streaming_body", "value": "choices.0.delta.content", "rule": "append", "apply_to_log": True}]},
    chat(stream=True, text="what is new", body="DONE"),
    # The next request's line is behind it.
    Step(log=r'said (?=.*what is new)(?=.*hello)'),
    http="log_format said escape=none 'said $wasm_property_ai_log'; access_log error.log said;",
    needs="$wasm_property_ai_log in log_format")

masking = plugin("ai-data-masking", "2.0.3", "Rust")
masking.case(
    "a word that is denied in a question",
    {"deny_openai": True, "deny_words": ["forbidden"], "deny_message": "blocked here"},
    chat(text="something forbidden today", body="blocked here", reaches=False),
    chat(text="something else today", body="something else", reaches=True))
masking.case(
    "a word that is denied in an answer",
    {"deny_raw": True, "deny_openai": False, "deny_words": ["leak"], "deny_raw_message": "{\"errmsg\":\"blocked\"}"},
    Step(path="/secret", body="blocked"))
masking.case(
    "an address replaced on its way, and put back in the answer",
    {"deny_openai": True, "replace_roles": [{"regex": "%{EMAILLOCALPART}@%{HOSTNAME:domain}", "type": "replace", "restore": True, "value": "****@$domain"}]},
    chat(text="mail admin@example.com now", seen_body=r"\*\*\*\*@example\.com", body="you said: mail admin@example\\.com now"))
masking.case(
    "keys hashed on their way, and put back in the answer",
    {"deny_openai": True, "replace_roles": [{"regex": "sk-[0-9a-zA-Z]*", "type": "hash", "restore": True}]},
    chat(text="use sk-12345 please", seen_body=r'^(?!.*sk-12345).*use [0-9a-f]{32,64} please', body="use sk-12345 please"))

proxy = plugin("gpustack-ai-proxy", "2.0.3-patched")


def provider(**more):
    return {"provider": {"type": "openai", "apiTokens": ["token-1"], "openaiCustomUrl": "http://models.test/v1", **more}}


proxy.case(
    "OpenAI: token, host and model",
    provider(modelMapping={"gpt-*": "qwen-max", "*": ""}),
    chat(model="gpt-4", sees={"authorization": "^Bearer token-1$", "host": "^models.test$"}, seen_path="^/v1/chat/completions$",
         seen_body='"model": ?"qwen-max"', body="you said: hi"))
proxy.case("OpenAI: a stream", provider(modelMapping={"*": "qwen-max"}),
           chat(stream=True, seen_body='"model": ?"qwen-max"', body=r'"hel".*"lo".*\[DONE\]'))
proxy.case("OpenAI: settings", provider(customSettings=[{"name": "max_tokens", "value": 9}]), chat(seen_body='"max_tokens": ?9'))
proxy.case(
    "Anthropic's messages for an OpenAI server", provider(modelMapping={"*": "qwen-max"}),
    Step(path="/v1/messages", method="POST", data={"model": "claude", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]},
         seen_path="^/v1/chat/completions$", seen_body='"model": ?"qwen-max"', body=r'"type": ?"message".*you said: hi'))
proxy.case(
    "Anthropic's messages for an OpenAI server, a stream", provider(),
    Step(path="/v1/messages", method="POST", data={"model": "m", "max_tokens": 10, "stream": True, "messages": [{"role": "user", "content": "hi"}]},
         body=r"event: message_start.*hel.*event: message_stop"))
proxy.case(
    "another provider: DeepSeek", {"provider": {"type": "deepseek", "apiTokens": ["token-2"]}},
    chat(path=CHAT, sees={"authorization": "^Bearer token-2$", "host": "^api.deepseek.com$"}, body="you said: hi"))

transformer.again("a header from the request body", "streamed", location=STREAMED)
transformer.again("the request body, JSON", "streamed", location=STREAMED)
masking.again("a word that is denied in a question", "streamed", location=STREAMED)
masking.again("an address replaced on its way, and put back in the answer", "streamed", location=STREAMED)
proxy.again("OpenAI: token, host and model", "streamed", location=STREAMED)
proxy.again("OpenAI: a stream", "streamed", location=STREAMED)

FILTERS = [transformer, statistics, masking, proxy]
