// The calling convention of compiled entries: descriptors of arguments and results, laid out as the compiled code expects them.
#pragma once

#include "model/Manifest.h"

namespace peer::runtime {

/// A shape with T in place of its dynamic dimensions.
Shape withTokens(Shape shape, int64_t tokens);

/// One result that compiled code returned. Two results may share one allocation.
struct ResultView {
  const ResultInfo *info;
  void *allocated;
  char *data; // within the allocation
  Shape shape;
};

/// Reads the descriptors that an entry filled.
std::vector<ResultView> readResults(const Entry &entry, std::span<const int64_t> words);

/// An error where a result's shape is not the manifest's.
Status checkResults(const Entry &entry, const std::vector<ResultView> &views, int64_t tokens);

/// The arguments of one call. The entry must outlive it.
class CallFrame {
public:
  CallFrame(const Entry &entry, int64_t tokens);
  CallFrame(const CallFrame &) = delete;
  CallFrame &operator=(const CallFrame &) = delete;

  /// Says where argument `index` lies; returns whether it lay elsewhere before.
  bool set(size_t index, void *data);
  /// What an entry function takes.
  void **arguments() { return pointers.data(); }
  /// The results' descriptors: zero until the call.
  std::span<int64_t> results() { return std::span(words).subspan(firstResult); }

private:
  std::vector<int64_t> words;
  std::vector<void *> pointers;
  size_t firstResult;
};

} // namespace peer::runtime
