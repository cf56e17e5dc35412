// Dense row-major tensors that own their memory.
#pragma once

#include "DType.h"
#include "Status.h"

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace peer::runtime {

/// Sizes, outermost first; empty for a rank-0 tensor.
using Shape = std::vector<int64_t>;

/// "[256, 256]".
std::string shapeText(const Shape &shape);

/// "f32 [256, 256]".
std::string typeText(DType dtype, const Shape &shape);

/// Bytes of a dense tensor; an error where a size is negative, the product does not fit in 63 bits, or narrow elements leave a part of a byte.
Result<int64_t> byteCount(DType dtype, const Shape &shape);

/// A dense row-major tensor. Move-only; moving leaves an empty f32 tensor of shape [0].
class Tensor {
public:
  /// An empty f32 tensor of shape [0].
  Tensor() : dims{0} {}
  Tensor(Tensor &&other) noexcept;
  Tensor &operator=(Tensor &&other) noexcept;

  /// Zero-filled, 64-byte aligned; 2 MiB and more on huge pages where the system has them.
  /// Fails, with the bytes needed and available, when there is not enough memory. `what` names the tensor in that message.
  static Result<Tensor> zeros(DType dtype, Shape shape, std::string_view what = "a tensor");

  /// Wraps `data`, which `owner` keeps alive (an aliasing owner may be null for memory that outlives the tensor).
  static Tensor wrap(DType dtype, Shape shape, void *data, std::shared_ptr<void> owner);

  /// A copy in memory of its own.
  Result<Tensor> clone() const;

  DType dtype() const { return type; }
  const Shape &shape() const { return dims; }
  int64_t rank() const { return static_cast<int64_t>(dims.size()); }
  int64_t elements() const { return count; }
  size_t bytes() const { return static_cast<size_t>(count) * dtypeBits(type) / 8; }
  void *data() { return pointer; }
  const void *data() const { return pointer; }

  /// The elements as `T`, which must be as wide as the dtype.
  template <typename T>
  std::span<T> as() {
    assert(sizeof(T) == dtypeSize(type));
    return {static_cast<T *>(pointer), static_cast<size_t>(count)};
  }
  template <typename T>
  std::span<const T> as() const {
    assert(sizeof(T) == dtypeSize(type));
    return {static_cast<const T *>(pointer), static_cast<size_t>(count)};
  }

  /// Sets every byte to zero.
  void clear();

private:
  DType type = DType::F32;
  Shape dims;
  int64_t count = 0;
  void *pointer = nullptr;
  std::shared_ptr<void> owner;
};

/// Named tensors in the order of their names.
using TensorMap = std::map<std::string, Tensor, std::less<>>;

} // namespace peer::runtime
