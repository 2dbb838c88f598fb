/* The C interface of spikegrad. Made from crates/capi/src/lib.rs by crates/capi/tests/header.rs.

   Threads: a handle (trainer, predictor, stream) is used by one thread at a time, which need not be the one that
   made it. Calls on different handles may run at the same time; a step uses a predictor and a stream. The error
   text is each thread's own. All handles share one pool of threads for their work: RAYON_NUM_THREADS in the
   environment says how many at the first call that makes a handle, else there is one a core. Results do not depend
   on their number. After fork() without exec() the child has none of these threads: make no call in it. */

#ifndef SPIKEGRAD_H
#define SPIKEGRAD_H

#include <stddef.h>
#include <stdint.h>

/*
 What a function did.
 */
typedef enum SpikegradStatus {
    /*
     All went well.
     */
    SPIKEGRAD_OK = 0,
    /*
     A pointer was null or not aligned, an array too long, text not UTF-8, or a struct of another size.
     */
    SPIKEGRAD_BAD_ARGUMENT = 1,
    /*
     A hyper-parameter or a size makes no sense.
     */
    SPIKEGRAD_BAD_CONFIG = 2,
    /*
     A file cannot be read, written or used.
     */
    SPIKEGRAD_BAD_FILE = 3,
    /*
     Images, labels or a frame of the wrong number or value.
     */
    SPIKEGRAD_BAD_BATCH = 4,
    /*
     The loss, a gradient, a weight or a logit is not finite; the trainer is as before.
     */
    SPIKEGRAD_NOT_FINITE = 5,
    /*
     A fault of the library itself; the handle should be freed.
     */
    SPIKEGRAD_PANIC = 6,
} SpikegradStatus;

/*
 Which net.
 */
typedef enum SpikegradNet {
    /*
     The paper's residual net.
     */
    SPIKEGRAD_RESNET19 = 0,
    /*
     Two convolutions and three linear layers.
     */
    SPIKEGRAD_LENET = 1,
    /*
     Three linear layers.
     */
    SPIKEGRAD_MLP = 2,
} SpikegradNet;

/*
 A net that reads streams, one time step at a time.
 */
typedef struct SpikegradPredictor SpikegradPredictor;

/*
 The state of one stream.
 */
typedef struct SpikegradStream SpikegradStream;

/*
 A trainer.
 */
typedef struct SpikegradTrainer SpikegradTrainer;

/*
 A net and its training; `spikegrad_config_default` fills it in, its size included. A later version may add fields
 at the end: a program built with this header goes on, for its struct says how long it is.
 */
typedef struct SpikegradConfig {
    /*
     Bytes of this struct.
     */
    size_t struct_size;
    /*
     Which net: a SpikegradNet.
     */
    int32_t net;
    /*
     Channels of an image.
     */
    size_t channels;
    /*
     Rows of an image.
     */
    size_t height;
    /*
     Columns of an image.
     */
    size_t width;
    /*
     Classes.
     */
    size_t classes;
    /*
     Factor on the layers' widths.
     */
    double scale;
    /*
     Time steps T.
     */
    size_t timesteps;
    /*
     Share of the membrane kept from step to step.
     */
    float decay;
    /*
     Threshold of the membrane.
     */
    float threshold;
    /*
     Strength of surrogate gradient scaling.
     */
    float delta;
    /*
     Coefficient of the Lipschitz term.
     */
    float beta;
    /*
     Images a batch.
     */
    size_t batch;
    /*
     Epochs of the cosine schedule.
     */
    size_t epochs;
    /*
     Learning rate of Adam.
     */
    float lr;
    /*
     Seed of the weights.
     */
    uint64_t seed;
} SpikegradConfig;

/*
 What a training step did.
 */
typedef struct SpikegradReport {
    /*
     Loss: cross-entropy and Lipschitz term.
     */
    double loss;
    /*
     Images answered right.
     */
    size_t correct;
    /*
     Learning rate.
     */
    float lr;
} SpikegradReport;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/*
 The version of the library, as text: "major.minor.patch". Valid for ever.
 */
const char *spikegrad_version(void);

/*
 Says in one line why the last function of this thread that failed did; empty before any. Valid until the next
 failure in this thread.
 */
const char *spikegrad_last_error(void);

/*
 Fills a configuration in: the paper's neuron and recipe, full width, two time steps.

 # Safety
 `config` is null or points to a SpikegradConfig, which is overwritten.
 */
enum SpikegradStatus spikegrad_config_default(int32_t net,
                                              size_t channels,
                                              size_t height,
                                              size_t width,
                                              size_t classes,
                                              struct SpikegradConfig *config);

