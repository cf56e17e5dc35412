// The files of a run directory beside its checkpoints.
#pragma once

#include "lm/TextFiles.h"

#include <optional>
#include <utility>

namespace peer::runtime {

inline constexpr const char *kWeightsFile = "weights.safetensors";
inline constexpr const char *kBestFile = "best.safetensors";
inline constexpr const char *kReportFile = "report.html";
inline constexpr const char *kLogFile = "log.jsonl";
inline constexpr const char *kDataFile = "data.json";

/// DIR/data.json: which files a run's texts were read from, so that it goes on with the same ones whatever else lies there by then.
///
///   {"data": [["books/a.txt", 1200], ...], "eval_data": [...]}       path below the source (empty: the source is the file), bytes
///
/// Bytes of a path that are no printable ASCII are written as %XX.
struct RunFiles {
  std::optional<std::vector<TextFile>> data, evalData;

  /// What is recorded; nothing where the file is not there, as in runs of before.
  static Result<RunFiles> read(const std::string &directory);
  Status write(const std::string &directory) const;
};

/// The validation loss and the step that best.safetensors says it is of; infinite and 0 where it does not.
std::pair<double, int64_t> readBest(const std::string &path);

} // namespace peer::runtime
