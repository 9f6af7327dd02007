/* Factorization machines on sparse rows: scores, and steps of Adam that touch only the features of a mini-batch.
 *
 * While it is trained a feature is one run of floats, its record, so that a step fetches it as a whole:
 *
 *   weight | its first moment | its second moment | entries seen | factors | first moments | second moments
 *
 * the last three of `width` floats each, a multiple of 4. A step has four phases: `fm_group` lists the mini-batch
 * by feature, `fm_score` works row by row, `fm_slopes` moves the bias, `fm_step` works feature by feature. What
 * comes out of a row, or of a feature, does not depend on the range that it is in: cores may share the rows, and
 * then the features, and the bytes are the same. Callers have looked at all indices (`fm_check`). */
#include "kernel.h"

#include <math.h>
#include <string.h>

#define HEAD 4
#define AHEAD 64 /* entries, and slots, that records are fetched before they are needed */
#define SLOTS_AHEAD 16
#define LINE 64

enum { WEIGHT, FIRST, SECOND, SEEN };
enum { OUT_OF_RANGE = 1, TANGLED = 2, ZEROS = 4, NOT_FINITE = 8 };

/* What holds for one kind of parameter in one step. fade, wane: one less Adam's betas */
typedef struct {
    float rate, decay, fade, wane, eps, clip;
} Rule;

/* The same for all steps, and of one step. */
typedef struct {
    float bias_rate, weight_rate, factor_rate, bias_decay, fade, wane, eps, clip;
} Settings;

typedef struct {
    float scale, rate, weight_decay, factor_decay;
} Pace;

/* 0, or what is wrong with sparse rows: indices out of range, or not ascending within a row; values that are zero
 * or not finite. */
EXPORT HOT int64_t fm_check(const int64_t *restrict indptr, const int64_t *restrict indices,
                            const float *restrict values, int64_t rows, int64_t stored, int64_t columns)
{
    if (indptr[0] != 0 || indptr[rows] != stored)
        return OUT_OF_RANGE;
    int64_t outside = 0, falls = 0, zeros = 0, strange = 0;
#pragma omp simd reduction(| : outside)
    for (int64_t row = 0; row < rows; row++)
        outside |= indptr[row + 1] < indptr[row];
    if (outside)
        return OUT_OF_RANGE;
#pragma omp simd reduction(| : outside, zeros, strange)
    for (int64_t at = 0; at < stored; at++) {
        outside |= (indices[at] < 0) | (indices[at] >= columns);
        zeros |= values[at] == 0;
        strange |= !(values[at] - values[at] == 0);
    }
    if (outside)
        return OUT_OF_RANGE;
#pragma omp simd reduction(+ : falls)
    for (int64_t at = 1; at < stored; at++)
        falls += indices[at] <= indices[at - 1];
    for (int64_t row = 1; row < rows; row++) { /* where a row begins they may fall */
        int64_t start = indptr[row];
        if (start != indptr[row - 1] && start < stored)
            falls -= indices[start] <= indices[start - 1];
    }
    return (falls ? TANGLED : 0) | (zeros ? ZEROS : 0) | (strange ? NOT_FINITE : 0);
}

/* The rows from..to by feature: the feature of each slot, where its entries begin, their rows and values.
 * place: (columns,), -1 throughout, before and after. Returns the number of slots. */
EXPORT int64_t fm_group(const int64_t *restrict indptr, const int64_t *restrict indices, const float *restrict values,
                        int64_t from, int64_t to, int32_t *restrict place, int32_t *restrict slot,
                        int64_t *restrict feature, int32_t *restrict starts, int32_t *restrict row_of,
                        float *restrict value_of)
{
    int64_t base = indptr[from], end = indptr[to];
    int32_t slots = 0, sum = 0;
    memset(starts, 0, (size_t)(end - base + 1) * sizeof *starts);
    for (int64_t at = base; at < end; at++) { /* without branches: whether a feature is new is a coin's toss */
        if (at + AHEAD < end)
            __builtin_prefetch(place + indices[at + AHEAD], 1);
        int32_t found = place[indices[at]];
        int32_t fresh = -(found < 0);
        found = (found & ~fresh) | (slots & fresh);
        slots -= fresh;
        place[indices[at]] = found;
        feature[found] = indices[at];
        starts[found + 1]++;
        slot[at - base] = found;
    }
    for (int32_t s = 0; s < slots; s++) { /* each start stands one too far, and moves on as its slot fills */
        int32_t count = starts[s + 1];
        starts[s + 1] = sum;
        sum += count;
        place[feature[s]] = -1;
    }
    for (int64_t row = from; row < to; row++)
        for (int64_t at = indptr[row]; at < indptr[row + 1]; at++) {
            int32_t next = starts[slot[at - base] + 1]++;
            row_of[next] = (int32_t)(row - from);
            value_of[next] = values[at];
        }
    return slots;
}

