// Tables of experts as int8, a scale per vector.

#include "Quantize.h"

#include "convert/Rounding.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>

namespace peer::runtime {
namespace {

/// Bytes of a file that are held at once.
constexpr uint64_t kPieceBytes = 16 << 20;

std::string scaleName(std::string_view table) { return concat(table, ".scale"); }

/// One table of a file, by its vectors.
class Table {
public:
  Table(const SafetensorsFile &file, std::string_view name) : file(file), name(name), info(at(file, name)) {
    width = info.shape[2];
    vectors = info.shape[0] * info.shape[1];
  }

  static const TensorInfo &at(const SafetensorsFile &file, std::string_view name) {
    return file.tensors().find(name)->second;
  }

  /// Calls visit(values, how many vectors) for one piece after the other.
  Status forEachPiece(const std::function<Status(const std::vector<float> &, int64_t)> &visit) const {
    uint64_t vectorBytes = static_cast<uint64_t>(width) * dtypeSize(info.dtype);
    int64_t most = std::max<int64_t>(1, static_cast<int64_t>(kPieceBytes / std::max<uint64_t>(vectorBytes, 1)));
    std::vector<float> values;
    std::vector<uint16_t> narrow;
    for (int64_t first = 0; first < vectors; first += most) {
      int64_t count = std::min(most, vectors - first);
      values.resize(static_cast<size_t>(count * width));
      bool isNarrow = info.dtype == DType::BF16;
      narrow.resize(isNarrow ? values.size() : 0);
      PEER_TRY(file.readBytes(name, static_cast<uint64_t>(first) * vectorBytes,
                              isNarrow ? static_cast<void *>(narrow.data()) : values.data(),
                              static_cast<uint64_t>(count) * vectorBytes));
      std::transform(narrow.begin(), narrow.end(), values.begin(), bf16ToFloat);
      for (size_t i = 0; i < values.size(); ++i)
        if (!std::isfinite(values[i]))
          return Status::error(file.path(), ": tensor \"", name, "\" holds a value that is not finite in row ",
                               (first + static_cast<int64_t>(i) / width) / info.shape[1]);
      PEER_TRY(visit(values, count));
    }
    return {};
  }

  /// The scales of a piece, and its bytes.
  std::vector<float> scales(const std::vector<float> &values, int64_t count) const {
    std::vector<float> result(static_cast<size_t>(count));
#pragma omp parallel for schedule(static)
    for (int64_t vector = 0; vector < count; ++vector)
      result[static_cast<size_t>(vector)] = Rounding().scales(of(values, vector)).front();
    return result;
  }
  std::vector<int8_t> quantized(const std::vector<float> &values, int64_t count) const {
    std::vector<float> scale = scales(values, count);
    std::vector<int8_t> result(values.size());
#pragma omp parallel for schedule(static)
    for (int64_t vector = 0; vector < count; ++vector)
      std::ranges::copy(Rounding().bytes(of(values, vector), std::span(scale).subspan(static_cast<size_t>(vector), 1)),
                        result.begin() + vector * width);
    return result;
  }

private:
  std::span<const float> of(const std::vector<float> &values, int64_t vector) const {
    return std::span(values).subspan(static_cast<size_t>(vector * width), static_cast<size_t>(width));
  }

  const SafetensorsFile &file;
  std::string name;
  const TensorInfo &info;
  int64_t width, vectors;
};

Status checkTables(const SafetensorsFile &file, const std::vector<std::string> &tables) {
  std::set<std::string_view> seen;
  for (const std::string &table : tables) {
    if (!seen.insert(table).second)
      return Status::error("tensor \"", table, "\" is named twice");
    auto found = file.tensors().find(table);
    if (found == file.tensors().end())
      return Status::error(file.path(), " has no tensor \"", table, "\"");
    const TensorInfo &info = found->second;
    if (info.shape.size() != 3 || (info.dtype != DType::F32 && info.dtype != DType::BF16))
      return Status::error(file.path(), ": tensor \"", table, "\" is ", typeText(info.dtype, info.shape),
                           ", expected a table of f32 or bf16: rows x vectors x width");
    if (std::find(info.shape.begin(), info.shape.end(), 0) != info.shape.end())
      return Status::error(file.path(), ": tensor \"", table, "\" is ", typeText(info.dtype, info.shape),
                           ", which has no elements to quantize");
    if (file.contains(scaleName(table)))
      return Status::error(file.path(), " has a tensor \"", scaleName(table), "\" already");
  }
  return {};
}

Status copyTensor(const SafetensorsFile &file, const std::string &name, SafetensorsWriter &writer) {
  const TensorInfo &info = Table::at(file, name);
  std::vector<char> piece;
  for (uint64_t at = 0, bytes = info.end - info.begin; at < bytes; at += piece.size()) {
    piece.resize(std::min(kPieceBytes, bytes - at));
    PEER_TRY(file.readBytes(name, at, piece.data(), piece.size()));
    PEER_TRY(writer.append(piece.data(), piece.size()));
  }
  return {};
}

} // namespace

Result<QuantizeSummary> quantizeFile(const std::string &weights, const std::vector<std::string> &tables,
                                     const std::string &out) {
  PEER_TRY_ASSIGN(SafetensorsFile file, SafetensorsFile::open(weights));
  PEER_TRY(checkTables(file, tables));
  QuantizeSummary summary;
  std::vector<TensorHeader> headers;
  std::map<std::string, std::string, std::less<>> tableOfScale;
  for (const auto &[name, info] : file.tensors()) {
    bool chosen = std::find(tables.begin(), tables.end(), name) != tables.end();
    headers.push_back({name, chosen ? DType::I8 : info.dtype, info.shape});
    if (!chosen)
      continue;
    headers.push_back({scaleName(name), DType::F32, {info.shape[0], info.shape[1]}});
    tableOfScale[scaleName(name)] = name;
    ++summary.tensors;
    summary.before += info.end - info.begin;
    summary.after += static_cast<uint64_t>(*byteCount(DType::I8, info.shape)) +
                     static_cast<uint64_t>(*byteCount(DType::F32, headers.back().shape));
  }
  PEER_TRY_ASSIGN(SafetensorsWriter writer, SafetensorsWriter::create(out, std::move(headers), file.metadata()));
  for (const TensorHeader &item : writer.order()) {
    if (auto scale = tableOfScale.find(item.name); scale != tableOfScale.end()) {
      Table table(file, scale->second);
      PEER_TRY(table.forEachPiece([&](const std::vector<float> &values, int64_t count) {
        std::vector<float> scales = table.scales(values, count);
        return writer.append(scales.data(), scales.size() * sizeof(float));
      }));
    } else if (tableOfScale.contains(scaleName(item.name))) {
      Table table(file, item.name);
      PEER_TRY(table.forEachPiece([&](const std::vector<float> &values, int64_t count) {
        std::vector<int8_t> bytes = table.quantized(values, count);
        return writer.append(bytes.data(), bytes.size());
      }));
    } else {
      PEER_TRY(copyTensor(file, item.name, writer));
    }
  }
  PEER_TRY(writer.commit());
  return summary;
}

} // namespace peer::runtime
