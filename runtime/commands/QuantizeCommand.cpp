#include "Commands.h"
#include "Quantize.h"
#include "core/Memory.h"
#include "core/Outputs.h"
#include "core/Threads.h"

#include <cstdio>

namespace peer::runtime {

namespace {
struct QuantizeOptions {
  std::string weights, out;
  std::vector<std::string> tensors;
};

constexpr const char *kHelp =
    R"(Tables of experts become int8, for models that mix them with peer.quantized_mix: NAME as i8 and NAME.scale, one f32 per vector.
All other tensors are copied. Tables need not fit in memory, and the file appears whole or not at all.

Example:
  peer-run quantize run/weights.safetensors --tensor blocks.1.ffw.experts --out int8.safetensors)";

Result<int> runQuantize(const QuantizeOptions &options) {
  PEER_TRY(checkOutput("--out", options.out, {options.weights}));
  PEER_TRY(checkThreads());
  PEER_TRY_ASSIGN(QuantizeSummary summary, quantizeFile(options.weights, options.tensors, options.out));
  std::printf("%s: %zu tensors quantized, %s instead of %s\n", options.out.c_str(), summary.tensors,
              bytesText(summary.after).c_str(), bytesText(summary.before).c_str());
  return 0;
}
} // namespace

void addQuantizeCommand(CLI::App &app, CommandContext &context) {
  auto options = std::make_shared<QuantizeOptions>();
  CLI::App *command = app.add_subcommand("quantize", "Store tables of a weights file as int8, for inference");
  command->footer(kHelp);
  command->add_option("WEIGHTS", options->weights, "The trained parameters (safetensors)")->required();
  command->add_option("--tensor", options->tensors, "A table to quantize; give it once for each")
      ->type_name("NAME")
      ->required()
      ->allow_extra_args(false);
  command->add_option("-o,--out", options->out, "Where the parameters go (safetensors)")->type_name("FILE")->required();
  command->callback([options, &context] { context.action = [options] { return runQuantize(*options); }; });
}

} // namespace peer::runtime