INLINE void fetch(const float *from, int64_t floats)
{
    for (int64_t at = 0; at < floats && at < 256; at += LINE / 4)
        __builtin_prefetch(from + at);
    __builtin_prefetch(from + floats - 1); /* records begin anywhere in a line */
}

INLINE float limited(float slope, float clip)
{
    slope = slope > clip ? clip : slope;
    return slope < -clip ? -clip : slope;
}

/* One step of Adam; slope: of the loss alone, `rest` times the weight is to be added to it. */
INLINE void adam(float *restrict weight, float *restrict first, float *restrict second, const float *restrict slope,
                 float rest, int lanes, Rule rule)
{
#pragma omp simd
    for (int f = 0; f < lanes; f++) {
        float all = limited(slope[f] + rest * weight[f], rule.clip);
        first[f] += rule.fade * (all - first[f]);
        second[f] += rule.wane * (all * all - second[f]);
        weight[f] -= rule.rate * first[f] / (sqrtf(second[f]) + rule.eps);
    }
}

typedef float V1;
typedef float V4 __attribute__((vector_size(16), aligned(4), may_alias));
typedef float V8 __attribute__((vector_size(32), aligned(4), may_alias));
typedef float V16 __attribute__((vector_size(64), aligned(4), may_alias));

/* Sums of all lanes, in an order that no compiler chooses. */
INLINE float total_V1(const V1 *v) { return *v; }
INLINE float total_V4(const V4 *v) { return ((*v)[0] + (*v)[2]) + ((*v)[1] + (*v)[3]); }
INLINE float total_V8(const V8 *v)
{
    V4 half[2];
    memcpy(half, v, sizeof half);
    half[0] += half[1];
    return total_V4(half);
}
INLINE float total_V16(const V16 *v)
{
    V8 half[2];
    memcpy(half, v, sizeof half);
    half[0] += half[1];
    return total_V8(half);
}

/* For so many factors at once: `pairs`, twice what they add to a row's score, and their sums over the row for the
 * step to come; `turn`, their step. */
#define FACTORS(V)                                                                                                   \
    INLINE float pairs_##V(const float *restrict factors, int64_t stride, const int64_t *restrict indices,           \
                           const float *restrict values, int64_t stored, float *restrict sums)                       \
    {                                                                                                                \
        V sum = {0}, square = {0};                                                                                   \
        for (int64_t at = 0; at < stored; at++) {                                                                    \
            V term = *(const V *)(factors + indices[at] * stride) * values[at];                                      \
            sum += term;                                                                                             \
            square += term * term;                                                                                   \
        }                                                                                                            \
        if (sums)                                                                                                    \
            *(V *)sums = sum;                                                                                        \
        sum = sum * sum - square;                                                                                    \
        return total_##V(&sum);                                                                                      \
    }                                                                                                                \
    INLINE void turn_##V(float *restrict factor, int64_t width, const int32_t *restrict row_of,                      \
                         const float *restrict slope_of, int64_t entries, const float *restrict sums, float rest,    \
                         Rule rule)                                                                                  \
    {                                                                                                                \
        V slope = {0};                                                                                               \
        float all[sizeof(V) / sizeof(float)];                                                                        \
        for (int64_t at = 0; at < entries; at++)                                                                     \
            slope += *(const V *)(sums + row_of[at] * width) * slope_of[at];                                         \
        memcpy(all, &slope, sizeof all);                                                                             \
        adam(factor, factor + width, factor + 2 * width, all, rest, sizeof(V) / sizeof(float), rule);                \
    }
FACTORS(V1)
FACTORS(V4)
FACTORS(V8)
FACTORS(V16)

#define ALL_FACTORS(width, DO)                                                                                       \
    for (; f + 16 <= (width); f += 16)                                                                               \
        DO(V16);                                                                                                     \
    for (; f + 8 <= (width); f += 8)                                                                                 \
        DO(V8);                                                                                                      \
    for (; f + 4 <= (width); f += 4)                                                                                 \
        DO(V4);                                                                                                      \
    for (; f < (width); f++)                                                                                         \
        DO(V1);

