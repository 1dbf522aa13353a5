// The configuration: a key and its value a line, as in the other languages.
#pragma once

#include <string>
#include <string_view>

struct Config {
  std::string upstream;
  std::string authority;
  std::string path;
  std::string queue;
};

// Parses the text into `config`; returns what is wrong with it in one line, or
// nothing.
std::string parse(std::string_view text, Config &config);
