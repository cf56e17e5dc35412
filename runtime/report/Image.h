// Images within a document.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace peer::runtime {

/// Encodes an image of palette indices as a PNG; empty where that is impossible (no pixels, or no memory).
std::string encodePng(std::span<const uint8_t> indices, int64_t width, int64_t height,
                      std::span<const std::array<uint8_t, 3>> palette);

/// Base64 with padding, for data URIs.
std::string encodeBase64(std::string_view bytes);

} // namespace peer::runtime
