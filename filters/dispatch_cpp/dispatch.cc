// Asks an upstream about each request and tells the request what came; numbers
// the requests in shared data, counts them in metrics, and collects a line for
// each in a queue. Takes the same configuration as the Rust version.
//
// Like Envoy's C++ SDK, it looks for a call in the root context that the host
// names, and stops if the host names another context.

#include <charconv>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>

#include "../cpp/proxy_wasm.h"
#include "config.h"

using namespace proxy_wasm;

namespace {

// Milliseconds that bound the call.
constexpr uint32_t timeout = 2000;
constexpr std::string_view key = "dispatch";

struct Root {
  Config config;
  uint32_t queue = 0;
  uint32_t requests = 0;
  // Sizes of answers, in bytes.
  uint32_t size = 0;
  // Calls that are on their way, and the streams that wait for them.
  std::map<uint32_t, uint32_t> calls;
};

struct Request {
  std::shared_ptr<Root> root;
  std::string path;
  uint64_t number = 0;
  // Status and size of the answer, and the request's number.
  std::string result;
};

std::map<uint32_t, std::shared_ptr<Root>> roots;
std::map<uint32_t, Request> requests;

void report(const char *call, Status status) {
  if (status != Status::Ok) {
    log(LogLevel::Error,
        std::string(call) + ": status " + std::to_string(static_cast<uint32_t>(status)));
  }
}

Root &root_of(const char *callback, uint32_t id) {
  auto root = roots.find(id);
  if (root == roots.end()) {
    log(LogLevel::Critical, std::string(callback) + ": no root context " + std::to_string(id));
    std::abort();
  }
  return *root->second;
}

// One more than the last, over all workers.
uint64_t next() {
  while (true) {
    uint32_t cas = 0;
    Result last = get_shared_data(key, cas);
    uint64_t number = 0;
    std::from_chars(last.data.data(), last.data.data() + last.data.size(), number);
    Status status = set_shared_data(key, std::to_string(++number), cas);
    if (status != Status::CasMismatch) {
      report("set_shared_data", status);
      return number;
    }
  }
}

}  // namespace

PROXY_WASM_EXPORT(proxy_abi_version_0_2_1) void proxy_abi_version_0_2_1() {}

PROXY_WASM_EXPORT(proxy_on_context_create)
void proxy_on_context_create(uint32_t id, uint32_t parent) {
  if (parent == 0) {
    roots[id] = std::make_shared<Root>();
  } else {
    root_of("on_context_create", parent);
    requests[id].root = roots[parent];
  }
}

PROXY_WASM_EXPORT(proxy_on_configure)
bool proxy_on_configure(uint32_t id, size_t size) {
  Root &root = root_of("on_configure", id);
  Result configuration{Status::Ok, {}};
  if (size > 0) {
    configuration = get_buffer(Buffer::PluginConfiguration, size);
  }
  std::string problem = parse(configuration.data, root.config);
  if (!problem.empty()) {
    log(LogLevel::Error, "invalid configuration: " + problem);
    return false;
  }
  const std::string &queue = root.config.queue;
  report("register_shared_queue",
         proxy_register_shared_queue(queue.data(), queue.size(), &root.queue));
  std::string_view requests = "dispatch.requests";
  report("define_metric", proxy_define_metric(Metric::Counter, requests.data(), requests.size(),
                                              &root.requests));
  std::string_view sizes = "dispatch.size";
  report("define_metric",
         proxy_define_metric(Metric::Histogram, sizes.data(), sizes.size(), &root.size));
  return true;
}

PROXY_WASM_EXPORT(proxy_on_request_headers)
Action proxy_on_request_headers(uint32_t id, size_t, bool) {
  Request &request = requests[id];
  Root &root = *request.root;
  request.path = get_header(Map::RequestHeaders, ":path").data;
  request.number = next();
  report("increment_metric", proxy_increment_metric(root.requests, 1));
  const Headers headers = {
      {":method", "GET"},
      {":path", root.config.path},
      {":authority", root.config.authority},
      {"x-path", request.path},
  };
  uint32_t call = 0;
  if (http_get(root.config.upstream, headers, timeout, call) != Status::Ok) {
    log(LogLevel::Error, "no such upstream: " + root.config.upstream);
    return Action::Continue;
  }
  root.calls[call] = id;
  return Action::Pause;
}

PROXY_WASM_EXPORT(proxy_on_http_call_response)
void proxy_on_http_call_response(uint32_t id, uint32_t call, uint32_t headers, size_t size,
                                 uint32_t) {
  Root &root = root_of("on_http_call_response", id);
  auto waiting = root.calls.find(call);
  if (waiting == root.calls.end()) {
    log(LogLevel::Error, "nobody waits for call " + std::to_string(call));
    return;
  }
  uint32_t stream = waiting->second;
  root.calls.erase(waiting);
  auto found = requests.find(stream);
  if (found == requests.end()) {
    // The client has left.
    return;
  }
  Request &request = found->second;
  proxy_set_effective_context(stream);
  std::string rest = " " + std::to_string(size) + " " + std::to_string(request.number);
  if (headers == 0) {
    request.result = "failed" + rest;
  } else {
    request.result = get_header(Map::CallResponseHeaders, ":status").data + rest;
    Result body{Status::Ok, {}};
    if (size > 0) {
      body = get_buffer(Buffer::CallResponseBody, size);
    }
    std::string line = body.data.substr(0, body.data.find_first_of("\r\n"));
    report("x-answer", set_header(Map::RequestHeaders, "x-answer", line));
  }
  report("record_metric", proxy_record_metric(root.size, size));
  report("x-dispatch", set_header(Map::RequestHeaders, "x-dispatch", request.result));
  report("continue_stream", proxy_continue_stream(Stream::Request));
}

PROXY_WASM_EXPORT(proxy_on_response_headers)
Action proxy_on_response_headers(uint32_t id, size_t, bool) {
  Request &request = requests[id];
  uint64_t count = 0;
  report("get_metric", proxy_get_metric(request.root->requests, &count));
  report("x-dispatch", set_header(Map::ResponseHeaders, "x-dispatch", request.result));
  report("x-requests", set_header(Map::ResponseHeaders, "x-requests", std::to_string(count)));
  return Action::Continue;
}

PROXY_WASM_EXPORT(proxy_on_queue_ready)
void proxy_on_queue_ready(uint32_t id, uint32_t queue) {
  root_of("on_queue_ready", id);
  for (Result message = dequeue(queue); message.status == Status::Ok; message = dequeue(queue)) {
    log(LogLevel::Info, "queue: " + message.data);
  }
}

PROXY_WASM_EXPORT(proxy_on_done) bool proxy_on_done(uint32_t) { return true; }

PROXY_WASM_EXPORT(proxy_on_log)
void proxy_on_log(uint32_t id) {
  const Request &request = requests[id];
  std::string line = request.path + " " + request.result;
  report("enqueue_shared_queue",
         proxy_enqueue_shared_queue(request.root->queue, line.data(), line.size()));
}

PROXY_WASM_EXPORT(proxy_on_delete)
void proxy_on_delete(uint32_t id) {
  requests.erase(id);
  roots.erase(id);
}
