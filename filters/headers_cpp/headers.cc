// Removes, sets and adds request and response headers.
//
// Like a guest built with Envoy's C++ SDK, it asks for the property
// plugin_root_id when its root context is created, stops if that is unknown,
// and does nothing at all if it names a plugin other than the one registered
// here, which has the empty name.

#include <cstdlib>
#include <map>
#include <memory>
#include <string>

#include "../cpp/proxy_wasm.h"
#include "changes.h"

using namespace proxy_wasm;

namespace {

struct Root {
  bool registered = false;
  Changes changes;
};

std::map<uint32_t, std::shared_ptr<Root>> roots;
std::map<uint32_t, std::shared_ptr<Root>> streams;

void report(const Change &change, Status status) {
  if (status != Status::Ok) {
    log(LogLevel::Error,
        "header " + change.name + ": status " + std::to_string(static_cast<uint32_t>(status)));
  }
}

void apply(uint32_t context, Map map, const std::vector<Change> Changes::*direction) {
  auto stream = streams.find(context);
  if (stream == streams.end() || !stream->second->registered) {
    return;
  }
  for (const Change &change : stream->second->changes.*direction) {
    const std::string &name = change.name;
    const std::string &value = change.value;
    switch (change.operation) {
    case Operation::Remove:
      report(change, proxy_remove_header_map_value(map, name.data(), name.size()));
      break;
    case Operation::Set:
      report(change, proxy_replace_header_map_value(map, name.data(), name.size(), value.data(),
                                                    value.size()));
      break;
    case Operation::Add:
      report(change, proxy_add_header_map_value(map, name.data(), name.size(), value.data(),
                                                value.size()));
      break;
    }
  }
}

}  // namespace

PROXY_WASM_EXPORT(proxy_abi_version_0_2_1) void proxy_abi_version_0_2_1() {}

PROXY_WASM_EXPORT(proxy_on_context_create)
void proxy_on_context_create(uint32_t id, uint32_t parent) {
  if (parent != 0) {
    auto root = roots.find(parent);
    if (root != roots.end()) {
      streams[id] = root->second;
    }
    return;
  }
  Result root_id = get_property("plugin_root_id");
  if (root_id.status != Status::Ok) {
    log(LogLevel::Critical, "plugin_root_id: status " +
                                std::to_string(static_cast<uint32_t>(root_id.status)));
    std::abort();
  }
  auto root = std::make_shared<Root>();
  root->registered = root_id.data.empty();
  if (!root->registered) {
    log(LogLevel::Warn, "no plugin is registered as \"" + root_id.data + "\"");
  }
  roots[id] = root;
}

PROXY_WASM_EXPORT(proxy_on_configure)
bool proxy_on_configure(uint32_t id, size_t size) {
  auto root = roots.find(id);
  if (root == roots.end() || !root->second->registered) {
    return true;
  }
  Result configuration{Status::Ok, {}};
  if (size > 0) {
    configuration = get_buffer(Buffer::PluginConfiguration, size);
  }
  std::string problem = parse(configuration.data, root->second->changes);
  if (!problem.empty()) {
    log(LogLevel::Error, "invalid configuration: " + problem);
    return false;
  }
  return true;
}

PROXY_WASM_EXPORT(proxy_on_request_headers)
Action proxy_on_request_headers(uint32_t id, size_t, bool) {
  apply(id, Map::RequestHeaders, &Changes::request);
  return Action::Continue;
}

PROXY_WASM_EXPORT(proxy_on_response_headers)
Action proxy_on_response_headers(uint32_t id, size_t, bool) {
  apply(id, Map::ResponseHeaders, &Changes::response);
  return Action::Continue;
}

PROXY_WASM_EXPORT(proxy_on_done) bool proxy_on_done(uint32_t) { return true; }

PROXY_WASM_EXPORT(proxy_on_delete)
void proxy_on_delete(uint32_t id) {
  streams.erase(id);
  roots.erase(id);
}
