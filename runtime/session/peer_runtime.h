/* The C interface of libpeer_runtime.so: load a compiled model, give it parameters, call its functions.
 *
 * Every function returns a status: PEER_OK, or PEER_ERROR after which peer_last_error() has one sentence. No exception leaves
 * the library, and it prints nothing. An artifact handle is used by one thread at a time; different handles are independent.
 *
 * Functions of a language model by kind (`peer-run inspect MODEL.peer` lists those of any model, with their arguments):
 *
 *   kind      inputs                     scalars                              results
 *   loss      tokens, targets: i32 [T]                                        loss: f32 []
 *   train     tokens, targets: i32 [T]   step, learning_rate.GROUP: f32 []    loss, gradient_norm.GROUP: f32 []
 *   prefill   tokens: i32 [T]            position: i32 []                     logits: f32 [T, V]
 *   decode    tokens: i32 [1]            position: i32 []                     logits: f32 [1, V]
 *
 * A call, without its checks:
 *
 *   peer_artifact *model;
 *   peer_open("layer.peer", &model);
 *   peer_load_parameters(model, "weights.safetensors");
 *   int64_t shape[] = {2, 256};
 *   peer_tensor x = {"f32", 2, shape, values, sizeof values}, y;
 *   peer_set_input(model, "x", &x);
 *   peer_call(model, "layer");
 *   peer_output(model, "y", &y);      // y.data has the values until the next call
 *   peer_close(model); */
#ifndef PEER_RUNTIME_H
#define PEER_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum { PEER_OK = 0, PEER_ERROR = 1 } peer_status;

/* A compiled model, its parameters and states, the inputs set for the next call, and the outputs of the last one. */
typedef struct peer_artifact peer_artifact;

/* A dense row-major tensor. `dtype` is "f32", "f64", "bf16", "f16", "i64", "i32", "i16" or "i8"; `shape` has `rank` sizes; `data` has `bytes` bytes. */
typedef struct {
  const char *dtype;
  size_t rank;
  const int64_t *shape;
  void *data;
  size_t bytes;
} peer_tensor;

/* The sentence that explains this thread's last PEER_ERROR; "" before the first. Valid until the thread's next call. */
const char *peer_last_error(void);

/* The library's version, "0.1.0". */
const char *peer_version(void);

/* Threads that compiled code computes with in calls that this thread makes from here on; at least 1. */
peer_status peer_set_threads(int threads);

/* Opens an artifact on the device it was compiled for. On PEER_ERROR *artifact is null. */
peer_status peer_open(const char *path, peer_artifact **artifact);

/* Opens it on "cpu", or, if it was compiled for GPUs, on "cuda" or "sim" (the simulator: the same kernels, executed on the CPU); "" does as
 * peer_open. Inputs, outputs and views of parameters are in the host's memory on every device. */
peer_status peer_open_on(const char *path, const char *device, peer_artifact **artifact);

/* Closes it; null is ignored. Tensors obtained from it become invalid. */
void peer_close(peer_artifact *artifact);

/* Number of functions, and the name of one (null when index is out of range). The name lives as long as the artifact. */
size_t peer_entry_count(const peer_artifact *artifact);
const char *peer_entry_name(const peer_artifact *artifact, size_t index);

/* Parameters: from their initialisers, or from a safetensors file (or an index of several, or its directory) that holds exactly them. */
peer_status peer_init_parameters(peer_artifact *artifact, uint64_t seed);
peer_status peer_load_parameters(peer_artifact *artifact, const char *path);
peer_status peer_save_parameters(peer_artifact *artifact, const char *path);

/* A view of a parameter, which may be written. On a device other than the CPU it holds until the next peer_call: what is written counts if it
 * is written before that, and the values after it are seen by asking again. */
peer_status peer_parameter(peer_artifact *artifact, const char *name, peer_tensor *tensor);

/* Copies a tensor to be the input `name` of the following calls; peer_clear_inputs forgets all of them and all scalars. */
peer_status peer_set_input(peer_artifact *artifact, const char *name, const peer_tensor *tensor);
peer_status peer_set_scalar(peer_artifact *artifact, const char *name, double value);
void peer_clear_inputs(peer_artifact *artifact);

/* Calls a function on the inputs set. Scalars that were not set have the model's defaults. */
peer_status peer_call(peer_artifact *artifact, const char *entry);

/* A view of a result of the last peer_call, valid until the next one. */
peer_status peer_output(peer_artifact *artifact, const char *name, peer_tensor *tensor);

/* Sets all states (key-value caches, optimizer state), or all usage counters, to zero. */
peer_status peer_clear_states(peer_artifact *artifact);
peer_status peer_clear_usage(peer_artifact *artifact);

#ifdef __cplusplus
}
#endif

#endif
