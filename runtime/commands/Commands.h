// peer-run's subcommands. Each add...Command() adds its options and help to the app and, when the user picks it, leaves its work in `context.action`.
#pragma once

#include "core/Status.h"

#include <CLI/CLI.hpp>
#include <functional>

namespace peer::runtime {

/// What the command line says. `action` returns the exit code of a run that did not fail.
struct CommandContext {
  int threads = 0;    // 0: OpenMP's default
  bool noPin = false; // threads are left where the system puts them
  std::string device; // empty: what the model was compiled for
  std::function<Result<int>()> action;
};

class Session;

/// Loads a model's parameters from a weights file or a checkpoint, and says on stderr what names were taken for others.
Status loadWeights(Session &session, const std::string &path);

/// Adds --threads, --no-pin and --device.
void addCommonOptions(CLI::App &command, CommandContext &context);

void addTrainCommand(CLI::App &app, CommandContext &context);
void addCompareCommand(CLI::App &app, CommandContext &context);
void addEvalCommand(CLI::App &app, CommandContext &context);
void addGenerateCommand(CLI::App &app, CommandContext &context);
void addCallCommand(CLI::App &app, CommandContext &context);
void addBenchCommand(CLI::App &app, CommandContext &context);
void addInitCommand(CLI::App &app, CommandContext &context);
void addQuantizeCommand(CLI::App &app, CommandContext &context);
void addConvertCommand(CLI::App &app, CommandContext &context);
void addInspectCommand(CLI::App &app, CommandContext &context);

/// Parses the command line, runs the subcommand and returns the exit code. Errors go to stderr as "peer-run: error: SENTENCE", exit code 1.
int runCommandLine(int argc, char **argv);

} // namespace peer::runtime
