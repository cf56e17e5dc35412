//===- PackedKeys.h - keys as integers of 8 bits -------------------------===//

#ifndef PEER_LOWERING_CPU_PACKEDKEYS_H
#define PEER_LOWERING_CPU_PACKEDKEYS_H

#include "RowTopK.h"

namespace peer::cpu {

/// A vector in integers: x is unit * x' + rest, a power of two times whole numbers and what rounding left.
struct Quantized {
  mlir::Value fits;        // all elements are numbers, and not huge
  mlir::Value scale, unit; // 1 / unit, and unit
  mlir::Value norm, miss;  // upper bounds of |x| and |rest|, divided by unit
};

/// The largest |x| of a vector's d elements, and whether all are numbers, and not huge: what it is where they are not is open.
struct Magnitude {
  mlir::Value value, fits;
};
Magnitude emitMagnitude(LoopBuilder &b, mlir::Value vector, int64_t d, int64_t width);

/// Writes the integers of `vector`, d elements of at most `bits` bits beside their sign, as pairs of 16 bits, `width` pairs at a time: those of
/// elements at .. at + width in the low halves, of the next `width` in the high ones.
Quantized emitQuantized(LoopBuilder &b, mlir::Value vector, int64_t d, int64_t width, int64_t bits,
                        llvm::function_ref<void(mlir::Value at, mlir::Value pairs)> keep);

/// A norm is at most this much larger than its computed value.
inline constexpr double kNormError = 1.0 / 1024;
/// An upper bound of a norm, of lanes of sums of squares. Those that are nothing in f32 are not in it.
mlir::Value emitNorm(LoopBuilder &b, mlir::Value squares);

/// The bytes of `pack_keys`: a header, of which the first says whether there are keys and bounds of their scores; then for all keys what follows a
/// key, f32; then blocks of keys, of each its first word of elements, its second and so on, 8 bits each; then what `TileScores` wants of them.
/// A word has two elements, of a block of two vectors of keys, or where `Quads` are taken four, of one vector.
class PackedKeys {
public:
  /// `dots`: the CPU has an instruction for a word of `Quads`.
  PackedKeys(LoopBuilder &b, int64_t n, int64_t d, int64_t width, bool dots);

  /// Bits of an integer beside its sign, of two in a word.
  static constexpr int64_t kBits = 7;
  /// What follows a key: its unit, and its norms times that. What fills the last block has no number for a unit.
  enum Bound { Unit, Norm, Miss, kBounds };
  /// Vectors of keys in a block.
  static int64_t vectorsOf(int64_t width) { return width == 8 ? 1 : 2; }
  int64_t vectors() const { return vectorsOf(width); }
  int64_t blockKeys() const { return vectors() * width; }
  int64_t paddedKeys() const { return llvm::alignTo(n, blockKeys()); }
  /// Words of 32 bits of a query.
  int64_t numWords() const { return words; }

  /// Memory for packing, and for one head and half. Outside of loops.
  void allocate();
  void free();
  mlir::Value memory() const { return row; }

  /// Packs keys, `n x d`, into a row of bytes.
  void emitKeys(mlir::Value keys, mlir::Value row);

  /// Whether a row has been written, and whether it bounds scores: all elements of its keys are numbers, and not huge.
  mlir::Value emitIsMade(mlir::Value row);
  mlir::Value emitFits(mlir::Value row);
  /// Of the keys from j on.
  mlir::Value loadBounds(mlir::Value row, Bound which, mlir::Value j);
  /// Where in a row `TileScores` keeps keys in a form of its own, in which it has two of the header's words, and keys there are at most.
  static int64_t tilesFrom(int64_t n, int64_t d);
  static constexpr int64_t kTileWords = 8;
  /// What its first byte says, and the first of these words. Memory of zeros is a row that nobody wrote.
  static constexpr int64_t kFits = 1, kFitsNot = 2;
  static int64_t capacityOf(int64_t n) { return llvm::alignTo(n, 32); }

  /// Writes the words of a query, of up to `bits` bits beside the sign where words have two; from what its sums begin (i32).
  std::pair<Quantized, mlir::Value> emitQuery(mlir::Value query, int64_t bits,
                                              llvm::function_ref<void(mlir::Value at, mlir::Value words)> keep);
  /// A word of a block's v-th vector of keys: two elements, widened to 16 bits, or the four of a quad.
  mlir::Value loadWord(mlir::Value row, mlir::Value block, mlir::Value word, int64_t v);
  /// sum + the products of that and a query's, 32 bits each; of as many words as are multiplied together.
  mlir::Value emitProducts(mlir::ValueRange keys, mlir::ValueRange query, mlir::Value sum);
  int64_t wordsTogether() const;

private:
  mlir::Value boundsAt(Bound which, mlir::Value j);
  int64_t elements() const { return quads ? 4 : 2; }
  mlir::Value wordsAt(mlir::Value block, mlir::Value word, mlir::Value key);
  /// Packs a key's integers as a row of `square`, and what keys of its lane have in a row of bytes.
  Quantized emitKey(mlir::Value key, mlir::Value lane);
  mlir::Value emitBytes(mlir::Value words);

  LoopBuilder &b;
  int64_t n, d, width;
  bool dots, quads;
  int64_t words;
  mlir::Value row, square, follows, fit;
};

/// A vector of these elements at a byte of a row of bytes, and back.
mlir::Value loadBytes(LoopBuilder &b, mlir::Value row, mlir::Value at, mlir::VectorType type);
void storeBytes(LoopBuilder &b, mlir::Value vector, mlir::Value row, mlir::Value at);

/// One vector per row of a square matrix to one per column.
void emitTranspose(LoopBuilder &b, llvm::MutableArrayRef<mlir::Value> rows);

/// A constant vector of i32.
mlir::Value emitIntegers(LoopBuilder &b, int64_t value, int64_t width);

} // namespace peer::cpu

#endif // PEER_LOWERING_CPU_PACKEDKEYS_H
