/* The first pass on processors with AVX-512, over floats and, where there is VNNI, over bytes. */
#ifndef TIDEMILL_KNN_WIDE_H
#define TIDEMILL_KNN_WIDE_H

#include "knn_best.h"

#define TILE 12

#if defined(__x86_64__) && (!defined(KERNEL_PLAIN) || defined(KERNEL_BYTES))
#include <immintrin.h>

#define WIDE __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,popcnt")))
#define VNNI __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,popcnt")))
/* Apart from their use, lest the compiler run out of registers. */
#define APART __attribute__((noinline))

static int has_wide(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
}

static int has_bytes(void)
{
    return has_wide() && __builtin_cpu_supports("avx512vnni");
}

/* Products of a group's codes with those of `width` queries: (width, LANES). */
INLINE VNNI void multiply_bytes(
    const uint8_t *code, const char *tile, int64_t steps, int width, int32_t *sums)
{
    __m512i sum[TILE];
#pragma GCC unroll 16
    for (int j = 0; j < width; j++)
        sum[j] = _mm512_setzero_si512();
    for (int64_t step = 0; step < steps; step++) {
        __m512i x = _mm512_loadu_si512(code + step * 4 * LANES);
#pragma GCC unroll 16
        for (int j = 0; j < width; j++) {
            int32_t four;
            memcpy(&four, tile + (step * width + j) * 4, 4);
            sum[j] = _mm512_dpbusd_epi32(sum[j], x, _mm512_set1_epi32(four));
        }
    }
#pragma GCC unroll 16
    for (int j = 0; j < width; j++)
        _mm512_storeu_si512(sums + j * LANES, sum[j]);
}

INLINE WIDE void multiply_floats(
    const float *code, const char *tile, int64_t steps, int width, float *sums)
{
    __m512 sum[TILE];
#pragma GCC unroll 16
    for (int j = 0; j < width; j++)
        sum[j] = _mm512_setzero_ps();
    for (int64_t step = 0; step < steps; step++) {
        __m512 x = _mm512_loadu_ps(code + step * LANES);
#pragma GCC unroll 16
        for (int j = 0; j < width; j++) {
            float one;
            memcpy(&one, tile + (step * width + j) * 4, 4);
            sum[j] = _mm512_fmadd_ps(x, _mm512_set1_ps(one), sum[j]);
        }
    }
#pragma GCC unroll 16
    for (int j = 0; j < width; j++)
        _mm512_storeu_ps(sums + j * LANES, sum[j]);
}

#define MULTIPLY(width)                                                                              \
    APART VNNI static void bytes_##width(                                                            \
        const uint8_t *code, const char *tile, int64_t steps, int32_t *sums)                         \
    {                                                                                                \
        multiply_bytes(code, tile, steps, width, sums);                                              \
    }                                                                                                \
    APART WIDE static void floats_##width(                                                           \
        const float *code, const char *tile, int64_t steps, float *sums)                             \
    {                                                                                                \
        multiply_floats(code, tile, steps, width, sums);                                             \
    }

MULTIPLY(1)
MULTIPLY(2)
MULTIPLY(4)
MULTIPLY(8)
MULTIPLY(12)

typedef void (*BytesOf)(const uint8_t *, const char *, int64_t, int32_t *);
typedef void (*FloatsOf)(const float *, const char *, int64_t, float *);

static BytesOf bytes_of(int width)
{
    return width == 1 ? bytes_1 : width == 2 ? bytes_2 : width == 4 ? bytes_4 : width == 8 ? bytes_8 : bytes_12;
}

static FloatsOf floats_of(int width)
{
    return width == 1 ? floats_1 : width == 2 ? floats_2 : width == 4 ? floats_4 : width == 8 ? floats_8 : floats_12;
}

APART WIDE static void make_room(const Rows *rows, Queries *queries, int64_t query)
{
    settle(rows, queries, query, queries->room / 2, INT64_MAX);
}

/* Rows of a group that may be near wait for being measured. doubt: what their values leave out */
INLINE WIDE void await_wide(
    const Rows *rows, Queries *queries, int64_t query, int64_t group, __mmask16 stays, __m512 values,
    float doubt)
{
    __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    __m512i places = _mm512_add_epi32(lanes, _mm512_set1_epi32((int32_t)(group * LANES)));
    __m512i vectors = _mm512_loadu_si512(rows->vector_of + group * LANES);
    int64_t to = query * (queries->room + LANES) + queries->waiting[query];
    stays &= _mm512_cmpge_epi32_mask(vectors, _mm512_setzero_si512());
    values = _mm512_sub_ps(values, _mm512_set1_ps(doubt));
    /* What is not a number, for huge queries, may be anything: this gives the second. */
    values = _mm512_max_ps(values, _mm512_set1_ps(-INFINITY));
    _mm512_storeu_ps(queries->values + to, _mm512_maskz_compress_ps(stays, values));
    _mm512_storeu_si512(queries->places + to, _mm512_maskz_compress_epi32(stays, places));
    queries->waiting[query] += __builtin_popcount(stays);
    if (queries->waiting[query] >= queries->room)
        make_room(rows, queries, query);
}