/* Raw scores of the rows from..to: (to - from,).
 * weights, factors: of feature i at weights[i * stride_of_weights], factors[i * stride ..][width]
 * sums: (to - from, width), or NULL where no step follows · is_far: whether the factors lie outside the cache */
EXPORT HOT void fm_score(const float *weights, int64_t stride_of_weights, const float *factors, int64_t stride,
                         int64_t width, float bias, const int64_t *indptr, const int64_t *indices,
                         const float *values, int64_t from, int64_t to, int64_t is_far, float *scores, float *sums)
{
    int64_t last = is_far ? indptr[to] - AHEAD : 0;
    for (int64_t row = from; row < to; row++) {
        int64_t start = indptr[row], stored = indptr[row + 1] - start, f = 0;
        const int64_t *own = indices + start;
        const float *x = values + start;
        float *sum = sums ? sums + (row - from) * width : 0;
        float linear = bias, pairs = 0;
        for (int64_t at = 0; at < stored; at++) {
            if (start + at < last) {
                __builtin_prefetch(weights + own[at + AHEAD] * stride_of_weights);
                fetch(factors + own[at + AHEAD] * stride, width);
            }
            linear += weights[own[at] * stride_of_weights] * x[at];
        }
#define ADD(V) pairs += pairs_##V(factors + f, stride, own, x, stored, sum ? sum + f : 0)
        ALL_FACTORS(width, ADD)
        scores[row - from] = linear + 0.5f * pairs;
    }
}

/* e to the x of no x above 0, to a unit in the last place or two, in a form that vectors take (after Cephes). */
INLINE float shrunk(float x)
{
    x = x > -87 ? x : -87; /* so is what is no number */
    float whole = (x * 1.44269504f + 12582912.0f) - 12582912.0f; /* to the nearest: what is more has no bits left */
    float rest = (x - whole * 0.693359375f) + whole * 2.12194440e-4f;
    float sum = 1.9875691500e-4f;
    sum = sum * rest + 1.3981999507e-3f;
    sum = sum * rest + 8.3334519073e-3f;
    sum = sum * rest + 4.1665795894e-2f;
    sum = sum * rest + 1.6666665459e-1f;
    sum = sum * rest + 5.0000001201e-1f;
    sum = sum * rest * rest + rest + 1;
    int32_t bits = ((int32_t)whole + 127) << 23;
    float power;
    memcpy(&power, &bits, sizeof power);
    return sum * power;
}

/* The logarithm of 1 + x, of x from 0 to 1: twice the series of the inverse hyperbolic tangent. */
INLINE float log_of_more(float x)
{
    float root = x / (2 + x), square = root * root, sum = 1.0f / 15;
    sum = sum * square + 1.0f / 13;
    sum = sum * square + 1.0f / 11;
    sum = sum * square + 1.0f / 9;
    sum = sum * square + 1.0f / 7;
    sum = sum * square + 1.0f / 5;
    sum = sum * square + 1.0f / 3;
    return 2 * root * (sum * square + 1);
}

/* Slopes of the loss by the scores, scaled and weighted, and the bias's step along their sum.
 * is_logistic: whether the loss is logistic, of labels 0 and 1; else half the squared error */
EXPORT HOT void fm_slopes(const float *restrict scores, const float *restrict labels, const float *restrict weights,
                          int64_t rows, int64_t is_logistic, const Settings *all, const Pace *pace,
                          float *restrict slopes, float *bias)
{
    float scale = pace->scale;
    if (is_logistic) {
#pragma omp simd
        for (int64_t row = 0; row < rows; row++) {
            float less = shrunk(-fabsf(scores[row])), chance = 1 / (1 + less);
            slopes[row] = ((scores[row] < 0 ? less * chance : chance) - labels[row]) * scale;
        }
    } else {
#pragma omp simd
        for (int64_t row = 0; row < rows; row++)
            slopes[row] = (scores[row] - labels[row]) * scale;
    }
    if (weights)
        for (int64_t row = 0; row < rows; row++)
            slopes[row] *= weights[row];
    double sum = 0;
    for (int64_t row = 0; row < rows; row++)
        sum += slopes[row];
    float slope = (float)sum;
    Rule rule = {all->bias_rate * pace->rate, all->bias_decay, all->fade, all->wane, all->eps, all->clip};
    adam(bias + WEIGHT, bias + FIRST, bias + SECOND, &slope, rule.decay, 1, rule);
    bias[SEEN] += (float)rows;
}

/* What rows say of their scores, each sum weighted: weight, loss (squared error, or cross entropy), labels, their
 * squares, absolute errors; of those scored 0 or more the ones labelled 1, and the others; all labelled 1. */
