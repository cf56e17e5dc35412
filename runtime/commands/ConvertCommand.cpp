// peer-run convert

#include "Commands.h"
#include "ConvertRun.h"
#include "OptionChecks.h"
#include "Table.h"

#include "convert/Passes.h"
#include "core/Memory.h"
#include "core/Printable.h"
#include "lm/Progress.h"
#include "lm/training/TrainInterrupt.h"

#include <algorithm>
#include <cstdio>
#include <ranges>

namespace peer::runtime {
namespace {

std::string helpText() {
  std::string text =
      R"(Makes another model of a trained one: PASS rewrites its description and its weights, and both are measured on one text.
--out gets the description under its name, weights.safetensors, and report.json with the numbers that are printed. What
is read stays as it is, and --out appears whole or not at all. PASS is

)";
  for (const Conversion &conversion : conversions())
    text += concat("  ", conversion.name, std::string(15 - std::min<size_t>(14, conversion.name.size()), ' '),
                   conversion.help, "\n");
  return text + R"(
or, with --plugin, a pass of that library, whose options are given with --set. 'peer-opt --help-list' has their description
halves, --peer-PASS. What is trained on goes on with 'peer-run train DIR/MODEL.mlir --weights DIR/weights.safetensors ...'.

Example:
  peer-run convert split-experts mixtral_moe_lm.mlir --factor 4 --weights run/weights.safetensors --data book.txt --out finer)";
}

std::string number(const char *format, double value) {
  char text[32];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

void print(const ConvertReport &report, const std::string &out) {
  auto count = [](int64_t value) { return formatCount(static_cast<double>(value)); };
  Table sides({"", "before", "after"});
  const Measurement &before = report.before, &after = report.after;
  sides.add({"loss", number("%.6f", before.loss), number("%.6f", after.loss)});
  sides.add({"parameters", count(before.parameters), count(after.parameters)});
  sides.add({"of a token", count(before.active), count(after.active)});
  sides.add({"bytes", bytesText(static_cast<uint64_t>(before.bytes)), bytesText(static_cast<uint64_t>(after.bytes))});
  std::string text = sides.text();
  text += concat("difference of the loss: ", number("%+.6f", after.loss - before.loss), " nats per byte over ",
                 count(after.tokens), " tokens\n");
  for (const std::string &layer : report.layers)
    text += printableLine(layer) + "\n";
  if (!report.curve.empty()) {
    std::vector<std::string> heading{"with", "share"};
    if (!report.curveOf.empty())
      heading.push_back(report.curveOf);
    for (std::string name : std::views::keys(report.curve.front().losses)) {
      std::ranges::replace(name, '_', ' ');
      heading.push_back(name == "loss" ? name : name.substr(name.find(' ') + 1));
    }
    Table curve(heading);
    for (const CurvePoint &point : report.curve) {
      std::vector<std::string> row{count(point.count), number("%.1f %%", 100 * point.share)};
      if (!report.curveOf.empty())
        row.push_back(point.what);
      for (double loss : std::views::values(point.losses))
        row.push_back(number("%.4f", loss));
      curve.add(row);
    }
    text += curve.text();
  }
  text += concat("written to ", printableLine(out), "\n");
  std::fwrite(text.data(), 1, text.size(), stdout);
}

Result<int> runConvert(const ConvertOptions &options, const std::string &device) {
  // Asked to stop, it does so between two calls, and takes away what it had written.
  TrainInterrupt interrupt;
  Result<ConvertReport> report = convert(options, device);
  if (int signal = TrainInterrupt::received(); signal && !report.ok()) {
    std::fprintf(stderr, "interrupted; %s was not written\n", printableLine(options.out).c_str());
    return 128 + signal;
  }
  PEER_TRY(report.status());
  print(*report, options.out);
  return 0;
}

} // namespace

void addConvertCommand(CLI::App &app, CommandContext &context) {
  CLI::App *command =
      app.add_subcommand("convert", "Make another model of a trained one: its experts split, merged, ...");
  command->footer(helpText());
  auto options = std::make_shared<ConvertOptions>();
  command->add_option("PASS", options->pass, "The conversion")->required();
  command
      ->add_option("MODEL", options->model,
                   "Description (.mlir) of a language model with a loss entry, or an artifact (.peer) that keeps one")
      ->required();
  command->add_option("--weights", options->weights, "Its parameters: a weights file or a checkpoint")
      ->required()
      ->type_name("FILE");
  command->add_option("--data", options->data, "Text to measure on, and to calibrate with: a file or a directory")
      ->required()
      ->type_name("PATH");
  command->add_option("--out", options->out, "A directory that does not exist yet")->required()->type_name("DIR");
  for (const ConversionOption &option : conversionOptions()) {
    CLI::Option *added = command->add_option_function<std::string>(
        concat("--", option.name),
        [options, name = std::string(option.name)](const std::string &value) { options->settings[name] = value; },
        std::string(option.help));
    added->type_name(std::string(option.type));
    if (option.type == "X")
      added->check(checkNumber(0, 1e9, "a number from 0 to 10^9"));
    else if (option.values.empty() && !option.isText)
      added->check(checkInteger(1, INT32_MAX, "a whole number from 1 to 2^31 - 1"));
  }
  command
      ->add_option("--layers", options->layers,
                   "Convert layers whose parameters' names begin so, as blocks.1.ffw; may be repeated [all]")
      ->type_name("NAME")
      ->allow_extra_args(false);
  command->add_option("--plugin", options->plugin, "A library with passes for peer-opt, of which PASS is one")
      ->type_name("LIBRARY");
  command->add_option("--set", options->pluginSettings, "An option of a plugin's pass; may be repeated")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  command->add_option("--seed", options->seed, "Of what is drawn by chance, new parameters for one [0]")
      ->check(checkInteger(0, INT64_MAX, "a whole number from 0 to 2^63 - 1"))
      ->type_name("S");
  command->add_option("--batch", options->batch, "Sequences per call [8]")
      ->check(checkInteger(1, 1 << 20, "a whole number from 1 to 1048576"))
      ->type_name("B");
  command
      ->add_option("--eval-tokens", options->evalTokens,
                   "Measure on at most this many tokens, spread evenly over the text; 0: all [65536]")
      ->check(checkInteger(0, int64_t{1} << 40, "a whole number from 0 to 2^40"))
      ->type_name("N");
  command
      ->add_option("--calibration-tokens", options->calibrationTokens,
                   "Look at what layers do with this many tokens, spread evenly over the text [8192]")
      ->check(checkInteger(1, int64_t{1} << 30, "a whole number from 1 to 2^30"))
      ->type_name("N");
  addCommonOptions(*command, context);
  command->callback(
      [options, &context] { context.action = [options, &context] { return runConvert(*options, context.device); }; });
}

} // namespace peer::runtime
