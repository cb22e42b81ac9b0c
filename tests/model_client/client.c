#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "litert/c/litert_compiled_model.h"
#include "litert/c/litert_environment.h"
#include "litert/c/litert_model.h"
#include "litert/c/litert_options.h"
#include "litert/c/litert_tensor_buffer.h"

static void need(LiteRtStatus status, const char* what) {
  if (status != kLiteRtStatusOk) {
    fprintf(stderr, "%s failed: %d\n", what, (int)status);
    exit(1);
  }
}

typedef struct {
  LiteRtEnvironment environment;
  LiteRtModel model;
  LiteRtCompiledModel compiled;
} Network;

static Network load(const char* file) {
  Network net;
  LiteRtOptions options;
  need(LiteRtCreateEnvironment(0, NULL, &net.environment), "environment");
  need(LiteRtCreateModelFromFile(net.environment, file, &net.model), "model file");
  need(LiteRtCreateOptions(&options), "options");
  need(LiteRtSetOptionsHardwareAccelerators(options, kLiteRtHwAcceleratorCpu), "CPU");
  need(LiteRtCreateCompiledModel(net.environment, net.model, options, &net.compiled), "compile");
  return net;
}

typedef struct {
  const char* name;
  LiteRtRankedTensorType type;
  const void* data;
  size_t bytes;
} Input;

/* Run one signature; its one float32 output goes to a new array, whose length is returned. */
static size_t run(Network* net, const char* key, const Input* inputs, size_t count, float** result) {
  LiteRtParamIndex at, total, slots;
  LiteRtSignature signature = NULL;
  LiteRtTensorBuffer in[4], out;
  LiteRtTensorBufferRequirements wanted;
  const char* found = "";
  void* memory;
  need(LiteRtGetNumModelSignatures(net->model, &total), "signatures");
  for (at = 0; at < total; at++) {
    need(LiteRtGetModelSignature(net->model, at, &signature), "signature");
    need(LiteRtGetSignatureKey(signature, &found), "signature key");
    if (strcmp(found, key) == 0) break;
  }
  need(LiteRtGetNumSignatureInputs(signature, &slots), "inputs");
  if (at == total || slots != count) need(-1, key);

  const Input* ordered[4] = {0};
  for (LiteRtParamIndex slot = 0; slot < slots; slot++) {
    need(LiteRtGetSignatureInputName(signature, slot, &found), "input name");
    for (size_t i = 0; i < count; i++)
      if (strcmp(inputs[i].name, found) == 0) ordered[slot] = &inputs[i];
    if (!ordered[slot]) need(-1, found);
    const LiteRtLayout* shape = &ordered[slot]->type.layout;
    need(LiteRtCompiledModelResizeInputTensor(net->compiled, at, slot, shape->dimensions, shape->rank),
         "resize");
  }
  LiteRtRankedTensorType produced = {.element_type = kLiteRtElementTypeFloat32};
  need(LiteRtGetCompiledModelOutputTensorLayouts(net->compiled, at, 1, &produced.layout, true),
       "output shape");
  for (LiteRtParamIndex slot = 0; slot < slots; slot++) {
    need(LiteRtGetCompiledModelInputBufferRequirements(net->compiled, at, slot, &wanted), "input");
    need(LiteRtCreateManagedTensorBufferFromRequirements(net->environment, &ordered[slot]->type, wanted,
                                                         &in[slot]), "input buffer");
    need(LiteRtLockTensorBuffer(in[slot], &memory, kLiteRtTensorBufferLockModeWrite), "lock");
    memcpy(memory, ordered[slot]->data, ordered[slot]->bytes);
    need(LiteRtUnlockTensorBuffer(in[slot]), "unlock");
  }
  need(LiteRtGetCompiledModelOutputBufferRequirements(net->compiled, at, 0, &wanted), "output");
  need(LiteRtCreateManagedTensorBufferFromRequirements(net->environment, &produced, wanted, &out),
       "output buffer");
  need(LiteRtRunCompiledModel(net->compiled, at, slots, in, 1, &out), "run");

  size_t length = 1;
  for (unsigned i = 0; i < produced.layout.rank; i++) length *= produced.layout.dimensions[i];
  *result = malloc(length * sizeof(float));
  need(LiteRtLockTensorBuffer(out, &memory, kLiteRtTensorBufferLockModeRead), "lock");
  memcpy(*result, memory, length * sizeof(float));
  need(LiteRtUnlockTensorBuffer(out), "unlock");
  for (LiteRtParamIndex slot = 0; slot < slots; slot++) LiteRtDestroyTensorBuffer(in[slot]);
  LiteRtDestroyTensorBuffer(out);
  return length;
}

/* client ENCODER.tflite N < N chips of 112*112*3 bytes, R, G, B: prints N templates, then N*N scores */
int main(int argc, char** argv) {
  if (argc != 3) return 2;
  int n = atoi(argv[2]);
  size_t bytes = (size_t)n * 112 * 112 * 3;
  unsigned char* pixels = malloc(bytes);
  if (n < 1 || fread(pixels, 1, bytes, stdin) != bytes) return 2;
  Network net = load(argv[1]);

  float *templates, *scores;
  LiteRtRankedTensorType bytes_of_chips = {.element_type = kLiteRtElementTypeUInt8,
                                           .layout = {.rank = 4, .dimensions = {n, 112, 112, 3}}};
  Input chips = {"chips", bytes_of_chips, pixels, bytes};
  size_t values = run(&net, "encode", &chips, 1, &templates);
  for (size_t i = 0; i < values; i++) printf("%.9g\n", templates[i]);

  int size = (int)(values / n);
  LiteRtRankedTensorType rows = {.element_type = kLiteRtElementTypeFloat32,
                                 .layout = {.rank = 2, .dimensions = {n, size}}};
  Input pair[2] = {{"probes", rows, templates, values * sizeof(float)},
                   {"templates", rows, templates, values * sizeof(float)}};
  size_t compared = run(&net, "compare", pair, 2, &scores);
  for (size_t i = 0; i < compared; i++) printf("%.9g\n", scores[i]);
  return 0;
}
