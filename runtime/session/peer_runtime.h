/* The C interface of libpeer_runtime.so: load a compiled model, give it parameters, call its functions on memory of the caller's.
 *
 * Every function that can fail returns a status: PEER_OK, or PEER_ERROR after which peer_last_error() has one sentence. No exception leaves the
 * library, and it prints nothing. A handle may be used by several threads: peer_run of a function that updates nothing runs in all of them at once
 * where the model is one for the CPU, and everything else waits for its turn.
 *
 * Functions of a language model by kind (`peer-run inspect MODEL.peer` lists those of any model, with their arguments, and peer_manifest has all
 * that is known of them):
 *
 *   kind      arguments                                                      results
 *   loss      tokens, targets: i32 [T]                                       loss: f32 []
 *   train     tokens, targets: i32 [T]; step, learning_rate.GROUP: f32 []    loss, gradient_norm.GROUP: f32 []
 *   prefill   tokens: i32 [T]; position: i32 []                              logits: f32 [T, V]
 *   decode    tokens: i32 [1]; position: i32 []                              logits: f32 [1, V]
 *
 * An artifact of peer-opt --accumulate has the step of train in two parts, too, accumulate and update, so that gradients can be summed over
 * calls: runtime/README.md says how, and has a whole program. A call, without its checks:
 *
 *   peer_artifact *model;
 *   peer_open("layer.peer", &model);
 *   peer_load_parameters(model, "weights.safetensors");
 *   int64_t shape[] = {2, 256};
 *   peer_view x = {sizeof x, PEER_CPU, 0, "f32", 2, shape, NULL, input}, y = {sizeof y, PEER_CPU, 0, "f32", 2, shape, NULL, output};
 *   peer_run(model, "layer", &x, 1, &y, 1, NULL);
 *   peer_close(model); */
#ifndef PEER_RUNTIME_H
#define PEER_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum { PEER_OK = 0, PEER_ERROR = 1 } peer_status;

/* Devices by DLPack's numbers. PEER_CUDA_HOST is pinned memory of the host, PEER_CUDA_MANAGED memory that both reach. */
enum { PEER_CPU = 1, PEER_CUDA = 2, PEER_CUDA_HOST = 3, PEER_CUDA_MANAGED = 13 };

/* A compiled model, its parameters and states. */
typedef struct peer_artifact peer_artifact;

/* A tensor in somebody's memory, dense and row-major. `size` is sizeof(peer_view); `dtype` is "f32", "f64", "bf16", "f16", "i64", "i32", "i16",
 * "i8" or "f8_e4m3"; `shape` has `rank` sizes, and `strides`, in elements, as many, or is null: a tensor that is not dense is refused. */
typedef struct {
  uint32_t size;
  int32_t device_type, device_id;
  const char *dtype;
  size_t rank;
  const int64_t *shape;
  const int64_t *strides;
  void *data;
} peer_view;

/* Flags of peer_options: integers that must lie in a range do, and are not read to see it. */
enum { PEER_TRUST_INPUTS = 1 };

/* How a call is made. `size` is sizeof(peer_options), or where fields were added since, what it was: they count as zero.
 *   threads  that compute, for this call; 0: as many as OpenMP gives the calling thread
 *   stream   a CUstream (a cudaStream_t is one), on the device cuda alone. Null: the results are there when peer_run returns. The default stream
 *            is (void *)1, as in the driver's interface. */
typedef struct {
  uint32_t size, flags;
  int32_t threads;
  void *stream;
} peer_options;

/* The sentence that explains this thread's last PEER_ERROR; "" before the first. Valid until the thread's next call. */
const char *peer_last_error(void);

/* The library's version, "0.1.0", and that of this interface, 1. A library takes the structures of all versions up to its own, of which their
 * sizes tell, and refuses larger ones. */
const char *peer_version(void);
uint32_t peer_abi_version(void);

/* Opens an artifact on the device it was compiled for. On PEER_ERROR *artifact is null. */
peer_status peer_open(const char *path, peer_artifact **artifact);

/* Opens it on "cpu", or, if it was compiled for GPUs, on "cuda" or "sim" (the simulator: the same kernels, executed on the CPU); "" does as
 * peer_open. */
