/* Documents under topics: what words say of their mixtures, and what mixtures say of their words.
 *
 * Documents are sparse rows of counts. The words of some documents are numbered from 0 (ids), so that
 * what is known of each stands in a small table; the entries of each word stand together, in the order
 * of the documents (starts, order, row_of). Work over documents and work over words may both be cut
 * into blocks that run side by side, for none of them writes where another does. */
#include "kernel.h"

#include <stddef.h>
#include <string.h>

enum { LANES = 16 };
/* Unaligned as far as C knows; scratch is aligned by hand, because it is quicker. */
typedef float lanes __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

static const float LEAST = 1e-20f;

INLINE float *aligned(float *memory)
{
    return (float *)(((uintptr_t)memory + 63) & ~(uintptr_t)63);
}

/* The natural logarithm of a positive normal number, to 1e-7; plain arithmetic, for 16 at once. */
INLINE float logarithm(float x)
{
    int32_t bits;
    memcpy(&bits, &x, 4);
    int32_t exponent = (bits - 0x3f3504f3) >> 23;
    bits -= exponent * (1 << 23);
    float m;
    memcpy(&m, &bits, 4);
    float t = (m - 1.0f) / (m + 1.0f), s = t * t;
    float series = 1.0f + s * (1.0f / 3 + s * (1.0f / 5 + s * (1.0f / 7 + s * (1.0f / 9))));
    return 2.0f * t * series + (float)exponent * 0.693147180559945f;
}

/* The first entry that is not a count of a word that there is, -1 if there is none, -2 when the
 * pointers do not fit the entries. */
EXPORT HOT int64_t lda_fault(
    const int64_t *indptr, int64_t rows, const int64_t *indices, const float *values, int64_t stored,
    int64_t columns, float most)
{
    if (indptr[0] != 0 || indptr[rows] != stored)
        return -2;
    for (int64_t row = 0; row < rows; row++)
        if (indptr[row] > indptr[row + 1])
            return -2;
    int64_t faults = 0;
#pragma omp simd reduction(+ : faults)
    for (int64_t i = 0; i < stored; i++)
        faults += (indices[i] < 0) | (indices[i] >= columns) | !(values[i] >= 0.0f) | !(values[i] <= most);
    if (faults == 0)
        return -1;
    for (int64_t i = 0; i < stored; i++)
        if (indices[i] < 0 || indices[i] >= columns || !(values[i] >= 0.0f && values[i] <= most))
            return i;
    return -1;
}

/* Numbers the words that occur, in ascending order; how many they are.
 * place: (columns) scratch · ids, order, row_of: (stored) · words: (stored) · starts: (stored + 1)
 * lengths: (rows) sums of counts */
EXPORT int64_t lda_index(
    const int64_t *indptr, int64_t rows, const int64_t *indices, const float *values, int64_t stored,
    int64_t columns, int32_t *place, int32_t *ids, int64_t *words, int64_t *starts, int32_t *order,
    int32_t *row_of, double *lengths)
{
    memset(place, 0, (size_t)columns * sizeof *place);
    for (int64_t i = 0; i < stored; i++)
        place[indices[i]]++;
    int64_t found = 0, at = 0;
    for (int64_t word = 0; word < columns; word++)
        if (place[word]) {
            words[found] = word;
            starts[found] = at;
            at += place[word];
            place[word] = (int32_t)found++;
        }
    starts[found] = stored;
    for (int64_t row = 0; row < rows; row++) {
        double length = 0.0;
        for (int64_t i = indptr[row]; i < indptr[row + 1]; i++) {
            length += values[i];
            int32_t id = ids[i] = place[indices[i]];
            int64_t to = starts[id]++;
            order[to] = (int32_t)i;
            row_of[to] = (int32_t)row;
        }
        lengths[row] = length;
    }
    /* Each start has moved to the next one's place. */
    memmove(starts + 1, starts, (size_t)found * sizeof *starts);
    starts[0] = 0;
    return found;
}

/* projected[row] = sum of count * basis[word], for rows first..last. */
EXPORT HOT void lda_project(
    const int64_t *indptr, int64_t first, int64_t last, const int64_t *indices, const float *values,
    const float *basis, int64_t width, float *projected)
{
    for (int64_t row = first; row < last; row++) {
        float *out = projected + row * width;
        memset(out, 0, (size_t)width * sizeof *out);
        for (int64_t i = indptr[row]; i < indptr[row + 1]; i++) {
            const float *from = basis + indices[i] * width;
            float count = values[i];
#pragma omp simd
            for (int64_t j = 0; j < width; j++)
                out[j] += count * from[j];
        }
    }
}

