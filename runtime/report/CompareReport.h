// What a comparison of models found, as tables and as a page with curves.
#pragma once

#include "lm/compare/Comparison.h"

namespace peer::runtime {

/// A table as rows of cells, the first of which is the heading, and what is said above and below it.
struct CompareTable {
  std::string title;
  std::vector<std::vector<std::string>> rows;
};

/// One table for each budget, then those of expert pools and of learning rates. Cells are short and without a unit, which the heading has.
std::vector<CompareTable> compareTables(const Comparison &comparison);

/// What the columns mean, in sentences, one an element.
std::vector<std::string> compareNotes(const Comparison &comparison);

/// The same as Markdown.
std::string compareMarkdown(const Comparison &comparison);

/// The same as an HTML document, with curves: the validation loss against steps and against seconds, a line for the mean of a model's seeds and an area
/// between the lowest and the highest.
std::string compareHtml(const Comparison &comparison);

} // namespace peer::runtime
