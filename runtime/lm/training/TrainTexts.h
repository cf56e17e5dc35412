// The texts that runs train and validate with.
#pragma once

#include "RunFiles.h"
#include "lm/Data.h"

#include <array>
#include <memory>

namespace peer::runtime {

struct TrainTexts {
  std::shared_ptr<const TextSource> data, evalData; // the latter is null where validation text is a part of the former
  bool recorded = false;                            // `data` was read from the files that a run began with

  /// Reads them: the files that the run in `directory` began with if it goes on (`again`), or those that are there.
  static Result<TrainTexts> read(const std::string &dataPath, const std::string &evalPath, const std::string &directory,
                                 bool again);
  /// What to train and to validate with, in sequences of `context` tokens.
  Result<TextSplit> split(int64_t context, const std::string &dataPath, const std::string &evalPath) const;
  RunFiles files() const;
};

} // namespace peer::runtime