EXPORT HOT void fm_tally(const float *restrict scores, const float *restrict labels, const float *restrict weights,
                         int64_t rows, int64_t is_logistic, double *restrict sums)
{
    double all = 0, loss = 0, total = 0, squares = 0, distances = 0, hits = 0, alarms = 0, ones = 0;
#pragma omp simd reduction(+ : all, total, squares)
    for (int64_t row = 0; row < rows; row++) {
        double weight = weights ? weights[row] : 1, label = labels[row];
        all += weight;
        total += weight * label;
        squares += weight * label * label;
    }
    if (is_logistic) {
#pragma omp simd reduction(+ : loss, hits, alarms, ones)
        for (int64_t row = 0; row < rows; row++) {
            float score = scores[row], label = labels[row], weight = weights ? weights[row] : 1;
            float lost = log_of_more(shrunk(-fabsf(score))) + (score > 0 ? score : 0) - label * score;
            loss += (double)weight * lost;
            hits += score >= 0 && label == 1 ? weight : 0;
            alarms += score >= 0 && label != 1 ? weight : 0;
            ones += label == 1 ? weight : 0;
        }
    } else {
#pragma omp simd reduction(+ : loss, distances)
        for (int64_t row = 0; row < rows; row++) {
            double weight = weights ? weights[row] : 1, error = (double)scores[row] - labels[row];
            loss += weight * error * error;
            distances += weight * fabs(error);
        }
    }
    double found[8] = {all, loss, total, squares, distances, hits, alarms, ones};
    memcpy(sums, found, sizeof found);
}

/* A step of the features in the slots from..to. value_of: is written over · sums: of fm_score */
EXPORT HOT void fm_step(float *records, int64_t width, const int64_t *feature, const int32_t *starts,
                        const int32_t *row_of, float *value_of, int64_t from, int64_t to, const float *slopes,
                        const float *sums, int64_t is_far, const Settings *all, const Pace *pace)
{
    Rule single = {all->weight_rate * pace->rate, pace->weight_decay, all->fade, all->wane, all->eps, all->clip};
    Rule pair = {all->factor_rate * pace->rate, pace->factor_decay, all->fade, all->wane, all->eps, all->clip};
    int64_t stride = HEAD + 3 * width;
    for (int64_t slot = from; slot < to; slot++) {
        if (is_far && slot + SLOTS_AHEAD < to)
            fetch(records + feature[slot + SLOTS_AHEAD] * stride, stride);
        float *record = records + feature[slot] * stride, *factor = record + HEAD;
        int64_t start = starts[slot], entries = starts[slot + 1] - start, f = 0;
        const int32_t *rows = row_of + start;
        float *x = value_of + start, slope = 0, own = 0;
        for (int64_t at = 0; at < entries; at++) {
            float by = slopes[rows[at]] * x[at];
            slope += by;
            own += by * x[at];
            x[at] = by;
        }
        adam(record + WEIGHT, record + FIRST, record + SECOND, &slope, single.decay, 1, single);
        record[SEEN] += (float)entries;
#define TURN(V) turn_##V(factor + f, width, rows, x, entries, sums + f, pair.decay - own, pair)
        ALL_FACTORS(width, TURN)
    }
}

/* Steps over mini-batches of `size` rows, one pace each; scores: of each row before its step.
 * The further arrays are room to work in, for the mini-batch with the most entries. */
EXPORT void fm_learn(float *records, int64_t width, float *bias, const int64_t *indptr, const int64_t *indices,
                     const float *values, const float *labels, const float *weights, int64_t rows, int64_t size,
                     int64_t is_logistic, int64_t is_far, const Settings *all, const Pace *paces, float *scores,
                     int32_t *place, int32_t *slot, int64_t *feature, int32_t *starts, int32_t *row_of,
                     float *value_of, float *slopes, float *sums)
{
    int64_t stride = HEAD + 3 * width;
    for (int64_t from = 0; from < rows; from += size, paces++) {
        int64_t to = rows - from < size ? rows : from + size;
        int64_t slots = fm_group(indptr, indices, values, from, to, place, slot, feature, starts, row_of, value_of);
        fm_score(records + WEIGHT, stride, records + HEAD, stride, width, *bias, indptr, indices, values, from, to,
                 is_far, scores + from, sums);
        fm_slopes(scores + from, labels + from, weights ? weights + from : 0, to - from, is_logistic, all, paces,
                  slopes, bias);
        fm_step(records, width, feature, starts, row_of, value_of, 0, slots, slopes, sums, is_far, all, paces);
    }
}
