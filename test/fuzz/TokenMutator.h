// Mutations of texts in languages with names, numbers and lines: what a byte at a time hardly ever does to a program that parses.
#pragma once

#include <cstddef>
#include <cstdint>

namespace peer::fuzz {

/// Takes lines and tokens from the files of the folders that a fuzzer's arguments name.
void learnTokens(int argc, char **argv);

/// Changes a text of `size` bytes in place and gives its new size, at most `most`: tokens by others of their kind, one name or
/// number wherever it stands, lines moved, doubled, dropped or taken from another file; sometimes single bytes.
size_t mutateTokens(uint8_t *data, size_t size, size_t most, unsigned seed);

} // namespace peer::fuzz
