// Measuring a language model on a text.

#include "Eval.h"

#include "artifact/format.h"

#include <algorithm>

namespace peer::runtime {

std::vector<double> readGateMass(const Session &session, const Argument &argument) {
  auto found = session.usage().find(argument.name);
  if (argument.role != Role::Usage || found == session.usage().end())
    return {};
  auto widen = [](auto values) { return std::vector<double>(values.begin(), values.end()); };
  switch (found->second.dtype()) {
  case DType::F64:
    return widen(found->second.as<double>());
  case DType::F32:
    return widen(found->second.as<float>());
  default:
    return {};
  }
}

std::vector<LayerUsage> readLayerUsage(const Session &session, const Entry &entry) {
  std::vector<LayerUsage> layers;
  for (const Argument &argument : entry.arguments)
    if (std::vector<double> mass = readGateMass(session, argument); !mass.empty())
      layers.push_back({argument.name, static_cast<int64_t>(mass.size()), computeUsageMetrics(mass)});
  return layers;
}

Result<EvalRecord> evaluateText(Session &session, const LanguageEntry &model, TextView text,
                                const EvalOptions &options) {
  int64_t there = countContexts(text, model.context);
  int64_t total = options.maxContexts > 0 ? std::min(there, options.maxContexts) : there;
  // An entry that records nothing leaves what another entry recorded.
  auto records = [](const Argument &argument) { return argument.role == Role::Usage; };
  if (std::any_of(model.entry->arguments.begin(), model.entry->arguments.end(), records))
    session.clearUsage();

  EvalRecord record;
  double sum = 0.0;
  TensorMap inputs;
  int64_t sequences = 0;
  for (int64_t done = 0; done < total; done += sequences) {
    if (options.onProgress && !options.onProgress(done, total))
      return EvalRecord{};
    if (int64_t next = std::min(options.batch, total - done); next != sequences) {
      sequences = next;
      PEER_TRY_ASSIGN(inputs, makeLanguageInputs(model, sequences));
    }
    int32_t *tokens = inputs.at("tokens").as<int32_t>().data(), *targets = inputs.at("targets").as<int32_t>().data();
    for (int64_t i = 0; i < sequences; ++i) {
      // With total == there this is every context; with fewer, they are spread evenly.
      int64_t index = (done + i) * there / total;
      copyContext(text, model.context, index, tokens + i * model.context, targets + i * model.context);
    }
    PEER_TRY_ASSIGN(TensorMap results, session.call(*model.entry, inputs, session.defaultScalars(*model.entry)));
    int64_t count = sequences * model.context;
    sum += static_cast<double>(results.at(format::name::kLoss).as<float>()[0]) * static_cast<double>(count);
    record.tokens += count;
  }
  if (record.tokens > 0)
    record.loss = sum / static_cast<double>(record.tokens);
  record.layers = readLayerUsage(session, *model.entry);
  return record;
}

} // namespace peer::runtime
