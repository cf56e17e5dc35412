// Results for people: lines while they come, tables at the end, as text that Markdown reads too.
#pragma once

#include "Isolated.h"

#include <string>

namespace peer::gpucheck {

/// The benchmarks as a table.
std::string benchmarkTable(const Json &benchmarks);
/// How many cases passed, by test suite, and each that did not.
std::string caseTable(const Json &cases);
/// One benchmark in a line.
std::string benchmarkLine(const Json &benchmark);

} // namespace peer::gpucheck
