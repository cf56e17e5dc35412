// Generates text with a language model's prefill and decode entries.

#include "Generate.h"

#include "artifact/format.h"

#include "model/Random.h"

#include <algorithm>
#include <chrono>

namespace peer::runtime {
namespace {

using Clock = std::chrono::steady_clock;

double secondsBetween(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

/// Checks that an entry is `tokens`, i32 [T] or [fixed], and maybe the scalar `position` -> `logits` f32 [T, V].
Status checkEntry(const Entry &entry, const std::string &path) {
  for (const Argument &argument : entry.arguments)
    if (argument.role == Role::Input &&
        (argument.name != "tokens" || argument.dtype != DType::I32 || argument.shape.size() != 1))
      return Status::error("the entry ", entry.name, " of ", path, " takes '", argument.name, "', ",
                           typeText(argument.dtype, argument.shape), ": expected only 'tokens', i32 [T]");
  if (!entry.findArgument("tokens"))
    return Status::error("the entry ", entry.name, " of ", path, " takes no 'tokens'");
  const ResultInfo *logits = entry.findResult("logits");
  if (!logits || logits->dtype != DType::F32 || logits->shape.size() != 2 || logits->shape[1] <= 0)
    return Status::error("the entry ", entry.name, " of ", path, " returns no 'logits', f32 [T, V]");
  return {};
}

Result<const Entry *> findEntry(const Session &session, EntryKind kind) {
  const Entry *entry = session.manifest().findEntry(kind);
  if (!entry)
    return Status::error(session.path(), " has no ", entryKindName(kind),
                         " entry: expected a language model compiled for generation");
  PEER_TRY(checkEntry(*entry, session.path()));
  return entry;
}

/// The token counts that a prefill call may have.
struct PrefillSizes {
  int64_t multipleOf = 1, most = 0;
};

PrefillSizes prefillSizes(const Manifest &manifest, const Entry &prefill) {
  if (int64_t fixed = prefill.findArgument("tokens")->shape[0]; fixed != kDynamic)
    return {fixed, fixed};
  if (prefill.most > 0)
    return {prefill.multipleOf, prefill.most};
  // Without a limit of its own, the model was trained on contexts of this length.
  for (EntryKind kind : {EntryKind::Train, EntryKind::Loss})
    if (const Entry *entry = manifest.findEntry(kind); entry && entry->multipleOf > 1)
      return {prefill.multipleOf, entry->multipleOf};
  return {prefill.multipleOf, INT64_MAX};
}

/// Runs tokens from `position` on and returns the last one's logits.
Result<std::vector<float>> runTokens(Session &session, const Entry &entry, std::span<const int32_t> tokens,
                                     int64_t position) {
  TensorMap inputs;
  PEER_TRY_ASSIGN(inputs["tokens"], Tensor::zeros(DType::I32, {static_cast<int64_t>(tokens.size())}, "tokens"));
  std::copy(tokens.begin(), tokens.end(), inputs["tokens"].as<int32_t>().begin());
  ScalarMap scalars = session.defaultScalars(entry);
  if (auto scalar = scalars.find(format::name::kPosition); scalar != scalars.end())
    scalar->second = static_cast<double>(position);
  PEER_TRY_ASSIGN(TensorMap results, session.call(entry, inputs, scalars));
  std::span<const float> logits = results.at("logits").as<float>();
  size_t vocabulary = logits.size() / tokens.size();
  return std::vector<float>(logits.end() - static_cast<ptrdiff_t>(vocabulary), logits.end());
}

} // namespace

Result<GenerateStats> generateText(Session &session, const GenerateOptions &options,
                                   const std::function<bool(char)> &emit) {
  PEER_TRY_ASSIGN(const Entry *prefill, findEntry(session, EntryKind::Prefill));
  PEER_TRY_ASSIGN(const Entry *decode, findEntry(session, EntryKind::Decode));
  PEER_TRY(session.prepare(*prefill));
  PEER_TRY(session.prepare(*decode));
  session.clearStates();

  std::string text = options.prompt.empty() ? "\n" : options.prompt;
  PrefillSizes sizes = prefillSizes(session.manifest(), *prefill);
  if (static_cast<int64_t>(text.size()) > sizes.most)
    text.erase(0, text.size() - static_cast<size_t>(sizes.most));
  std::vector<int32_t> tokens(text.size());
  std::transform(text.begin(), text.end(), tokens.begin(), [](char c) { return static_cast<unsigned char>(c); });

  GenerateStats stats;
  stats.promptTokens = static_cast<int64_t>(tokens.size());
  Clock::time_point begin = Clock::now();
  // What does not fill a multiple is read token by token.
  int64_t position = stats.promptTokens / sizes.multipleOf * sizes.multipleOf;
  std::span<const int32_t> prompt(tokens);
  std::vector<float> logits;
  if (position > 0) {
    PEER_TRY_ASSIGN(logits, runTokens(session, *prefill, prompt.first(position), 0));
  }
  for (; position < stats.promptTokens; ++position) {
    PEER_TRY_ASSIGN(logits, runTokens(session, *decode, prompt.subspan(position, 1), position));
  }
  Clock::time_point start = Clock::now();
  stats.prefillSeconds = secondsBetween(begin, start);

  RandomStream random(options.seed, "generated tokens");
  while (stats.generated < options.tokens) {
    // Bytes are the vocabulary; logits beyond them (padding of the head) cannot be chosen.
    std::span<const float> bytes(logits.data(), std::min<size_t>(logits.size(), 256));
    int64_t token = sampleToken(bytes, options.sample, random.uniform(static_cast<uint64_t>(stats.generated)));
    if (token < 0)
      return Status::error("all logits of ", session.path(), " are NaN after ", stats.generated,
                           " tokens: the weights are damaged or diverged");
    ++stats.generated;
    if (!emit(static_cast<char>(token)) || stats.generated == options.tokens)
      break;
    int32_t next = static_cast<int32_t>(token);
    PEER_TRY_ASSIGN(logits, runTokens(session, *decode, {&next, 1}, position++));
  }
  stats.decodeSeconds = secondsBetween(start, Clock::now());
  return stats;
}

} // namespace peer::runtime
