// Checkpoints of a training run: DIR/checkpoint-STEP.safetensors.
//
// A checkpoint holds all that the next step depends on: the parameters under their own names, the optimizer's states under
// `state:NAME`, and the run's settings as metadata. Everything else (the places the text is read at, the schedule) is a function of
// settings and step. It is a weights file too: evaluation and generation read it and pass over the states.
#pragma once

#include "session/Session.h"

namespace peer::runtime {

/// Begins the names of optimizer states in a checkpoint.
inline constexpr std::string_view kStatePrefix = "state:";

/// How many checkpoints a run keeps: two, so that one is left should the newest turn out damaged.
inline constexpr size_t kKeptCheckpoints = 2;

struct CheckpointFile {
  int64_t step;
  std::string path;
};

/// The path of a step's checkpoint.
std::string checkpointPath(const std::string &directory, int64_t step);

/// The checkpoints of a directory by their names, newest first; none where there is no such directory. One that cannot be read may hold some: an error.
Result<std::vector<CheckpointFile>> listCheckpoints(const std::string &directory);

/// The name of the first tensor that holds a value that is not finite; empty where all are finite. With `entry` only its states are looked at.
std::string findNonFinite(const TensorMap &tensors, const Entry *entry = nullptr);

/// Writes a checkpoint atomically, then removes all but kKeptCheckpoints up to this step. `settings` is stored as the metadata `run`.
Status saveCheckpoint(const Session &session, const Entry &train, const std::string &directory, int64_t step,
                      const std::string &settings);

/// Removes all but kKeptCheckpoints up to this step: what a kill between a write and this left, too.
void removeOldCheckpoints(const std::string &directory, int64_t step);

/// Loads parameters and the states of the train entry. Names, types and shapes must be this artifact's exactly.
Status loadCheckpoint(Session &session, const Entry &train, const SafetensorsFile &file);

/// Removes temporary files that a killed run left in its directory.
void removeTemporaries(const std::string &directory);

} // namespace peer::runtime
