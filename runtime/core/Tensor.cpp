#include "Tensor.h"
#include "Memory.h"

#include <cstdlib>
#include <cstring>
#include <sys/mman.h>

namespace peer::runtime {

namespace {
constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kAlignment = 64;

/// Zeroed memory for a table: aligned to huge pages, with huge pages asked for. Null where there is none.
std::shared_ptr<void> mapTable(size_t bytes) {
  size_t length = (bytes + kHugePage - 1) / kHugePage * kHugePage;
  // One huge page more, so that the start can be moved to a boundary; the rest is given back.
  void *raw =
      mmap(nullptr, length + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (raw == MAP_FAILED)
    return nullptr;
  char *begin = static_cast<char *>(raw);
  size_t head = (kHugePage - reinterpret_cast<uintptr_t>(begin) % kHugePage) % kHugePage;
  if (head > 0)
    munmap(begin, head);
  munmap(begin + head + length, kHugePage - head);
  void *start = begin + head;
  // Only a wish: without huge pages everything works, at more TLB misses.
  madvise(start, length, MADV_HUGEPAGE);
  return {start, [length](void *p) { munmap(p, length); }};
}

std::shared_ptr<void> allocateSmall(size_t bytes) {
  size_t length = (std::max<size_t>(bytes, 1) + kAlignment - 1) / kAlignment * kAlignment;
  void *start = std::aligned_alloc(kAlignment, length);
  if (!start)
    return nullptr;
  std::memset(start, 0, length);
  return {start, std::free};
}

int64_t product(const Shape &shape) {
  int64_t count = 1;
  for (int64_t size : shape)
    count *= size;
  return count;
}
} // namespace

std::string shapeText(const Shape &shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i)
    text += concat(i ? ", " : "", shape[i] < 0 ? "T" : std::to_string(shape[i]));
  return text + "]";
}

std::string typeText(DType dtype, const Shape &shape) { return concat(dtypeName(dtype), " ", shapeText(shape)); }

Result<int64_t> byteCount(DType dtype, const Shape &shape) {
  // A zero anywhere makes the product zero, but the other sizes must still be sane.
  int64_t count = 1, bytes = 0;
  bool empty = false;
  auto tooMany = [&] {
    return Status::error("shape ", shapeText(shape), " of ", dtypeName(dtype),
                         " has more bytes than 63 bits can count");
  };
  for (int64_t size : shape) {
    if (size < 0)
      return Status::error("a size is negative in shape ", shapeText(shape));
    if (size == 0)
      empty = true;
    else if (__builtin_mul_overflow(count, size, &count))
      return tooMany();
  }
  auto bits = static_cast<int64_t>(dtypeBits(dtype));
  if (__builtin_mul_overflow(count, (bits + 7) / 8, &bytes))
    return tooMany();
  if (count % 8 * bits % 8 != 0 && !empty)
    return Status::error("shape ", shapeText(shape), " of ", dtypeName(dtype), " ends within a byte");
  return empty ? 0 : count / 8 * bits + count % 8 * bits / 8;
}

Tensor::Tensor(Tensor &&other) noexcept : Tensor() { *this = std::move(other); }

Tensor &Tensor::operator=(Tensor &&other) noexcept {
  if (this == &other)
    return *this;
  type = std::exchange(other.type, DType::F32);
  dims = std::exchange(other.dims, Shape{0});
  count = std::exchange(other.count, 0);
  pointer = std::exchange(other.pointer, nullptr);
  owner = std::move(other.owner);
  other.owner.reset();
  return *this;
}

Result<Tensor> Tensor::zeros(DType dtype, Shape shape, std::string_view what) {
  PEER_TRY_ASSIGN(int64_t bytes, byteCount(dtype, shape));
  auto size = static_cast<size_t>(bytes);
  bool table = size >= kHugePage;
  // Linux promises more memory than it has and kills the process that believes it, so large requests are checked against what there is.
  if (table)
    PEER_TRY(checkMemory(concat(what, " (", typeText(dtype, shape), ")"), size));
  std::shared_ptr<void> memory = table ? mapTable(size) : allocateSmall(size);
  if (!memory)
    return Status::error(what, " (", typeText(dtype, shape), ") needs ", bytesText(size),
                         ", which could not be allocated; ", bytesText(availableMemory()), " available");
  void *start = memory.get();
  return wrap(dtype, std::move(shape), start, std::move(memory));
}

Tensor Tensor::wrap(DType dtype, Shape shape, void *data, std::shared_ptr<void> owner) {
  Tensor tensor;
  tensor.type = dtype;
  tensor.dims = std::move(shape);
  tensor.count = product(tensor.dims);
  tensor.pointer = data;
  tensor.owner = std::move(owner);
  return tensor;
}

Result<Tensor> Tensor::clone() const {
  PEER_TRY_ASSIGN(Tensor copy, zeros(type, dims, "a copy of a tensor"));
  if (bytes() > 0)
    std::memcpy(copy.data(), pointer, bytes());
  return copy;
}

void Tensor::clear() {
  if (bytes() > 0)
    std::memset(pointer, 0, bytes());
}

} // namespace peer::runtime