/* For words first..last: count * by_one[row] is added to ``ones``; to ``pairs`` count * by_pair[row] *
 * (projected row - basis[word]), so that no word is paired with itself; to ``triples`` the same with
 * by_triple and two thirds of the basis. */
EXPORT HOT void lda_moments(
    int64_t first, int64_t last, const int64_t *words, const int64_t *starts, const int32_t *order,
    const int32_t *row_of, const float *values, const float *projected, const double *by_one,
    const double *by_pair, const double *by_triple, const float *basis, int64_t width, double *ones,
    double *pairs, double *triples)
{
    for (int64_t u = first; u < last; u++) {
        int64_t word = words[u];
        double *pair = pairs + word * width, *triple = triples + word * width;
        double total = 0.0, paired = 0.0, tripled = 0.0;
        for (int64_t at = starts[u]; at < starts[u + 1]; at++) {
            double count = values[order[at]];
            const float *row = projected + row_of[at] * width;
            double two = count * by_pair[row_of[at]], three = count * by_triple[row_of[at]];
            total += count * by_one[row_of[at]];
            paired += two;
            tripled += three;
#pragma omp simd
            for (int64_t j = 0; j < width; j++) {
                pair[j] += two * row[j];
                triple[j] += three * row[j];
            }
        }
        const float *own = basis + word * width;
        tripled *= 2.0 / 3.0;
#pragma omp simd
        for (int64_t j = 0; j < width; j++) {
            pair[j] -= paired * own[j];
            triple[j] -= tripled * own[j];
        }
        ones[word] += total;
    }
}

/* chances[u] = (base + fade * past + fresh + smoothing) * inverse, of words first..last. */
EXPORT HOT void lda_chances(
    int64_t first, int64_t last, const int64_t *words, int64_t topics, const float *base,
    const float *past, const double *fresh, double fade, double smoothing, const double *inverse,
    float *chances)
{
    for (int64_t u = first; u < last; u++) {
        int64_t from = words[u] * topics;
        float *out = chances + u * topics;
#pragma omp simd
        for (int64_t j = 0; j < topics; j++)
            out[j] = (float)((base[from + j] + fade * past[from + j] + fresh[from + j] + smoothing) * inverse[j]);
    }
}

/* tiles[t][j][lane] = chance of word 16 t + lane under topic j; what is beyond the document counts 0. */
INLINE void lay_out(
    const int32_t *ids, const float *values, int64_t words, const float *chances, int64_t topics,
    float *tiles, float *counts)
{
    int64_t whole = (words + LANES - 1) / LANES * LANES;
    for (int64_t i = 0; i < whole; i++) {
        float *to = tiles + i / LANES * LANES * topics + i % LANES;
        counts[i] = i < words ? values[i] : 0.0f;
        if (i < words) {
            const float *from = chances + (int64_t)ids[i] * topics;
            for (int64_t j = 0; j < topics; j++)
                to[j * LANES] = from[j];
        } else
            for (int64_t j = 0; j < topics; j++)
                to[j * LANES] = 1.0f;
    }
}

/* likely = LEAST + sum over topics of mixture * chance, for the 16 words of a tile. */
#define LIKELY(likely, tile, mixture, topics)                                                        \
    lanes likely;                                                                                    \
    {                                                                                                \
        lanes a = (lanes){0} + LEAST, b = {0}, c = {0}, d = {0};                                     \
        int64_t j_ = 0;                                                                              \
        for (; j_ + 4 <= (topics); j_ += 4) {                                                        \
            a += (mixture)[j_] * (tile)[j_];                                                         \
            b += (mixture)[j_ + 1] * (tile)[j_ + 1];                                                 \
            c += (mixture)[j_ + 2] * (tile)[j_ + 2];                                                 \
            d += (mixture)[j_ + 3] * (tile)[j_ + 3];                                                 \
        }                                                                                            \
        for (; j_ < (topics); j_++)                                                                  \
            a += (mixture)[j_] * (tile)[j_];                                                         \
        likely = (a + b) + (c + d);                                                                  \
    }

/* One step of the fixed point: mixture = prior + mixture * sum of count * chance / likely.
 * How far it moved. */
