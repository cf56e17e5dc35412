// What conversions and their comparisons are made with: the compiler, sessions, and the text.
#pragma once

#include "../ConvertRun.h"
#include "../ModelFile.h"

#include "convert/NewDirectory.h"
#include "convert/Passes.h"
#include "convert/WeightPlan.h"
#include "lm/Data.h"
#include "session/Session.h"

#include <functional>
#include <memory>

namespace peer::runtime {

class ConvertBench {
public:
  /// `known` is null where the pass is a plugin's.
  ConvertBench(const ConvertOptions &options, ModelFile source, const std::string &device, const Conversion *known,
               NewDirectory out)
      : options(options), source(std::move(source)), device(device), known(known), out(std::move(out)) {}
  Status readData();

  /// Options of the pass in place of what the user says of them.
  using Settings = std::map<std::string, std::string>;
  /// What else happens to a description that is not what the user gets: passes behind the conversion.
  static constexpr const char *kLossAlone = ",peer-inline-modules,peer-calibrate{of=loss}";
  /// The description half: the compiler writes the new description, or what measures it, and the plan of the weights.
  Status rewrite(const std::string &description, const std::string &plan, const Settings &instead = {},
                 const std::string &then = "");

  /// The loss, of at most so many tokens (0: all), and what the model is.
  Result<Measurement> measure(Session &session, const std::string &model, int64_t tokens);
  /// The model that the pass would make with other settings, measured as options say.
  using Decide = std::function<Result<Decisions>(const std::string &plan)>;
  Result<Measurement> measureWith(const Settings &instead, const TensorMap &before, const Decide &decide,
                                  int64_t tokens);

  /// Compiles the entry `calibrate` that the passes make of the model, and shows what it returns of each context of the text: the first of `total`,
  /// and so on.
  using See = std::function<Status(const TensorMap &seen, int64_t context, int64_t total)>;
  Status calibrate(const std::string &passes, const TensorMap &parameters, const See &see);
  /// A model of these parameters, as `description` says it.
  Result<std::unique_ptr<Session>> open(const std::string &description, const TensorMap &parameters);

  /// Which of an option's values is given; the first where it is not.
  size_t choiceOf(const std::string &option) const;
  /// What the user says of an option, or else `otherwise`.
  std::string setting(const std::string &option, const std::string &otherwise = "") const;

  const ConvertOptions &options;
  const ModelFile source; // the description: what options.model names, or what that was compiled from
  const std::string &device;
  const Conversion *known;
  NewDirectory out;
  TextSource text;

private:
  Status compilePasses(const std::string &from, const std::string &passes, const std::string &to);
  /// Descriptions with other settings are often the same, and only their weights are not.
  std::string lastText;
  std::unique_ptr<Session> lastSession;
};

} // namespace peer::runtime
