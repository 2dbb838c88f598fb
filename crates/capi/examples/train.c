/* Trains a small spiking net on data of its own, saves it, and reads a stream step by step.

   cargo build --release -p spikegrad-capi
   cc -Icrates/capi/include crates/capi/examples/train.c target/release/libspikegrad_capi.a -lpthread -ldl -lm -o train
   ./train weights.safetensors */
#include "spikegrad.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define SIDE 6
#define PIXELS (SIDE * SIDE)
#define BATCH 16

static void check(SpikegradStatus status, const char *what) {
    if (status != SPIKEGRAD_OK) {
        fprintf(stderr, "%s: %s (status %d)\n", what, spikegrad_last_error(), (int)status);
        exit(1);
    }
}

static float noise(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return (float)(*state >> 8) / (float)(1u << 24) - 0.5f;
}

/* A bright left half is class 0, a bright right half class 1. */
static void draw(float *images, uint32_t *labels, size_t count, uint32_t *state) {
    for (size_t n = 0; n < count; n++) {
        labels[n] = (uint32_t)(n % 2);
        for (size_t p = 0; p < PIXELS; p++) {
            int bright = (p % SIDE < SIDE / 2) == (labels[n] == 0);
            images[n * PIXELS + p] = (bright ? 1.0f : 0.0f) + noise(state);
        }
    }
}

int main(int argc, char **argv) {
    const char *path = argc > 1 ? argv[1] : "weights.safetensors";
    printf("spikegrad %s\n", spikegrad_version());
    SpikegradConfig config;
    check(spikegrad_config_default(SPIKEGRAD_MLP, 1, SIDE, SIDE, 2, &config), "configuration");
    config.scale = 0.25;
    config.timesteps = 4;
    config.batch = BATCH;
    config.lr = 3e-3f;
    config.epochs = 40;

    SpikegradTrainer *trainer = NULL;
    check(spikegrad_trainer_new(&config, &trainer), "trainer");
    static float images[BATCH * PIXELS], logits[BATCH * 2];
    static uint32_t labels[BATCH];
    uint32_t state = 1;
    SpikegradReport report = {0};
    for (int step = 0; step < 40; step++) {
        draw(images, labels, BATCH, &state);
        check(spikegrad_trainer_step(trainer, images, BATCH * PIXELS, labels, BATCH, step, &report), "step");
    }
    printf("loss %.3f, %zu of %d right\n", report.loss, report.correct, BATCH);
    check(spikegrad_trainer_save(trainer, path), "save");

    /* What is wrong is a code and a line, never a crash. */
    SpikegradStatus status = spikegrad_trainer_step(trainer, images, 7, labels, BATCH, 0, NULL);
    if (status != SPIKEGRAD_BAD_BATCH) return 1;
    printf("7 numbers: %s\n", spikegrad_last_error());
    if (spikegrad_trainer_step(NULL, images, 7, labels, 1, 0, NULL) != SPIKEGRAD_BAD_ARGUMENT) return 1;
    printf("no trainer: %s\n", spikegrad_last_error());

    draw(images, labels, BATCH, &state);
    check(spikegrad_trainer_predict(trainer, images, BATCH * PIXELS, logits, BATCH * 2), "predict");
    SpikegradPredictor *predictor = NULL;
    SpikegradStream *stream = NULL;
    check(spikegrad_predictor_load(&config, path, &predictor), "load");
    check(spikegrad_stream_new(predictor, &stream), "stream");
    int right = 0;
    float distance = 0;
    for (int n = 0; n < BATCH; n++) {
        float mean[2];
        check(spikegrad_stream_reset(stream), "reset");
        for (int t = 0; t < 4; t++) {
            check(spikegrad_predictor_step(predictor, stream, images + n * PIXELS, PIXELS, mean, 2), "step");
        }
        right += (mean[1] > mean[0]) == (labels[n] == 1);
        distance = fmaxf(distance, fabsf(mean[0] - logits[2 * n]));
    }
    printf("streams: %d of %d right, at most %g from the unrolled net\n", right, BATCH, distance);
    spikegrad_stream_free(stream);
    spikegrad_predictor_free(predictor);
    spikegrad_trainer_free(trainer);
    return right >= BATCH - 1 && distance < 1e-4f ? 0 : 1;
}
