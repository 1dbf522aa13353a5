// The part of the Proxy-Wasm ABI that the C++ guests here use.
//
// Envoy's C++ SDK is in no package registry, so this is written from the
// specification (proxy-wasm/spec, abi-versions/v0.2.1).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

// Exports a callback under its own name.
#define PROXY_WASM_EXPORT(name) extern "C" __attribute__((visibility("default"), export_name(#name)))
#define PROXY_WASM_IMPORT(name) \
  extern "C" __attribute__((import_module("env"), import_name(#name)))

namespace proxy_wasm {

enum class Status : uint32_t { Ok = 0, NotFound = 1 };
enum class LogLevel : uint32_t { Trace, Debug, Info, Warn, Error, Critical };
enum class Action : uint32_t { Continue = 0, Pause = 1 };
enum class Buffer : uint32_t { VmConfiguration = 6, PluginConfiguration = 7 };
enum class Map : uint32_t { RequestHeaders = 0, ResponseHeaders = 2 };

}  // namespace proxy_wasm

PROXY_WASM_IMPORT(proxy_log)
proxy_wasm::Status proxy_log(proxy_wasm::LogLevel level, const char *message, size_t size);

PROXY_WASM_IMPORT(proxy_get_buffer_bytes)
proxy_wasm::Status proxy_get_buffer_bytes(proxy_wasm::Buffer buffer, size_t start, size_t max_size,
                                          char **data, size_t *size);

PROXY_WASM_IMPORT(proxy_get_property)
proxy_wasm::Status proxy_get_property(const char *path, size_t path_size, char **data,
                                      size_t *size);

PROXY_WASM_IMPORT(proxy_add_header_map_value)
proxy_wasm::Status proxy_add_header_map_value(proxy_wasm::Map map, const char *key,
                                              size_t key_size, const char *value, size_t size);

PROXY_WASM_IMPORT(proxy_replace_header_map_value)
proxy_wasm::Status proxy_replace_header_map_value(proxy_wasm::Map map, const char *key,
                                                  size_t key_size, const char *value, size_t size);

PROXY_WASM_IMPORT(proxy_remove_header_map_value)
proxy_wasm::Status proxy_remove_header_map_value(proxy_wasm::Map map, const char *key,
                                                 size_t key_size);

namespace proxy_wasm {

// What a host call returned. The host allocates data with the guest's malloc
// (or writes a null address for none); it is copied and freed here.
struct Result {
  Status status;
  std::string data;

  template <typename Call>
  static Result of(Call call) {
    char *data = nullptr;
    size_t size = 0;
    Result result{call(&data, &size), {}};
    if (result.status == Status::Ok && data != nullptr) {
      result.data.assign(data, size);
      std::free(data);
    }
    return result;
  }
};

inline void log(LogLevel level, std::string_view message) {
  proxy_log(level, message.data(), message.size());
}

inline Result get_buffer(Buffer buffer, size_t max_size) {
  return Result::of([&](char **data, size_t *size) {
    return proxy_get_buffer_bytes(buffer, 0, max_size, data, size);
  });
}

// The path's segments are joined by zero bytes.
inline Result get_property(std::string_view path) {
  return Result::of([&](char **data, size_t *size) {
    return proxy_get_property(path.data(), path.size(), data, size);
  });
}

}  // namespace proxy_wasm
