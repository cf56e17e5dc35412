// Training steps on batches that are too large for memory: gradients of micro-batches are summed, then parameters are updated once.
#pragma once

#include "session/Session.h"

#include <functional>

namespace peer::runtime {

/// A training step in parts: calls of an `accumulate` entry, then one of an `update` entry (see README.md).
class Accumulation {
public:
  /// The parts of `train`, for steps of `count` micro-batches. An artifact without them is an error that says how to get one with them.
  static Result<Accumulation> find(const Session &session, const Entry &train, int64_t count);

  /// An error, with the sum, where there is no room for parameters, optimizer state and all that is kept over the micro-batches of a step,
  /// each of `tokens` tokens; or where one step has more pairs of tokens and experts than an update can count.
  Status checkRoom(const Session &session, const Entry &train, int64_t tokens) const;

  /// Allocates what is kept.
  Status prepare(Session &session, int64_t tokens);

  /// One step. `fill` puts the micro-batch of this number (0 is the first) into `inputs`, and what is drawn for it into the scalars of
  /// its call; `scalars` are the train entry's. The results are
  /// the train entry's, too: the loss is the mean over all tokens. As there, nothing is updated where it or a gradient is not finite.
  Result<TensorMap> step(Session &session, TensorMap &inputs, const ScalarMap &scalars,
                         const std::function<void(int64_t, ScalarMap &)> &fill);

  /// Whether a batch norm is trained, which takes the statistics of a micro-batch.
  bool hasBatchNorms(const Manifest &manifest) const;

private:
  Status keepRows(const TensorMap &results, int64_t number);

  const Entry *accumulate = nullptr, *update = nullptr;
  int64_t count = 1;
  /// The row-sparse gradients of all micro-batches, one after the other: the update's inputs.
  TensorMap rows;
};

} // namespace peer::runtime
