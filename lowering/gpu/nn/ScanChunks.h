//===- ScanChunks.h - scans whose sequences are cut into chunks ----------===//
//
// Few channels of few sequences leave a large GPU idle if a thread walks from a sequence's start to its end. What a chunk of rows
// makes of the states before it is their decay, exp(a * sum of delta), and what its own rows add. So all chunks are walked through
// at once from zeros, a thread for each state carries these ends from chunk to chunk, and all are walked through again from where
// they really begin. That is twice the work for as many times the threads as a sequence has chunks.
//
//===----------------------------------------------------------------------===//

#ifndef PEER_LOWERING_GPU_NN_SCANCHUNKS_H
#define PEER_LOWERING_GPU_NN_SCANCHUNKS_H

#include "lowering/gpu/GpuInfo.h"
#include "lowering/gpu/block/BlockBuilder.h"
#include "lowering/nn/SelectiveScan.h"

namespace peer::device {

/// A thread for each channel of each row, or of each sequence or chunk, of `x`; `body` gets the number of the row, sequence or chunk.
void launchChannels(LoopBuilder &host, mlir::Value x, mlir::Value rows,
                    llvm::function_ref<void(BlockBuilder &b, mlir::Value row, mlir::Value channel)> body);

/// Launches `chunked` for `sequences` of `rows` (index) of `width` channels where they are long, and few; otherwise `whole`. The host
/// chooses where a size is not known before. `chunked` gets the number of sequences, 0 where it is not taken: for sizes of scratch.
void chooseScan(LoopBuilder &host, mlir::Value rows, mlir::Value sequences, int64_t width, const GpuInfo &gpu,
                llvm::function_ref<void(mlir::Value sequences)> chunked, llvm::function_ref<void()> whole);

/// States that a lane has in registers on the way back: each has a gradient and a sum for a beside it.
inline constexpr int64_t kGradStates = 8;

/// A group of channels, of which a warp's lane i has channel i; those beyond have the last one's numbers, which count nowhere.
class ScanGroup {
public:
  ScanGroup(BlockBuilder &b, mlir::Value number, int64_t channels);
  /// buffer[at] = the sum of all channels' shares.
  void putSum(mlir::Value share, mlir::Value buffer, mlir::ValueRange at) const;
  /// What lanes with a channel of their own do.
  void onChannels(llvm::function_ref<void()> body) const { has ? b.ifThen(has, body) : body(); }

  mlir::Value number, channel;

private:
  BlockBuilder &b;
  mlir::Value has; // null: all do
};

/// The launches of scans that are cut.
class ScanChunks {
public:
  /// `in.first` is not read. `rows` of each of `sequences` (index).
  ScanChunks(LoopBuilder &host, nn::ScanInputs in, mlir::Value rows, mlir::Value sequences);

  /// y; where there is a `state`, the one sequence goes on at `position` (index) from it, and leaves its last one there.
  void emit(mlir::Value y, mlir::Value state = {}, mlir::Value position = {});
  /// Gradients, of which `out.sequence` and `out.group` are not read; see selective_scan_grad.
  void emitGrad(mlir::Value dy, nn::ScanOutputs out, int64_t channels);

private:
  using Value = mlir::Value;
  struct Chunk {
    Value sequence, number, first, count;
  };
  Chunk chunkOf(LoopBuilder &b, Value slot) const;
  nn::ScanStrip stripOf(LoopBuilder &b, const Chunk &chunk, Value channel, int64_t from, int64_t count) const;
  llvm::SmallVector<Value> load(LoopBuilder &b, Value buffer, Value slot, Value channel, int64_t from,
                                int64_t count) const;
  /// The states before each chunk, `before`; the sums of its delta, `sums`.
  void emitStarts(Value state, Value position);
  void store(LoopBuilder &b, mlir::ValueRange values, Value buffer, Value slot, Value channel, int64_t from) const;
  /// A thread for each state of each sequence.
  void launchStates(llvm::function_ref<void(BlockBuilder &b, Value sequence, Value n, Value channel)> body);
  /// From what each chunk makes of zeros, in `buffer`, to what there is at its start, or behind it.
  void carry(Value buffer, bool back, llvm::function_ref<Value(LoopBuilder &b, mlir::ValueRange at)> begin = nullptr);
  Value allocateStates();

  LoopBuilder &host;
  nn::ScanInputs in;
  Value rows, sequences, chunks, slots; // chunks of a sequence, and of all
  int64_t states, width;
  Value before, sums;
};

} // namespace peer::device

#endif // PEER_LOWERING_GPU_NN_SCANCHUNKS_H
