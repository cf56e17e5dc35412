// What is written must be nothing that is read.
#pragma once

#include "Status.h"

#include <string>
#include <string_view>
#include <vector>

namespace peer::runtime {

/// Whether two names lead to one file that exists, by whatever links and spellings.
bool isSameFile(const std::string &a, const std::string &b);

/// An error where what is written to `output` (an option's value, `option` being `--out` or the like) would replace one of the files that are read.
/// Empty names are passed over. To be called before any work.
Status checkOutput(std::string_view option, const std::string &output, const std::vector<std::string> &inputs);

} // namespace peer::runtime
