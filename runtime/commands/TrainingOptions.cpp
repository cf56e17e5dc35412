// What the commands that train have in common.

#include "TrainingOptions.h"

#include "OptionChecks.h"

#include <fstream>
#include <iterator>

namespace peer::runtime {
namespace {

/// An argument as a shell reads it back.
std::string shellQuote(const std::string &argument) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./,:@%";
  if (!argument.empty() && argument.find_first_not_of(kPlain) == std::string::npos)
    return argument;
  std::string quoted = "'";
  for (char c : argument)
    quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

/// Takes RATE, for the groups that have none of their own, or GROUP=RATE.
void setLearningRate(TrainOptions &options, const std::string &flag, const std::string &text) {
  size_t equals = text.rfind('=');
  std::string group = equals == std::string::npos ? "" : text.substr(0, equals), rate = text.substr(equals + 1);
  if (std::string wrong = checkNumber(0, 1e30, "a learning rate from 0 to 1e30")(rate); !wrong.empty())
    throw CLI::ValidationError(flag, wrong);
  if (equals == 0)
    throw CLI::ValidationError(flag, concat("expected GROUP=RATE, got '", text, "'"));
  bool twice = group.empty() ? options.learningRate.has_value() : options.groupRates.contains(group);
  if (twice)
    throw CLI::ValidationError(flag, group.empty() ? std::string("is given twice without a group")
                                                   : concat("is given twice for the group '", group, "'"));
  if (group.empty())
    options.learningRate = std::strtod(rate.c_str(), nullptr);
  else
    options.groupRates[group] = std::strtod(rate.c_str(), nullptr);
}

/// Takes KIND, for the groups that have none of their own, or GROUP=KIND, each once.
void setSchedules(TrainOptions &options, const std::vector<std::string> &given) {
  auto fail = [](const std::string &why) { throw CLI::ValidationError("--schedule", why); };
  bool without = false;
  for (const std::string &text : given) {
    size_t equals = text.rfind('=');
    std::string group = equals == std::string::npos ? "" : text.substr(0, equals), name = text.substr(equals + 1);
    std::optional<ScheduleKind> kind = parseScheduleKind(name);
    if (!kind)
      fail("expected constant, linear or cosine, got '" + name + "'");
    if (equals == 0)
      fail(concat("expected GROUP=KIND, got '", text, "'"));
    if (group.empty() && std::exchange(without, true))
      fail("is given twice without a group");
    if (group.empty())
      options.schedule = *kind;
    else if (!options.groupSchedules.emplace(group, *kind).second)
      fail(concat("is given twice for the group '", group, "'"));
  }
}

} // namespace

std::string commandToResume() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::string raw{std::istreambuf_iterator<char>(file), {}}, command;
  bool resumes = false;
  for (size_t begin = 0, end; (end = raw.find('\0', begin)) != std::string::npos; begin = end + 1) {
    std::string argument = raw.substr(begin, end - begin);
    resumes |= argument == "--resume";
    command += (begin ? " " : "") + shellQuote(argument);
  }
  return resumes ? command : command + " --resume";
}

void addTrainingOptions(CLI::App &command, const std::shared_ptr<TrainOptions> &options, const char *batchHelp) {
  auto wholeNumber = checkInteger(0, int64_t{1} << 40, "a whole number from 0 to 2^40");
  command
      .add_option("--data", options->data,
                  "Text to train on: a file, or a directory whose text files are read in the order of their paths")
      ->required()
      ->type_name("PATH");
  command.add_option("--batch", options->batch, batchHelp)
      ->check(checkInteger(1, 1 << 20, "a whole number from 1 to 1048576"))
      ->type_name("B");
  command
      .add_option_function<std::vector<std::string>>(
          "--lr",
          [options](const std::vector<std::string> &given) {
            for (const std::string &text : given)
              setLearningRate(*options, "--lr", text);
          },
          "Peak learning rate, of one optimizer group where it is named; may be repeated [the description's]")
      ->allow_extra_args(false)
      ->type_name("[GROUP=]X");
  command
      .add_option_function<std::string>(
          "--expert-lr",
          [options](const std::string &text) {
            setLearningRate(*options, "--expert-lr", concat(kExpertGroup, "=", text));
          },
          "Peak learning rate of the group 'experts' [the description's]")
      ->type_name("X");
  command
      .add_option_function<std::vector<std::string>>(
          "--schedule", [options](const std::vector<std::string> &given) { setSchedules(*options, given); },
          concat("How the learning rate moves: constant, linear or cosine, of one optimizer group where it is named; "
                 "may be "
                 "repeated [the description's, else ",
                 toString(options->schedule), "]"))
      ->allow_extra_args(false)
      ->type_name("[GROUP=]KIND");
  command.add_option("--warmup", options->warmup, "Steps over which the learning rate rises to its peak [0]")
      ->check(wholeNumber)
      ->type_name("N");
  command
      .add_option("--eval-data", options->evalData,
                  "Text to validate on [the last 5 % of --data, which are then not trained on]")
      ->type_name("PATH");
  command
      .add_option("--eval-tokens", options->evalTokens,
                  "Validate on at most this many tokens, spread evenly over the text; 0: all [65536]")
      ->check(wholeNumber)
      ->type_name("N");
}

} // namespace peer::runtime
