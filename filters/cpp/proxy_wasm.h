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
#include <utility>
#include <vector>

// Exports a callback under its own name.
#define PROXY_WASM_EXPORT(name) extern "C" __attribute__((visibility("default"), export_name(#name)))
#define PROXY_WASM_IMPORT(name) \
  extern "C" __attribute__((import_module("env"), import_name(#name)))

namespace proxy_wasm {

enum class Status : uint32_t { Ok = 0, NotFound = 1, BadArgument = 2, Empty = 7, CasMismatch = 8 };
enum class LogLevel : uint32_t { Trace, Debug, Info, Warn, Error, Critical };
enum class Action : uint32_t { Continue = 0, Pause = 1 };
enum class Buffer : uint32_t { CallResponseBody = 4, VmConfiguration = 6, PluginConfiguration = 7 };
enum class Map : uint32_t { RequestHeaders = 0, ResponseHeaders = 2, CallResponseHeaders = 6 };
enum class Stream : uint32_t { Request = 0, Response = 1 };
enum class Metric : uint32_t { Counter = 0, Gauge = 1, Histogram = 2 };

}  // namespace proxy_wasm

PROXY_WASM_IMPORT(proxy_log)
proxy_wasm::Status proxy_log(proxy_wasm::LogLevel level, const char *message, size_t size);

PROXY_WASM_IMPORT(proxy_get_buffer_bytes)
proxy_wasm::Status proxy_get_buffer_bytes(proxy_wasm::Buffer buffer, size_t start, size_t max_size,
                                          char **data, size_t *size);

PROXY_WASM_IMPORT(proxy_get_property)
proxy_wasm::Status proxy_get_property(const char *path, size_t path_size, char **data,
                                      size_t *size);

PROXY_WASM_IMPORT(proxy_get_header_map_value)
proxy_wasm::Status proxy_get_header_map_value(proxy_wasm::Map map, const char *key,
                                              size_t key_size, char **data, size_t *size);

PROXY_WASM_IMPORT(proxy_add_header_map_value)
proxy_wasm::Status proxy_add_header_map_value(proxy_wasm::Map map, const char *key,
                                              size_t key_size, const char *value, size_t size);

PROXY_WASM_IMPORT(proxy_replace_header_map_value)
proxy_wasm::Status proxy_replace_header_map_value(proxy_wasm::Map map, const char *key,
                                                  size_t key_size, const char *value, size_t size);

PROXY_WASM_IMPORT(proxy_remove_header_map_value)
proxy_wasm::Status proxy_remove_header_map_value(proxy_wasm::Map map, const char *key,
                                                 size_t key_size);

PROXY_WASM_IMPORT(proxy_set_effective_context)
proxy_wasm::Status proxy_set_effective_context(uint32_t id);

PROXY_WASM_IMPORT(proxy_continue_stream)
proxy_wasm::Status proxy_continue_stream(proxy_wasm::Stream stream);

PROXY_WASM_IMPORT(proxy_http_call)
proxy_wasm::Status proxy_http_call(const char *upstream, size_t upstream_size, const char *headers,
                                   size_t headers_size, const char *body, size_t body_size,
                                   const char *trailers, size_t trailers_size, uint32_t timeout,
                                   uint32_t *id);

PROXY_WASM_IMPORT(proxy_get_shared_data)
proxy_wasm::Status proxy_get_shared_data(const char *key, size_t key_size, char **data,
                                         size_t *size, uint32_t *cas);

PROXY_WASM_IMPORT(proxy_set_shared_data)
proxy_wasm::Status proxy_set_shared_data(const char *key, size_t key_size, const char *value,
                                         size_t size, uint32_t cas);

PROXY_WASM_IMPORT(proxy_register_shared_queue)
proxy_wasm::Status proxy_register_shared_queue(const char *name, size_t size, uint32_t *id);

PROXY_WASM_IMPORT(proxy_enqueue_shared_queue)
proxy_wasm::Status proxy_enqueue_shared_queue(uint32_t id, const char *data, size_t size);

PROXY_WASM_IMPORT(proxy_dequeue_shared_queue)
proxy_wasm::Status proxy_dequeue_shared_queue(uint32_t id, char **data, size_t *size);

PROXY_WASM_IMPORT(proxy_define_metric)
proxy_wasm::Status proxy_define_metric(proxy_wasm::Metric type, const char *name, size_t size,
                                       uint32_t *id);

PROXY_WASM_IMPORT(proxy_increment_metric)
proxy_wasm::Status proxy_increment_metric(uint32_t id, int64_t offset);

PROXY_WASM_IMPORT(proxy_record_metric)
proxy_wasm::Status proxy_record_metric(uint32_t id, uint64_t value);

PROXY_WASM_IMPORT(proxy_get_metric)
proxy_wasm::Status proxy_get_metric(uint32_t id, uint64_t *value);

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

inline Result get_header(Map map, std::string_view key) {
  return Result::of([&](char **data, size_t *size) {
    return proxy_get_header_map_value(map, key.data(), key.size(), data, size);
  });
}

inline Status set_header(Map map, std::string_view key, std::string_view value) {
  return proxy_replace_header_map_value(map, key.data(), key.size(), value.data(), value.size());
}

using Headers = std::vector<std::pair<std::string_view, std::string_view>>;

// A count, the lengths of each key and value, then each of them with a zero
// byte behind; numbers are 32 bits, little endian as WebAssembly's memory is.
inline std::string serialize(const Headers &headers) {
  std::string bytes;
  auto number = [&](size_t number) {
    auto word = static_cast<uint32_t>(number);
    bytes.append(reinterpret_cast<const char *>(&word), sizeof word);
  };
  number(headers.size());
  for (const auto &[key, value] : headers) {
    number(key.size());
    number(value.size());
  }
  for (const auto &[key, value] : headers) {
    bytes.append(key).push_back('\0');
    bytes.append(value).push_back('\0');
  }
  return bytes;
}

// Starts a GET; on success the call's number is in `id`. The timeout is in
// milliseconds.
inline Status http_get(std::string_view upstream, const Headers &headers, uint32_t timeout,
                       uint32_t &id) {
  std::string map = serialize(headers);
  return proxy_http_call(upstream.data(), upstream.size(), map.data(), map.size(), nullptr, 0,
                         nullptr, 0, timeout, &id);
}

inline Result get_shared_data(std::string_view key, uint32_t &cas) {
  return Result::of([&](char **data, size_t *size) {
    return proxy_get_shared_data(key.data(), key.size(), data, size, &cas);
  });
}

inline Status set_shared_data(std::string_view key, std::string_view value, uint32_t cas) {
  return proxy_set_shared_data(key.data(), key.size(), value.data(), value.size(), cas);
}

inline Result dequeue(uint32_t queue) {
  return Result::of([&](char **data, size_t *size) {
    return proxy_dequeue_shared_queue(queue, data, size);
  });
}

}  // namespace proxy_wasm
