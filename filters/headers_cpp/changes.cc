#include "changes.h"

#include <utility>

namespace {

constexpr std::string_view SPACE = " \t\r";

std::string_view trim(std::string_view text) {
  size_t start = text.find_first_not_of(SPACE);
  if (start == std::string_view::npos) {
    return {};
  }
  return text.substr(start, text.find_last_not_of(SPACE) - start + 1);
}

// Takes the first word off the text.
std::string_view next(std::string_view &text) {
  text = trim(text);
  size_t end = text.find_first_of(SPACE);
  std::string_view word = text.substr(0, end);
  text.remove_prefix(word.size());
  return word;
}

bool parse_line(std::string_view line, Changes &changes) {
  std::string_view direction = next(line);
  std::string_view operation = next(line);
  std::string name(next(line));
  std::string value(trim(line));
  if ((direction != "request" && direction != "response") || name.empty()) {
    return false;
  }
  auto &list = direction == "request" ? changes.request : changes.response;
  if (operation == "remove" && value.empty()) {
    list.push_back({Operation::Remove, std::move(name), {}});
  } else if (operation == "set") {
    list.push_back({Operation::Set, std::move(name), std::move(value)});
  } else if (operation == "add") {
    list.push_back({Operation::Add, std::move(name), std::move(value)});
  } else {
    return false;
  }
  return true;
}

}  // namespace

std::string parse(std::string_view text, Changes &changes) {
  for (size_t number = 1; !text.empty(); number++) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(line.size() < text.size() ? line.size() + 1 : line.size());
    line = trim(line);
    if (line.empty() || line.front() == '#') {
      continue;
    }
    if (!parse_line(line, changes)) {
      return "line " + std::to_string(number) +
             ": expected \"request|response remove NAME\" or "
             "\"request|response set|add NAME VALUE\"";
    }
  }
  return {};
}
