/* Continues texts with an exported model through TensorFlow's C API: no Python, none of our code.
 *
 *   c_client FOLDER OUTPUT INPUT*11 PROMPT...
 *
 * OUTPUT and INPUT are the names of the tensors of the signature `generate`, "operation:index", the
 * inputs in the signature's order. Every text is written to stdout, followed by a NUL.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensorflow/c/c_api.h"
#include "tensorflow/c/tf_tstring.h"

#define INPUTS 11

static TF_Status* status;

static void check(const char* what) {
  if (TF_GetCode(status) != TF_OK) {
    fprintf(stderr, "%s: %s\n", what, TF_Message(status));
    exit(1);
  }
}

static TF_Output tensor(TF_Graph* graph, const char* name) {
  char operation[256];
  const char* colon = strrchr(name, ':');
  snprintf(operation, sizeof operation, "%.*s", (int)(colon - name), name);
  TF_Output output = {TF_GraphOperationByName(graph, operation), atoi(colon + 1)};
  if (output.oper == NULL) {
    fprintf(stderr, "there is no operation %s\n", operation);
    exit(1);
  }
  return output;
}

static TF_Tensor* scalar(TF_DataType type, const void* value, size_t size) {
  TF_Tensor* result = TF_AllocateTensor(type, NULL, 0, size);
  memcpy(TF_TensorData(result), value, size);
  return result;
}

static TF_Tensor* int_scalar(int value) { return scalar(TF_INT32, &value, sizeof value); }

static TF_Tensor* float_scalar(float value) { return scalar(TF_FLOAT, &value, sizeof value); }

static TF_Tensor* strings(char** texts, int count) {
  int64_t shape[] = {count};
  TF_Tensor* result = TF_AllocateTensor(TF_STRING, shape, 1, count * sizeof(TF_TString));
  TF_TString* data = TF_TensorData(result);
  for (int i = 0; i < count; ++i) {
    TF_StringInit(&data[i]);
    TF_StringCopy(&data[i], texts[i], strlen(texts[i]));
  }
  return result;
}

int main(int argc, char** argv) {
  if (argc < 3 + INPUTS) return 2;
  status = TF_NewStatus();
  TF_Graph* graph = TF_NewGraph();
  TF_SessionOptions* options = TF_NewSessionOptions();
  const char* tags[] = {"serve"};
  TF_Session* session =
      TF_LoadSessionFromSavedModel(options, NULL, argv[1], tags, 1, graph, NULL, status);
  check("loading");

  char* stop[] = {"b\n", "cc"};
  int64_t seed = 5;
  unsigned char strip_prompt = 0;
  TF_Tensor* values[INPUTS] = {
      strings(argv + 3 + INPUTS, argc - 3 - INPUTS), /* prompts */
      int_scalar(30),                                /* max_new_tokens */
      float_scalar(0.9f),                            /* temperature */
      int_scalar(5),                                 /* top_k */
      float_scalar(0.95f),                           /* top_p */
      float_scalar(0.01f),                           /* min_p */
      float_scalar(1.1f),                            /* repetition_penalty */
      strings(stop, 2),                              /* stop */
      int_scalar(2),                                 /* num_samples */
      scalar(TF_INT64, &seed, sizeof seed),          /* seed */
      scalar(TF_BOOL, &strip_prompt, 1),             /* strip_prompt */
  };
  TF_Output output = tensor(graph, argv[2]), inputs[INPUTS];
  for (int i = 0; i < INPUTS; ++i) inputs[i] = tensor(graph, argv[3 + i]);

  TF_Tensor* texts = NULL;
  TF_SessionRun(session, NULL, inputs, values, INPUTS, &output, &texts, 1, NULL, 0, NULL, status);
  check("running");
  const TF_TString* data = TF_TensorData(texts);
  for (int64_t i = 0; i < TF_TensorElementCount(texts); ++i) {
    fwrite(TF_StringGetDataPointer(&data[i]), 1, TF_StringGetSize(&data[i]), stdout);
    fputc('\0', stdout);
  }
  TF_CloseSession(session, status);
  check("closing");
  return 0;
}
