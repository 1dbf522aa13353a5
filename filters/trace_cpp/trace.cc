// Logs each callback with its arguments, in C++ and with all callbacks of ABI
// 0.2.0 exported; on creation of its root context also the property
// plugin_root_id, which C++ guests depend on.

#include <string>

#include "../cpp/proxy_wasm.h"

using namespace proxy_wasm;

namespace {

void info(const std::string &line) { log(LogLevel::Info, line); }

std::string text(uint32_t number) { return std::to_string(number); }

// " name=value" for each pair of arguments.
std::string arguments() { return {}; }

template <typename... Rest>
std::string arguments(const char *name, uint32_t value, Rest... rest) {
  return std::string(" ") + name + "=" + text(value) + arguments(rest...);
}

template <typename... Pairs>
void trace(const char *callback, Pairs... pairs) {
  info(callback + arguments(pairs...));
}

}  // namespace

PROXY_WASM_EXPORT(proxy_abi_version_0_2_0) void proxy_abi_version_0_2_0() {}

PROXY_WASM_EXPORT(proxy_on_context_create)
void proxy_on_context_create(uint32_t id, uint32_t parent) {
  trace("on_context_create", "id", id, "parent", parent);
  if (parent == 0) {
    Result root_id = get_property("plugin_root_id");
    info("plugin_root_id status=" + text(static_cast<uint32_t>(root_id.status)) + " value=\"" +
         root_id.data + "\"");
  }
}

PROXY_WASM_EXPORT(proxy_on_vm_start)
bool proxy_on_vm_start(uint32_t id, uint32_t size) {
  trace("on_vm_start", "id", id, "size", size);
  return true;
}

PROXY_WASM_EXPORT(proxy_on_configure)
bool proxy_on_configure(uint32_t id, uint32_t size) {
  trace("on_configure", "id", id, "size", size);
  return true;
}

PROXY_WASM_EXPORT(proxy_validate_configuration)
bool proxy_validate_configuration(uint32_t id, uint32_t size) {
  trace("validate_configuration", "id", id, "size", size);
  return true;
}

PROXY_WASM_EXPORT(proxy_on_tick) void proxy_on_tick(uint32_t id) { trace("on_tick", "id", id); }

PROXY_WASM_EXPORT(proxy_on_queue_ready)
void proxy_on_queue_ready(uint32_t id, uint32_t queue) {
  trace("on_queue_ready", "id", id, "queue", queue);
}

PROXY_WASM_EXPORT(proxy_on_new_connection)
Action proxy_on_new_connection(uint32_t id) {
  trace("on_new_connection", "id", id);
  return Action::Continue;
}

PROXY_WASM_EXPORT(proxy_on_downstream_data)
Action proxy_on_downstream_data(uint32_t id, uint32_t size, uint32_t end) {
  trace("on_downstream_data", "id", id, "size", size, "eos", end);
  return Action::Continue;
}

PROXY_WASM_EXPORT(proxy_on_upstream_data)
Action proxy_on_upstream_data(uint32_t id, uint32_t size, uint32_t end) {
  trace("on_upstream_data", "id", id, "size", size, "eos", end);
  return Action::Continue;
}

PROXY_WASM_EXPORT(proxy_on_downstream_connection_close)
void proxy_on_downstream_connection_close(uint32_t id, uint32_t peer) {
  trace("on_downstream_connection_close", "id", id, "peer", peer);
}

PROXY_WASM_EXPORT(proxy_on_upstream_connection_close)
void proxy_on_upstream_connection_close(uint32_t id, uint32_t peer) {
  trace("on_upstream_connection_close", "id", id, "peer", peer);
}

PROXY_WASM_EXPORT(proxy_on_request_headers)
Action proxy_on_request_headers(uint32_t id, uint32_t count, uint32_t end) {
  trace("on_request_headers", "id", id, "count", count, "eos", end);
  return Action::Continue;
}

PROXY_WASM_EXPORT(proxy_on_request_metadata)
Action proxy_on_request_metadata(uint32_t id, uint32_t count) {
  trace("on_request_metadata", "id", id, "count", count);
  return Action::Continue;
}

PROXY_WASM_EXPORT(proxy_on_request_body)
Action proxy_on_request_body(uint32_t id, uint32_t size, uint32_t end) {
  trace("on_request_body", "id", id, "size", size, "eos", end);
  return Action::Continue;
}

PROXY_WASM_EXPORT(proxy_on_request_trailers)
Action proxy_on_request_trailers(uint32_t id, uint32_t count) {
  trace("on_request_trailers", "id", id, "count", count);
  return Action::Continue;
}

PROXY_WASM_EXPORT(proxy_on_response_headers)
Action proxy_on_response_headers(uint32_t id, uint32_t count, uint32_t end) {
  trace("on_response_headers", "id", id, "count", count, "eos", end);
  return Action::Continue;
}

PROXY_WASM_EXPORT(proxy_on_response_metadata)
Action proxy_on_response_metadata(uint32_t id, uint32_t count) {
  trace("on_response_metadata", "id", id, "count", count);
  return Action::Continue;
}

PROXY_WASM_EXPORT(proxy_on_response_body)
Action proxy_on_response_body(uint32_t id, uint32_t size, uint32_t end) {
  trace("on_response_body", "id", id, "size", size, "eos", end);
  return Action::Continue;
}

PROXY_WASM_EXPORT(proxy_on_response_trailers)
Action proxy_on_response_trailers(uint32_t id, uint32_t count) {
  trace("on_response_trailers", "id", id, "count", count);
  return Action::Continue;
}

PROXY_WASM_EXPORT(proxy_on_http_call_response)
void proxy_on_http_call_response(uint32_t id, uint32_t call, uint32_t headers, uint32_t size,
                                 uint32_t trailers) {
  trace("on_http_call_response", "id", id, "call", call, "headers", headers, "size", size,
        "trailers", trailers);
}

PROXY_WASM_EXPORT(proxy_on_grpc_receive_initial_metadata)
void proxy_on_grpc_receive_initial_metadata(uint32_t id, uint32_t call, uint32_t count) {
  trace("on_grpc_receive_initial_metadata", "id", id, "call", call, "count", count);
}

PROXY_WASM_EXPORT(proxy_on_grpc_receive)
void proxy_on_grpc_receive(uint32_t id, uint32_t call, uint32_t size) {
  trace("on_grpc_receive", "id", id, "call", call, "size", size);
}

PROXY_WASM_EXPORT(proxy_on_grpc_receive_trailing_metadata)
void proxy_on_grpc_receive_trailing_metadata(uint32_t id, uint32_t call, uint32_t count) {
  trace("on_grpc_receive_trailing_metadata", "id", id, "call", call, "count", count);
}

PROXY_WASM_EXPORT(proxy_on_grpc_close)
void proxy_on_grpc_close(uint32_t id, uint32_t call, uint32_t code) {
  trace("on_grpc_close", "id", id, "call", call, "code", code);
}

PROXY_WASM_EXPORT(proxy_on_foreign_function)
void proxy_on_foreign_function(uint32_t id, uint32_t function, uint32_t size) {
  trace("on_foreign_function", "id", id, "function", function, "size", size);
}

PROXY_WASM_EXPORT(proxy_on_done)
bool proxy_on_done(uint32_t id) {
  trace("on_done", "id", id);
  return true;
}

PROXY_WASM_EXPORT(proxy_on_log) void proxy_on_log(uint32_t id) { trace("on_log", "id", id); }

PROXY_WASM_EXPORT(proxy_on_delete)
void proxy_on_delete(uint32_t id) { trace("on_delete", "id", id); }
