// An array whose size is known when it is made, on the stack where it is small: what calls need is, and they are short.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>

namespace peer::runtime {

/// `size` elements, not initialised where T is trivial. Never moved: others may point into it.
template <typename T, size_t kNear>
class SmallBuffer {
public:
  explicit SmallBuffer(size_t size) : count(size) {
    if (size > kNear)
      away.reset(new T[size]);
  }
  SmallBuffer(const SmallBuffer &) = delete;
  SmallBuffer &operator=(const SmallBuffer &) = delete;

  size_t size() const { return count; }
  T *data() { return away ? away.get() : nearby.data(); }
  T &operator[](size_t index) { return data()[index]; }
  std::span<T> all() { return {data(), count}; }

private:
  size_t count;
  std::unique_ptr<T[]> away;
  std::array<T, kNear> nearby;
};

} // namespace peer::runtime