peer_status peer_open_on(const char *path, const char *device, peer_artifact **artifact);

/* Closes it; null is ignored. Views of its own memory become invalid; nobody else may be using it. */
void peer_close(peer_artifact *artifact);

/* The manifest as it is in the artifact, JSON of *bytes bytes and a zero behind them: functions, their arguments in order with dtypes, shapes and
 * ranges, multiples and maxima of T, results, parameters, groups (runtime/README.md). It lives as long as the artifact. */
peer_status peer_manifest(const peer_artifact *artifact, const char **json, size_t *bytes);

/* Number of functions, and the name of one (null when index is out of range). The name lives as long as the artifact. */
size_t peer_entry_count(const peer_artifact *artifact);
const char *peer_entry_name(const peer_artifact *artifact, size_t index);

/* Parameters: from their initialisers, or from a safetensors file (or an index of several, or its directory) that holds exactly them. Those that
 * are bound are written, or read, where they are. */
peer_status peer_init_parameters(peer_artifact *artifact, uint64_t seed);
peer_status peer_load_parameters(peer_artifact *artifact, const char *path);
peer_status peer_save_parameters(peer_artifact *artifact, const char *path);

/* Makes memory of the caller's the parameter `name`, or the state "state:NAME" or usage "usage:NAME" of the functions that have one. It is read in
 * place and updated in place, with the values that are there; nothing is copied, the library's own memory of it is given back. It must stay until
 * it is bound elsewhere, or the artifact is closed; it may be changed between calls.
 *
 * A null view gives the tensor memory of the library's own again, with the values that it has then; the caller's is not touched any more. For a
 * tensor that has it already it says that nobody writes to what peer_tensor told any more: calls of few tokens are faster then.
 *
 * On the device cuda the view is one of the GPU's memory, aligned to 16 bytes; on the others one of the host's, aligned as its elements are. The
 * simulator reads bound memory before each call and writes it after, since its kernels have memory of their own. */
peer_status peer_bind(peer_artifact *artifact, const char *name, const peer_view *view);

/* Where a parameter, "state:NAME" or "usage:NAME" lies: the memory it is bound to, or the library's own, which may be written. On other devices
 * than the CPU the latter is a copy in the host's memory, which holds until the next call: what is written counts if it is written before that, and
 * the values after it are seen by asking again. States and usage are there from the first call of their function on. */
peer_status peer_tensor(peer_artifact *artifact, const char *name, peer_view *view);

/* Calls a function. `arguments` are its inputs and scalars in the manifest's order (roles "input" and "scalar"; a scalar is a view of rank 0),
 * which are read in place; `results` its results in that order, but those that have a "check", in whose memory they are written. T is that of the
 * inputs. All views of an array have the size that its first one says. Memory that the call writes may overlap nothing else that it is given.
 * Null options are all zeros.
 *
 * Where an index that the model computed is out of range, the call fails after the fact, and a training step has changed nothing but usage. Results
 * with a "check" count such indices: who gives memory for them, too, in the manifest's order, looks there, and the call does not fail.
 *
 * On the device cuda views may be of the GPU's memory, or of the host's, which is copied. With a stream the call is put there and not waited for,
 * and nothing of it is recorded as a graph of the library's:
 *   - inputs and results are in the GPU's memory. Scalars may be in the host's; their values are taken at once;
 *   - integers with a range cannot be looked at: PEER_TRUST_INPUTS says that they are right;
 *   - what kernels find out comes up later, in whatever waits for them, and what a "check" counts only where it is given memory;
 *   - a stream that is being captured is recorded into the caller's graph. What the call needs beside its arguments stays allocated until
 *     peer_close, and two launches of such graphs, or one and a call, may not run at the same time. */
peer_status peer_run(peer_artifact *artifact, const char *entry, const peer_view *arguments, size_t argument_count,
                     const peer_view *results, size_t result_count, const peer_options *options);

/* Sets all states (key-value caches, optimizer state), or all usage counters, to zero, where they are. */
peer_status peer_clear_states(peer_artifact *artifact);
peer_status peer_clear_usage(peer_artifact *artifact);

#ifdef __cplusplus
}
#endif

#endif