/*
 Makes a trainer and draws its weights.

 # Safety
 `config` is null or points to a SpikegradConfig, of as many bytes as its size says; `trainer` is null or points to a pointer, which is overwritten.
 */
enum SpikegradStatus spikegrad_trainer_new(const struct SpikegradConfig *config,
                                           struct SpikegradTrainer **trainer);

/*
 Frees a trainer; null is let be.

 # Safety
 `trainer` is null or comes from spikegrad_trainer_new and is not used afterwards.
 */
void spikegrad_trainer_free(struct SpikegradTrainer *trainer);

/*
 Takes one training step on a full batch; `progress` is the epoch that the schedule is in (3.25: a quarter into the
 fourth).

 # Safety
 `trainer` is null or a trainer; `images` points to `images_len` numbers in the order image, channel, row, column,
 `labels` to `labels_len` classes; `report` is null (then nothing is written) or points to a SpikegradReport.
 */
enum SpikegradStatus spikegrad_trainer_step(struct SpikegradTrainer *trainer,
                                            const float *images,
                                            size_t images_len,
                                            const uint32_t *labels,
                                            size_t labels_len,
                                            double progress,
                                            struct SpikegradReport *report);

/*
 Writes the logits of up to a batch of images, with the running statistics.

 # Safety
 `trainer` is null or a trainer; `images` points to `images_len` numbers, `logits` to `logits_len` that are
 overwritten: one for each image and class.
 */
enum SpikegradStatus spikegrad_trainer_predict(struct SpikegradTrainer *trainer,
                                               const float *images,
                                               size_t images_len,
                                               float *logits,
                                               size_t logits_len);

/*
 Writes weights and running estimates as a safetensors file under PyTorch's names.

 # Safety
 `trainer` is null or a trainer; `path` is null or ends with a zero byte.
 */
enum SpikegradStatus spikegrad_trainer_save(struct SpikegradTrainer *trainer, const char *path);

/*
 Reads weights and running estimates from a safetensors file under PyTorch's names.

 # Safety
 `trainer` is null or a trainer; `path` is null or ends with a zero byte.
 */
enum SpikegradStatus spikegrad_trainer_load(struct SpikegradTrainer *trainer, const char *path);

/*
 Makes a predictor of one stream at a time with the weights of a file.

 # Safety
 `config` is null or points to a SpikegradConfig, of as many bytes as its size says; `path` is null or ends with a zero byte; `predictor` is null or
 points to a pointer, which is overwritten.
 */
enum SpikegradStatus spikegrad_predictor_load(const struct SpikegradConfig *config,
                                              const char *path,
                                              struct SpikegradPredictor **predictor);

/*
 Makes a predictor of one stream at a time with a copy of a trainer's weights.

 # Safety
 `trainer` is null or a trainer; `predictor` is null or points to a pointer, which is overwritten.
 */
enum SpikegradStatus spikegrad_predictor_of(struct SpikegradTrainer *trainer, struct SpikegradPredictor **predictor);

/*
 Frees a predictor; null is let be. Its streams are freed apart.

 # Safety
 `predictor` is null or comes from this interface and is not used afterwards.
 */
void spikegrad_predictor_free(struct SpikegradPredictor *predictor);

/*
 Begins a stream.

 # Safety
 `predictor` is null or a predictor; `stream` is null or points to a pointer, which is overwritten.
 */
enum SpikegradStatus spikegrad_stream_new(const struct SpikegradPredictor *predictor, struct SpikegradStream **stream);

/*
 Takes a stream back to its beginning: membranes at rest.

 # Safety
 `stream` is null or a stream.
 */
enum SpikegradStatus spikegrad_stream_reset(struct SpikegradStream *stream);

/*
 Frees a stream; null is let be.

 # Safety
 `stream` is null or comes from spikegrad_stream_new and is not used afterwards.
 */
void spikegrad_stream_free(struct SpikegradStream *stream);

/*
 Takes a stream one time step further with a frame and writes the logits, mean over its steps so far. Nothing is
 allocated.

 # Safety
 `predictor` is null or a predictor, `stream` null or a stream; `frame` points to `frame_len` numbers in the order
 channel, row, column, `logits` to `logits_len` that are overwritten, one a class.
 */
enum SpikegradStatus spikegrad_predictor_step(struct SpikegradPredictor *predictor,
                                              struct SpikegradStream *stream,
                                              const float *frame,
                                              size_t frame_len,
                                              float *logits,
                                              size_t logits_len);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* SPIKEGRAD_H */
