#include "CallFrame.h"

#include <algorithm>

namespace peer::runtime {

namespace {
/// A memref descriptor: allocated, aligned, offset, sizes, strides.
size_t descriptorWords(size_t rank) { return 3 + 2 * rank; }

void writeShape(int64_t *words, const Shape &shape) {
  int64_t stride = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    words[3 + i] = shape[i];
    words[3 + shape.size() + i] = stride;
    stride *= shape[i];
  }
}
} // namespace

Shape withTokens(Shape shape, int64_t tokens) {
  std::replace(shape.begin(), shape.end(), kDynamic, tokens);
  return shape;
}

CallFrame::CallFrame(const Entry &entry, int64_t tokens) {
  size_t count = 0;
  for (const Argument &argument : entry.arguments)
    count += descriptorWords(argument.shape.size());
  firstResult = count;
  for (const ResultInfo &result : entry.results)
    count += descriptorWords(result.shape.size());
  words.resize(count + 1); // never empty, so that the pointer to the results is one
  int64_t *next = words.data();
  for (const Argument &argument : entry.arguments) {
    writeShape(next, withTokens(argument.shape, tokens));
    pointers.push_back(next);
    next += descriptorWords(argument.shape.size());
  }
  pointers.push_back(next);
}

bool CallFrame::set(size_t index, void *data) {
  auto *descriptor = static_cast<int64_t *>(pointers[index]);
  int64_t before = descriptor[1];
  descriptor[0] = descriptor[1] = reinterpret_cast<int64_t>(data);
  return before != descriptor[1];
}

std::vector<ResultView> readResults(const Entry &entry, std::span<const int64_t> words) {
  std::vector<ResultView> views;
  const int64_t *next = words.data();
  for (const ResultInfo &info : entry.results) {
    char *data = reinterpret_cast<char *>(next[1]) + next[2] * static_cast<int64_t>(dtypeSize(info.dtype));
    views.push_back({&info, reinterpret_cast<void *>(next[0]), data, Shape(next + 3, next + 3 + info.shape.size())});
    next += descriptorWords(info.shape.size());
  }
  return views;
}

Status checkResults(const Entry &entry, const std::vector<ResultView> &views, int64_t tokens) {
  for (const ResultView &view : views)
    if (Shape expected = withTokens(view.info->shape, tokens); view.shape != expected)
      return Status::error("entry \"", entry.name, "\": result \"", view.info->name, "\" has shape ",
                           shapeText(view.shape), ", and the manifest says ", shapeText(expected));
  return {};
}

} // namespace peer::runtime
