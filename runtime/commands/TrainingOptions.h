// What the commands that train have in common.
#pragma once

#include "lm/training/TrainSettings.h"

#include <CLI/CLI.hpp>

namespace peer::runtime {

/// Adds --data, --batch, --lr, --expert-lr, --schedule, --warmup, --eval-data and --eval-tokens; the schedule's default is what
/// `options` hold.
void addTrainingOptions(CLI::App &command, const std::shared_ptr<TrainOptions> &options, const char *batchHelp);

/// This process's command line with --resume: taken from the system, so that it is what the user typed.
std::string commandToResume();

} // namespace peer::runtime