INLINE float step(
    const float *tiles, const float *counts, int64_t tile_count, int64_t topics, const float *prior,
    float *mixture, lanes *sums)
{
    for (int64_t j = 0; j < topics; j++)
        sums[j] = (lanes){0};
    for (int64_t t = 0; t < tile_count; t++) {
        const lanes *tile = (const lanes *)(tiles + t * LANES * topics);
        LIKELY(likely, tile, mixture, topics)
        lanes ratio = *(const lanes *)(counts + t * LANES) / likely;
        for (int64_t j = 0; j < topics; j++)
            sums[j] += ratio * tile[j];
    }
    float moved = 0.0f;
    for (int64_t j = 0; j < topics; j++) {
        const float *parts = (const float *)(sums + j);
        float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
        for (int lane = 0; lane < LANES; lane++)
            sum += parts[lane];
        float next = prior[j] + mixture[j] * sum;
        moved += __builtin_fabsf(next - mixture[j]);
        mixture[j] = next;
    }
    return moved;
}

/* Documents first..last: mixtures (rows, topics), not scaled: each sums to its prior's and its words'
 * number; ratios (stored): count / likelihood of each entry; fits (rows): log-likelihood of the words.
 * A document is done when its mixture moves by less than ``tolerance`` of its length, or after
 * ``most`` steps. scratch: longest document, rounded up to 16, * (topics + 1) + 16 * (topics + 1). */
EXPORT HOT void lda_mixtures(
    const int64_t *indptr, int64_t first, int64_t last, const int32_t *ids, const float *values,
    const float *chances, int64_t topics, const float *prior, int64_t most, float tolerance,
    float *mixtures, float *ratios, double *fits, float *scratch)
{
    float *sums = aligned(scratch), *tiles = sums + LANES * topics;
    for (int64_t row = first; row < last; row++) {
        int64_t start = indptr[row], words = indptr[row + 1] - start;
        int64_t tile_count = (words + LANES - 1) / LANES;
        float *counts = tiles + tile_count * LANES * topics, *mixture = mixtures + row * topics;
        lay_out(ids + start, values + start, words, chances, topics, tiles, counts);
        float length = 0.0f, weight = 0.0f;
        for (int64_t i = 0; i < words; i++)
            length += values[start + i];
        for (int64_t j = 0; j < topics; j++)
            mixture[j] = prior[j] + length / (float)topics;
        for (int64_t at = 0; at < most && length > 0.0f; at++)
            if (step(tiles, counts, tile_count, topics, prior, mixture, (lanes *)sums) <= tolerance * length)
                break;
        for (int64_t j = 0; j < topics; j++)
            weight += mixture[j];
        double fit = 0.0;
        for (int64_t t = 0; t < tile_count; t++) {
            LIKELY(likely, (const lanes *)(tiles + t * LANES * topics), mixture, topics)
            float values_[LANES], part = 0.0f;
            memcpy(values_, &likely, sizeof values_);
            const float *count = counts + t * LANES;
            float scale = 1.0f / weight;
#pragma omp simd reduction(+ : part)
            for (int lane = 0; lane < LANES; lane++)
                part += count[lane] * logarithm(values_[lane] * scale);
            fit += part;
            for (int64_t i = t * LANES; i < words && i < (t + 1) * LANES; i++)
                ratios[start + i] = count[i - t * LANES] / values_[i - t * LANES];
        }
        fits[row] = fit;
    }
}

/* Words first..last: fresh[word] += chances * sum over its entries of ratio * mixture[row]; what all
 * of them gain is added to ``totals`` (topics). scratch: topics. */
EXPORT HOT void lda_counts(
    int64_t first, int64_t last, const int64_t *words, const int64_t *starts, const int32_t *order,
    const int32_t *row_of, const float *ratios, const float *mixtures, const float *chances,
    int64_t topics, double *fresh, double *totals, float *scratch)
{
    for (int64_t u = first; u < last; u++) {
        memset(scratch, 0, (size_t)topics * sizeof *scratch);
        for (int64_t at = starts[u]; at < starts[u + 1]; at++) {
            float ratio = ratios[order[at]];
            const float *mixture = mixtures + (int64_t)row_of[at] * topics;
#pragma omp simd
            for (int64_t j = 0; j < topics; j++)
                scratch[j] += ratio * mixture[j];
        }
        double *to = fresh + words[u] * topics;
        const float *chance = chances + u * topics;
#pragma omp simd
        for (int64_t j = 0; j < topics; j++) {
            double gained = (double)scratch[j] * chance[j];
            to[j] += gained;
            totals[j] += gained;
        }
    }
}