/* Up to TILE queries against groups from..to. tile: (steps, width, 4) of their codes. */
VNNI static void scan_bytes(
    const Rows *rows, Queries *queries, const int32_t *which, int filled, int width, const char *tile,
    int64_t from, int64_t to)
{
    int32_t start[LANES] = {0}, sums[TILE * LANES];
    float scalar[4][LANES] = {{0}}, limit[LANES] = {0}, bound[LANES];
    BytesOf multiply = bytes_of(width);
    for (int j = 0; j < filled; j++) {
        const int8_t *code = (const int8_t *)queries->codes + 4 * rows->steps * which[j];
        int32_t sum = 0;
        for (int64_t i = 0; i < 4 * rows->steps; i++)
            sum += code[i];
        start[j] = -128 * sum;
        for (int i = 0; i < 4; i++)
            scalar[i][j] = queries->scalars[4 * which[j] + i];
        limit[j] = queries->limit[which[j]];
    }
    __m512 errors = _mm512_loadu_ps(scalar[2]), lengths = _mm512_loadu_ps(scalar[3]);
    for (int64_t group = from; group < to; group++) {
        const float *terms = rows->terms + group * 3 * LANES, *most = rows->most + 2 * group;
        multiply((const uint8_t *)rows->codes + group * rows->steps * 4 * LANES, tile, rows->steps, sums);
        __m512 square = _mm512_loadu_ps(terms), scales = _mm512_loadu_ps(terms + LANES);
        __m512 rests = _mm512_loadu_ps(terms + 2 * LANES), bounds = _mm512_loadu_ps(limit);
        bounds = _mm512_fmadd_ps(errors, _mm512_set1_ps(most[0]), bounds);
        bounds = _mm512_fmadd_ps(lengths, _mm512_set1_ps(most[1]), bounds);
        _mm512_storeu_ps(bound, bounds);
        for (int j = 0; j < filled; j++) {
            __m512i sum = _mm512_loadu_si512(sums + j * LANES);
            sum = _mm512_add_epi32(sum, _mm512_set1_epi32(start[j]));
            __m512 value = _mm512_mul_ps(_mm512_cvtepi32_ps(sum), scales);
            value = _mm512_fnmadd_ps(value, _mm512_set1_ps(scalar[0][j]), square);
            value = _mm512_fnmadd_ps(rests, _mm512_set1_ps(scalar[1][j]), value);
            __mmask16 stays = _mm512_cmp_ps_mask(value, _mm512_set1_ps(bound[j]), _CMP_NGT_UQ);
            if (stays) {
                float doubt = scalar[2][j] * most[0] + scalar[3][j] * most[1];
                await_wide(rows, queries, which[j], group, stays, value, doubt);
                limit[j] = queries->limit[which[j]];
            }
        }
    }
}

WIDE static void scan_floats_wide(
    const Rows *rows, Queries *queries, const int32_t *which, int filled, int width, const char *tile,
    int64_t from, int64_t to)
{
    float sums[TILE * LANES];
    FloatsOf multiply = floats_of(width);
    for (int64_t group = from; group < to; group++) {
        const float *terms = rows->terms + group * 3 * LANES;
        multiply((const float *)rows->codes + group * rows->steps * LANES, tile, rows->steps, sums);
        __m512 square = _mm512_loadu_ps(terms), length = _mm512_loadu_ps(terms + LANES);
        __m512 rest = _mm512_loadu_ps(terms + 2 * LANES);
        for (int j = 0; j < filled; j++) {
            const float *scalar = queries->scalars + 4 * which[j];
            __m512 value = _mm512_loadu_ps(sums + j * LANES);
            value = _mm512_fnmadd_ps(value, _mm512_set1_ps(scalar[0]), square);
            value = _mm512_fnmadd_ps(rest, _mm512_set1_ps(scalar[1]), value);
            value = _mm512_fnmadd_ps(length, _mm512_set1_ps(scalar[2]), value);
            __m512 limit = _mm512_set1_ps(queries->limit[which[j]]);
            __mmask16 stays = _mm512_cmp_ps_mask(value, limit, _CMP_NGT_UQ);
            if (stays)
                await_wide(rows, queries, which[j], group, stays, value, 0);
        }
    }
}
#else
static int has_wide(void)
{
    return 0;
}

static int has_bytes(void)
{
    return 0;
}

static void scan_bytes(
    const Rows *rows, Queries *queries, const int32_t *which, int filled, int width, const char *tile,
    int64_t from, int64_t to)
{
    (void)rows, (void)queries, (void)which, (void)filled;
    (void)width, (void)tile, (void)from, (void)to;
}

static void scan_floats_wide(
    const Rows *rows, Queries *queries, const int32_t *which, int filled, int width, const char *tile,
    int64_t from, int64_t to)
{
    scan_bytes(rows, queries, which, filled, width, tile, from, to);
}
#endif
#endif
