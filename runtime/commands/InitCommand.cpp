#include "Commands.h"
#include "ModelFile.h"
#include "OptionChecks.h"
#include "core/Outputs.h"
#include "core/Printable.h"
#include "device/Devices.h"
#include "session/Session.h"

#include <cstdio>

namespace peer::runtime {

namespace {
struct InitOptions {
  std::string model, out;
  uint64_t seed = 1;
};

constexpr const char *kHelp =
    R"(Values follow the initialisers of the model description. One seed gives the same file on every machine of one kind, at any
number of threads and for every device. The file appears whole or not at all.

Example:
  peer-run init peer_layer.peer --seed 7 --out w.safetensors)";

Result<int> runInit(const InitOptions &options, const std::string &device) {
  PEER_TRY(checkOutput("--out", options.out, {options.model}));
  PEER_TRY_ASSIGN(ModelHandle model, findModel(options.model, device));
  PEER_TRY_ASSIGN(std::unique_ptr<Session> session, Session::openParameters(model));
  PEER_TRY(chooseDevice(session->manifest(), device, options.model).status());
  PEER_TRY(session->initParameters(options.seed));
  PEER_TRY(session->saveParameters(options.out,
                                   {{"model", session->manifest().model}, {"seed", std::to_string(options.seed)}}));
  uint64_t values = 0;
  for (const auto &[name, tensor] : session->parameters())
    values += static_cast<uint64_t>(tensor.elements());
  std::printf("%s: %zu tensors, %llu parameters\n", printableLine(options.out).c_str(), session->parameters().size(),
              static_cast<unsigned long long>(values));
  return 0;
}
} // namespace

void addInitCommand(CLI::App &app, CommandContext &context) {
  auto options = std::make_shared<InitOptions>();
  CLI::App *command = app.add_subcommand("init", "Write a model's initial parameters to a safetensors file");
  command->footer(kHelp);
  command->add_option("MODEL", options->model, "Description (.mlir) or compiled model (.peer)")->required();
  command->add_option("--seed", options->seed, "A whole number that names the random values")
      ->check(checkInteger(0, INT64_MAX, "a whole number from 0 to 2^63 - 1"))
      ->type_name("S")
      ->capture_default_str();
  command->add_option("--out", options->out, "Where the parameters go (safetensors)")->type_name("FILE")->required();
  addCommonOptions(*command, context);
  command->callback(
      [options, &context] { context.action = [options, &context] { return runInit(*options, context.device); }; });
}

} // namespace peer::runtime
