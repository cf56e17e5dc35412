// The calling convention of compiled entries: descriptors of arguments and results, laid out as the compiled code expects them.
#pragma once

#include "core/SmallBuffer.h"
#include "model/Manifest.h"

namespace peer::runtime {

/// A shape with T in place of its dynamic dimensions.
Shape withTokens(Shape shape, int64_t tokens);
/// Bytes of a tensor of the shape, where T is `tokens`.
uint64_t bytesOf(DType dtype, const Shape &shape, int64_t tokens);

/// One result that compiled code returned. Two results may share one allocation.
struct ResultView {
  const ResultInfo *info;
  void *allocated;
  char *data; // within the allocation
  std::span<const int64_t> sizes;
  Shape shape() const { return {sizes.begin(), sizes.end()}; }
};

/// Reads the descriptors that an entry filled, one after the other. What they say stays in `words`.
class ResultReader {
public:
  ResultReader(const Entry &entry, std::span<const int64_t> words) : entry(entry), next(words.data()) {}
  bool done() const { return index == entry.results.size(); }
  ResultView read();

private:
  const Entry &entry;
  const int64_t *next;
  size_t index = 0;
};

/// All of them.
std::vector<ResultView> readResults(const Entry &entry, std::span<const int64_t> words);

/// An error where a result's shape is not the manifest's.
Status checkResult(const Entry &entry, const ResultView &view, int64_t tokens);
Status checkResults(const Entry &entry, const std::vector<ResultView> &views, int64_t tokens);

/// The arguments of one call. The entry must outlive it.
class CallFrame {
public:
  CallFrame(const Entry &entry, int64_t tokens);

  /// Says where argument `index` lies; returns whether it lay elsewhere before.
  bool set(size_t index, void *data);
  /// What an entry function takes.
  void **arguments() { return pointers.data(); }
  /// The results' descriptors: zero until the call.
  std::span<int64_t> results() { return words.all().subspan(firstResult); }

private:
  size_t firstResult;
  SmallBuffer<int64_t, 192> words;
  SmallBuffer<void *, 24> pointers;
};

} // namespace peer::runtime
