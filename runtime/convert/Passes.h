// The conversions that peer-run knows by name.
#pragma once

#include "core/Status.h"

#include <span>
#include <string_view>
#include <vector>

namespace peer::runtime {

/// An option of conversions: one of `values`, or where there are none a whole number, a number (of the type "X"), or a text. The pass of the compiler gets it, and checks it with the model
/// before it, unless it is for the weights half.
struct ConversionOption {
  std::string_view name, type, help;
  std::vector<std::string_view> values = {};
  bool forWeights = false, isText = false;
};

/// A conversion: its description half is peer-opt's --peer-NAME.
struct Conversion {
  std::string_view name;
  std::vector<std::string_view> options;
  /// What it does, and when the function stays the same.
  std::string_view help;
};

std::span<const Conversion> conversions();
std::span<const ConversionOption> conversionOptions();
const ConversionOption &findConversionOption(std::string_view name);

/// Fails, saying which there are, on a name of none.
Result<const Conversion *> findConversion(std::string_view name);

} // namespace peer::runtime
