// Checks of option values whose messages say what was expected and what was given.
#pragma once

#include "core/Status.h"

#include <charconv>
#include <cmath>
#include <cstdint>
#include <string>

namespace peer::runtime {

/// A whole number in [low, high]; `what` is what a user is told to give.
inline auto checkInteger(int64_t low, int64_t high, const char *what) {
  return [=](const std::string &text) -> std::string {
    int64_t value = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    bool good = error == std::errc() && end == text.data() + text.size() && value >= low && value <= high;
    return good ? "" : concat("expected ", what, ", got '", text, "'");
  };
}

/// A finite number in [low, high].
inline auto checkNumber(double low, double high, const char *what) {
  return [=](const std::string &text) -> std::string {
    char *end = nullptr;
    double value = std::strtod(text.c_str(), &end);
    bool good = !text.empty() && *end == 0 && std::isfinite(value) && value >= low && value <= high;
    return good ? "" : concat("expected ", what, ", got '", text, "'");
  };
}

} // namespace peer::runtime
