// An HTML document with nothing outside it, to be read in any browser, light or dark.
#pragma once

#include <string>
#include <string_view>

namespace peer::runtime {

/// Colours of the palette: the CSS classes c0, c1, ... Colour 2 is the grey of reference lines.
inline constexpr int kPaletteColours = 9, kReferenceColour = 2;

/// The document with this title and, below it, this HTML.
std::string renderPage(std::string_view title, const std::string &body);

} // namespace peer::runtime
