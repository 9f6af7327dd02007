/* Random projections of vectors to fewer columns. Every sum has an order of its own that does not
 * depend on the vectors beside it: a vector always comes out as the same bytes. */
#include <math.h>
#include <string.h>

#include "kernel.h"

/* Products and sums are never fused, so that they are the same whatever the processor. */
#ifdef __clang__
#pragma STDC FP_CONTRACT OFF
#endif

#define WIDE 64
#define ROWS 4

typedef float float16 __attribute__((vector_size(64)));

/* Up to ROWS vectors times WIDE columns of signs. */
INLINE void project_block(
    const float *vectors, int64_t rows, int64_t columns, const float *signs, int64_t target, float factor,
    float *out)
{
    float16 sum[ROWS][WIDE / 16] = {{{0}}};
    for (int64_t j = 0; j < columns; j++) {
        float16 sign[WIDE / 16];
        memcpy(sign, signs + j * target, sizeof sign);
#pragma GCC unroll 4
        for (int row = 0; row < ROWS; row++) {
            float x = vectors[(row < rows ? row : 0) * columns + j];
#pragma GCC unroll 4
            for (int i = 0; i < WIDE / 16; i++)
                sum[row][i] += x * sign[i];
        }
    }
    for (int64_t row = 0; row < rows; row++)
        for (int i = 0; i < WIDE; i++)
            out[row * target + i] = sum[row][i / 16][i % 16] * factor;
}

/* out : (count, target) of vectors (count, columns) times signs (columns, target), +1 and -1; target is
 * a multiple of WIDE */
EXPORT HOT void knn_project(
    const float *vectors, int64_t count, int64_t columns, const float *signs, int64_t target, double factor,
    float *out)
{
    for (int64_t at = 0; at < target; at += WIDE)
        for (int64_t row = 0; row < count; row += ROWS)
            project_block(
                vectors + row * columns, count - row < ROWS ? count - row : ROWS, columns, signs + at,
                target, (float)factor, out + row * target + at);
}

/* The fast Johnson-Lindenstrauss transform: signs, a Walsh-Hadamard transform, some of its columns.
 * signs : (columns) +1 and -1 · chosen : (target) below size · size: a power of two, at least columns
 * room : (size) · out : (count, target) */
EXPORT HOT void knn_hadamard(
    const float *vectors, int64_t count, int64_t columns, const float *signs, int64_t size,
    const int64_t *chosen, int64_t target, double factor, float *room, float *out)
{
    for (int64_t row = 0; row < count; row++) {
        const float *x = vectors + row * columns;
        for (int64_t j = 0; j < columns; j++)
            room[j] = x[j] * signs[j];
        memset(room + columns, 0, (size_t)(size - columns) * sizeof *room);
        for (int64_t half = 1; half < size; half *= 2)
            for (int64_t from = 0; from < size; from += 2 * half)
#pragma omp simd
                for (int64_t j = from; j < from + half; j++) {
                    float a = room[j], b = room[j + half];
                    room[j] = a + b;
                    room[j + half] = a - b;
                }
        for (int64_t i = 0; i < target; i++)
            out[row * target + i] = room[chosen[i]] * (float)factor;
    }
}
