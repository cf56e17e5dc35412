// What modules are loaded from.
#pragma once

#include "FakeDriver.h"

namespace peer::runtime::cuda::fake {

/// The buffer for what the compiler says; none where `text` is null.
struct JitLog {
  char *text = nullptr;
  size_t bytes = 0;

  Code fail(Code code, const std::string &why) const {
    if (text && bytes)
      text[why.copy(text, bytes - 1)] = 0;
    return code;
  }
};

/// Takes the PTX out of an image, PTX text or a cubin; fails where the driver or the GPU of the settings does not take it.
Code readImage(const Settings &settings, const char *image, const JitLog &log, std::string &ptx);

} // namespace peer::runtime::cuda::fake
