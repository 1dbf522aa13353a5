#include "config.h"

#include <utility>

namespace {

std::string_view trim(std::string_view text) {
  constexpr const char *blank = " \t\r";
  size_t first = text.find_first_not_of(blank);
  if (first == text.npos) {
    return {};
  }
  return text.substr(first, text.find_last_not_of(blank) - first + 1);
}

}  // namespace

std::string parse(std::string_view text, Config &config) {
  const std::pair<std::string_view, std::string *> fields[] = {
      {"upstream", &config.upstream},
      {"authority", &config.authority},
      {"path", &config.path},
      {"queue", &config.queue},
  };
  for (size_t number = 1; !text.empty(); number++) {
    size_t end = text.find('\n');
    std::string_view line = trim(text.substr(0, end));
    text.remove_prefix(end == text.npos ? text.size() : end + 1);
    if (line.empty() || line.front() == '#') {
      continue;
    }
    std::string_view key = line.substr(0, line.find(' '));
    std::string *field = nullptr;
    for (const auto &[name, value] : fields) {
      if (name == key) {
        field = value;
      }
    }
    if (field == nullptr) {
      return "line " + std::to_string(number) +
             ": expected \"upstream|authority|path|queue VALUE\"";
    }
    *field = trim(line.substr(key.size()));
  }
  for (const auto &[name, value] : fields) {
    if (value->empty()) {
      return std::string(name) + " is missing";
    }
  }
  return {};
}
