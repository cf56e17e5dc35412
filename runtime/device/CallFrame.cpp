#include "CallFrame.h"

#include <algorithm>

namespace peer::runtime {

namespace {
/// A memref descriptor: allocated, aligned, offset, sizes, strides.
size_t descriptorWords(size_t rank) { return 3 + 2 * rank; }

/// Of arguments or results.
size_t descriptorWords(const auto &tensors) {
  size_t count = 0;
  for (const auto &tensor : tensors)
    count += descriptorWords(tensor.shape.size());
  return count;
}

int64_t sizeOf(int64_t size, int64_t tokens) { return size == kDynamic ? tokens : size; }

/// An argument's descriptor before anybody said where it lies.
void writeShape(int64_t *words, const Shape &shape, int64_t tokens) {
  words[0] = words[1] = words[2] = 0;
  int64_t stride = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    int64_t size = sizeOf(shape[i], tokens);
    words[3 + i] = size;
    words[3 + shape.size() + i] = stride;
    stride *= size;
  }
}
} // namespace

Shape withTokens(Shape shape, int64_t tokens) {
  std::replace(shape.begin(), shape.end(), kDynamic, tokens);
  return shape;
}

uint64_t bytesOf(DType dtype, const Shape &shape, int64_t tokens) {
  uint64_t count = 1;
  for (int64_t size : shape)
    count *= static_cast<uint64_t>(sizeOf(size, tokens));
  return count * dtypeSize(dtype);
}

// One word more than there are, so that the pointer to no results is one, too.
CallFrame::CallFrame(const Entry &entry, int64_t tokens)
    : firstResult(descriptorWords(entry.arguments)), words(firstResult + descriptorWords(entry.results) + 1),
      pointers(entry.arguments.size() + 1) {
  int64_t *next = words.data();
  for (size_t i = 0; i < entry.arguments.size(); ++i) {
    const Shape &shape = entry.arguments[i].shape;
    writeShape(next, shape, tokens);
    pointers[i] = next;
    next += descriptorWords(shape.size());
  }
  pointers[entry.arguments.size()] = next;
  std::ranges::fill(results(), 0);
}

bool CallFrame::set(size_t index, void *data) {
  auto *descriptor = static_cast<int64_t *>(pointers[index]);
  int64_t before = descriptor[1];
  descriptor[0] = descriptor[1] = reinterpret_cast<int64_t>(data);
  return before != descriptor[1];
}

ResultView ResultReader::read() {
  const ResultInfo &info = entry.results[index++];
  size_t rank = info.shape.size();
  char *data = reinterpret_cast<char *>(next[1]) + next[2] * static_cast<int64_t>(dtypeSize(info.dtype));
  ResultView view{&info, reinterpret_cast<void *>(next[0]), data, {next + 3, rank}};
  next += descriptorWords(rank);
  return view;
}

std::vector<ResultView> readResults(const Entry &entry, std::span<const int64_t> words) {
  std::vector<ResultView> views;
  for (ResultReader reader(entry, words); !reader.done();)
    views.push_back(reader.read());
  return views;
}

Status checkResult(const Entry &entry, const ResultView &view, int64_t tokens) {
  const Shape &shape = view.info->shape;
  for (size_t i = 0; i < shape.size(); ++i)
    if (view.sizes[i] != sizeOf(shape[i], tokens))
      return Status::error("entry \"", entry.name, "\": result \"", view.info->name, "\" has shape ",
                           shapeText(view.shape()), ", and the manifest says ", shapeText(withTokens(shape, tokens)));
  return {};
}

Status checkResults(const Entry &entry, const std::vector<ResultView> &views, int64_t tokens) {
  for (const ResultView &view : views)
    PEER_TRY(checkResult(entry, view, tokens));
  return {};
}

} // namespace peer::runtime
