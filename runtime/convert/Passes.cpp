#include "Passes.h"

#include <algorithm>
#include <string>

namespace peer::runtime {

std::span<const ConversionOption> conversionOptions() {
  static const std::vector<ConversionOption> options{
      {"factor", "N", "split-experts: parts of an expert; merge-experts: experts that become one [2]"},
      {"form",
       "FORM",
       "upcycle: 'moe', experts in place of the layer, or 'peer', a PEER layer beside it [moe]",
       {"moe", "peer"}},
      {"experts", "N",
       "upcycle: experts, of a PEER layer a square [8]; moefy: groups of hidden units [16]; prune-experts: what a "
       "layer keeps; pesc: adapters [8]; dsmoe: blocks of hidden units [8]"},
      {"top-k", "K", "Experts that a token takes, or a head of it [upcycle, pesc: 2; moefy: 4]"},
      {"adapter", "N", "pesc: hidden units of an adapter [64]"},
      {"sparsity", "X", "dsmoe: what the share of blocks that are on weighs in the training loss [0.01]"},
      {"widths",
       "N,...",
       "matformer: hidden units that dense layers keep, a number for each or one for all",
       {},
       true,
       true},
      {"heads", "H", "upcycle: heads of a PEER layer [4]"},
      {"grouping",
       "KIND",
       "moefy: which hidden units are a group [coactivation]",
       {"coactivation", "weights", "random"},
       true},
      {"by",
       "KIND",
       "prune-experts: what says which experts are kept [usage]",
       {"usage", "similarity", "random"},
       true},
      {"how",
       "HOW",
       "prune-experts: what becomes of the others: 'drop', or 'merge' into the kept one with the likest router [drop]",
       {"drop", "merge"}},
      {"bits", "N", "quantize: of an element [8]", {"8", "4"}},
      {"group", "N", "quantize: elements with a scale of their own, a multiple of 32 [a vector; with 4 bits 32]"},
      {"format", "KIND", "quantize: whole numbers, or floating-point ones of 8 bits (f8E4M3FN) [int]", {"int", "fp8"}},
      {"tables",
       "WHICH",
       "quantize: pools of experts, weights of dense linear layers, embeddings [all]",
       {"all", "experts", "dense", "embeddings"}},
      {"blocks", "N", "drop-blocks: blocks that are kept, or with a % their share", {}, true, true},
      {"importance",
       "KIND",
       "drop-blocks: what says which are: the loss without them, how like what they take is what they return, chance "
       "[loss]",
       {"loss", "similarity", "random"},
       true},
      {"router", "KIND", "moefy: what scores the groups [linear]", {"linear", "similarity", "random"}, true},
  };
  return options;
}

const ConversionOption &findConversionOption(std::string_view name) {
  return *std::ranges::find(conversionOptions(), name, &ConversionOption::name);
}

std::span<const Conversion> conversions() {
  static const std::vector<Conversion> all{
      {"split-experts", {"factor"}, "smaller experts, more of which are selected; the function stays the same"},
      {"merge-experts", {"factor"}, "the inverse, for experts with the same row of the router"},
      {"prune-experts",
       {"experts", "by", "how"},
       "fewer experts, those that the text uses, with the others or without; wants --experts, which a layer keeps"},
      {"upcycle",
       {"form", "experts", "top-k", "heads"},
       "experts from a dense layer, or beside it; the function stays the same, to be trained on"},
      {"moefy",
       {"experts", "top-k", "grouping", "router"},
       "groups of a dense layer's hidden units, some of which a token takes; the same with all"},
      {"quantize",
       {"bits", "format", "group", "tables"},
       "pools, weights of linear layers and embeddings as int8, int4 or fp8 with scales, for inference; no training "
       "after it"},
      {"dsmoe",
       {"experts", "sparsity"},
       "blocks of a dense layer's hidden units, each behind a gate that is on or off; to be trained on"},
      {"pesc",
       {"experts", "top-k", "adapter"},
       "adapters as experts on dense layers, which are frozen; the function stays the same, to be trained on"},
      {"matformer", {"widths"}, "the model of dense layers' first hidden units; wants --widths"},
      {"drop-blocks",
       {"blocks", "importance"},
       "fewer blocks of those that return what they take; wants --blocks, which are kept"},
  };
  return all;
}

Result<const Conversion *> findConversion(std::string_view name) {
  std::string names;
  for (const Conversion &conversion : conversions()) {
    if (conversion.name == name)
      return &conversion;
    names += concat(names.empty() ? "" : ", ", conversion.name);
  }
  return Status::error("there is no conversion \"", name, "\": expected ", names, ", or a pass of a --plugin");
}

} // namespace peer::runtime
