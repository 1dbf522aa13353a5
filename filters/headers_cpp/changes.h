#pragma once

#include <string>
#include <string_view>
#include <vector>

enum class Operation { Remove, Set, Add };

struct Change {
  Operation operation;
  std::string name;
  std::string value;
};

struct Changes {
  std::vector<Change> request;
  std::vector<Change> response;
};

// Parses lines such as "request set x-a some value"; a value reaches to the end
// of its line. Empty lines and those that begin with # are skipped. Returns
// what is wrong, or nothing.
std::string parse(std::string_view text, Changes &changes);
