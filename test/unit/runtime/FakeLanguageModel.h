// A small language model as an artifact, made without the compiler: what the training loop, evaluation and generation are
// tested with.
#pragma once

#include "TestSupport.h"

namespace peer::runtime {

/// A bigram model with context 16: a table trained by SGD with momentum (a state), a running mean of the tokens (not
/// trainable, and the table's update depends on it, so a resumed run that lost it differs), and a usage tensor over a
/// 4 x 4 grid. Its prefill and decode entries make `'a' + position % 26`
/// the likeliest byte and return NaN if the key-value cache lacks the token before.
///
/// For tests of failures: a learning rate of 1000 or more in the group `default` makes the loss NaN from step 3 on; of
/// 100 or more in the group `experts`, a step takes 20 ms.
///
/// Compiled once per process; returns its path.
const std::string &fakeLanguageModel();

/// Writes a file into the folder and returns its path; directories in between are made.
std::string writeText(const TemporaryFolder &folder, const std::string &name, const std::string &contents);

/// Text of this many bytes with structure to learn: words that repeat.
std::string sampleText(size_t bytes);

} // namespace peer::runtime
