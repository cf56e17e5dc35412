#include "Blocks.h"

#include "core/File.h"
#include "model/Random.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace peer::runtime {
namespace {

using Names = std::vector<std::string>;

class BlockChoice {
public:
  BlockChoice(ConvertBench &bench, const TensorMap &before, ConvertReport &report)
      : bench(bench), before(before), report(report) {}
  Result<ConvertBench::Settings> run();

private:
  Status findBlocks();
  Status readBudget();
  Result<Measurement> without(const Names &dropped, int64_t tokens);
  Result<Names> greedyOrder();
  Result<Names> orderOfSimilarity();
  Names orderByChance() const;
  Status measureCurve(const std::vector<std::pair<std::string, Names>> &orders);

  ConvertBench &bench;
  const TensorMap &before;
  ConvertReport &report;
  Names blocks;
  size_t drops = 0;
};

ConvertBench::Settings settingsOf(const Names &dropped, size_t count) {
  std::string list;
  for (size_t i = 0; i < count; ++i)
    list += (i ? "," : "") + dropped[i];
  return list.empty() ? ConvertBench::Settings() : ConvertBench::Settings{{"drop", list}};
}

/// What the pass says that there is, when it is to drop nothing.
Status BlockChoice::findBlocks() {
  std::string description = bench.out.file("all.mlir"), plan = bench.out.file("all.json");
  PEER_TRY(bench.rewrite(description, plan));
  PEER_TRY_ASSIGN(std::string text, readFile(plan));
  nlohmann::json json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  for (const nlohmann::json &layer : json.value("layers", nlohmann::json::array()))
    blocks.push_back(layer.value("name", ""));
  std::error_code ignored;
  std::filesystem::remove(description, ignored);
  std::filesystem::remove(plan, ignored);
  return {};
}

Status BlockChoice::readBudget() {
  std::string given = bench.setting("blocks"), digits = given.substr(0, given.find('%'));
  auto count = static_cast<int64_t>(blocks.size());
  bool isNumber = !digits.empty() && digits.size() < 10 && std::ranges::all_of(digits, ::isdigit) &&
                  (given == digits || given == digits + "%");
  int64_t kept = isNumber ? std::stoll(digits) : 0;
  if (isNumber && given != digits)
    kept = kept > 100 ? 0 : std::max<int64_t>(kept * count / 100, kept > 0);
  if (kept < 1 || kept > count)
    return Status::error(given.empty() ? "drop-blocks wants --blocks" : "--blocks", ": expected between 1 and the ",
                         count, " blocks of ", bench.options.model, ", or a share as 75%",
                         given.empty() ? "" : concat(", got '", given, "'"));
  drops = static_cast<size_t>(count - kept);
  return {};
}

Result<Measurement> BlockChoice::without(const Names &dropped, int64_t tokens) {
  return bench.measureWith(
      settingsOf(dropped, dropped.size()), before, [](const std::string &) { return Decisions(); }, tokens);
}

/// Each time the block without which the loss on the calibration tokens is least.
Result<Names> BlockChoice::greedyOrder() {
  Names dropped;
  PEER_TRY_ASSIGN(Measurement whole, without({}, bench.options.calibrationTokens));
  while (dropped.size() < std::max<size_t>(drops, 1)) {
    std::pair<double, std::string> least(INFINITY, "");
    for (const std::string &block : blocks) {
      if (std::ranges::find(dropped, block) != dropped.end())
        continue;
      Names tried = dropped;
      tried.push_back(block);
      PEER_TRY_ASSIGN(Measurement measured, without(tried, bench.options.calibrationTokens));
      if (dropped.empty())
        report.notes[block].emplace_back("importance", measured.loss - whole.loss);
      if (measured.loss < least.first)
        least = {measured.loss, block};
    }
    dropped.push_back(least.second);
  }
  dropped.resize(drops);
  return dropped;
}

/// The blocks that change least come first: by the mean cosine of what a token is before and after.
Result<Names> BlockChoice::orderOfSimilarity() {
  std::map<std::string, double> similarity;
  auto see = [&](const TensorMap &seen, int64_t, int64_t total) -> Status {
    for (const std::string &block : blocks) {
      auto in = seen.find(block + ".in"), out = seen.find(block + ".out");
      if (in == seen.end() || out == seen.end())
        return Status::error("the block \"", block, "\" of ", bench.options.model, " does nothing for its loss");
      if (in->second.dtype() != DType::F32 || in->second.shape().size() != 2)
        return Status::error("the block \"", block, "\" of ", bench.options.model, " takes ",
                             typeText(in->second.dtype(), in->second.shape()), ", expected tokens x width of f32");
      int64_t tokens = in->second.shape()[0], width = in->second.shape()[1];
      const float *x = in->second.as<float>().data(), *y = out->second.as<float>().data();
      for (int64_t t = 0; t < tokens; ++t) {
        double product = 0, xx = 0, yy = 0;
        for (int64_t i = t * width; i < (t + 1) * width; ++i) {
          product += double{x[i]} * double{y[i]};
          xx += double{x[i]} * double{x[i]};
          yy += double{y[i]} * double{y[i]};
        }
        similarity[block] +=
            product / std::max(std::sqrt(xx * yy), 1e-30) / static_cast<double>(tokens) / static_cast<double>(total);
      }
    }
    return {};
  };
  std::string passes = "peer-drop-blocks{marks", layers;
  for (const std::string &layer : bench.options.layers)
    layers += (layers.empty() ? " layers=" : ",") + layer;
  PEER_TRY(bench.calibrate(concat(passes, layers, "},peer-inline-modules,peer-calibrate{of=marks}"), before, see));
  Names order = blocks;
  std::ranges::stable_sort(order, std::greater(), [&](const std::string &block) { return similarity.at(block); });
  for (const std::string &block : blocks)
    report.notes[block].emplace_back("similarity", similarity.at(block));
  return order;
}

Names BlockChoice::orderByChance() const {
  RandomStream random(bench.options.seed, "blocks");
  std::vector<std::pair<uint64_t, std::string>> drawn;
  for (const std::string &block : blocks)
    drawn.emplace_back(random.bits(drawn.size()), block);
  std::ranges::sort(drawn);
  Names order;
  for (const auto &[ignored, block] : drawn)
    order.push_back(block);
  return order;
}

/// The first order is the one that is taken.
Status BlockChoice::measureCurve(const std::vector<std::pair<std::string, Names>> &orders) {
  report.curveOf = "dropped";
  for (size_t count = 1; count <= drops; ++count) {
    CurvePoint point{static_cast<int64_t>(blocks.size() - count), 0, orders.front().second[count - 1]};
    for (const auto &[which, order] : orders) {
      PEER_TRY_ASSIGN(
          Measurement measured,
          without(Names(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count)), bench.options.evalTokens));
      if (point.losses.empty())
        point.share = static_cast<double>(measured.parameters) / static_cast<double>(report.before.parameters);
      point.losses.emplace_back(which, measured.loss);
    }
    report.curve.push_back(point);
  }
  return {};
}

Result<ConvertBench::Settings> BlockChoice::run() {
  PEER_TRY(findBlocks());
  PEER_TRY(readBudget());
  std::vector<std::pair<std::string, Names>> orders;
  size_t choice = bench.choiceOf("importance");
  if (choice == 0) {
    PEER_TRY_ASSIGN(Names greedy, greedyOrder());
    orders.emplace_back("loss", greedy);
  }
  PEER_TRY_ASSIGN(Names similar, orderOfSimilarity());
  orders.emplace_back("loss_by_similarity", similar);
  orders.emplace_back("loss_by_chance", orderByChance());
  if (choice == 2)
    std::swap(orders[0], orders[1]);
  if (choice > 0)
    orders[0].first = "loss";
  PEER_TRY(measureCurve(orders));
  return settingsOf(orders.front().second, drops);
}

} // namespace

Result<ConvertBench::Settings> chooseBlocks(ConvertBench &bench, const TensorMap &before, ConvertReport &report) {
  return BlockChoice(bench, before, report).run();
}

} // namespace peer::runtime
