/* The k nearest of the rows that a first pass could not rule out. */
#ifndef TIDEMILL_KNN_BEST_H
#define TIDEMILL_KNN_BEST_H

#include <math.h>
#include <string.h>

#include "kernel.h"

/* Products and sums are never fused, so that equal rows are equally far whatever the processor. */
#ifdef __clang__
#pragma STDC FP_CONTRACT OFF
#endif

#define LANES 16
#define WORTH 48 /* columns of which an estimate costs much less than a measure */
#define AHEAD 8 /* rows that are fetched while others are measured */

typedef double double8 __attribute__((vector_size(64)));
typedef float float8 __attribute__((vector_size(32)));
typedef float float16 __attribute__((vector_size(64)));

/* The rows, and what the first pass knows of them, in groups of LANES places that stand side by side. */
typedef struct {
    const float *vectors;
    const int32_t *vector_of; /* (groups, LANES): the vector of a place, or -1 where there is none */
    const int32_t *row_of;    /* (groups, LANES): the number that a place's row is told by */
    const void *codes;        /* (groups, steps, LANES, 4) bytes, 128 added; or (groups, steps, LANES) floats */
    const float *terms;       /* (groups, 3, LANES): square; scale of bytes, length of floats; rest */
    const float *most;        /* (groups, 2): of the lengths and errors of bytes */
    int64_t columns, groups, steps, is_inner, is_bytes;
} Rows;

/* The queries of one call, and what is found for them so far. */
typedef struct {
    const float *vectors;
    const void *codes;    /* (count, steps, 4) bytes, or (count, steps) floats */
    const float *scalars; /* (count, 4): scale, rest, error, length, all times the factor of y.w */
    const double *base;   /* (count): what the value lacks to the distance */
    const double *unit;   /* (count): of the value, for a distance of one */
    const float *doubt;   /* (count): how far the float distance may be from the true one */
    float *limit;         /* (count): rows whose value is above it are out */
    float *values;        /* (count, room + LANES): of the rows that wait */
    int32_t *places;      /* (count, room + LANES): where they stand */
    int32_t *waiting;     /* (count): how many */
    double *best;         /* (count, k): a heap, the worst first */
    int32_t *rows;        /* (count, k): whose distances these are */
    int32_t *found;       /* (count) */
    int64_t count, room, k;
} Queries;

/* The distance: a square, or minus the product. The sum's order is the same everywhere. */
INLINE double measure(const float *x, const float *q, int64_t columns, int is_inner)
{
    double8 sum = {0};
    float left[16] = {0};
    int64_t j = 0;
    for (; j + 8 <= columns; j += 8) {
        float8 a, b;
        memcpy(&a, x + j, sizeof a);
        memcpy(&b, q + j, sizeof b);
        double8 u = __builtin_convertvector(a, double8), v = __builtin_convertvector(b, double8);
        if (is_inner) {
            sum -= u * v;
        } else {
            u -= v;
            sum += u * u;
        }
    }
    for (int i = 0; j < columns; j++, i++) {
        left[i] = x[j];
        left[8 + i] = q[j];
    }
    for (int i = 0; i < 8; i++) {
        double u = left[i], v = left[8 + i];
        sum[i] += is_inner ? -u * v : (u - v) * (u - v);
    }
    return ((sum[0] + sum[4]) + (sum[1] + sum[5])) + ((sum[2] + sum[6]) + (sum[3] + sum[7]));
}

/* The same in float: quicker, and off by a known share. */
INLINE float estimate(const float *x, const float *q, int64_t columns, int is_inner)
{
    float16 sums = {0};
    float sum = 0;
    int64_t j = 0;
    for (; j + 16 <= columns; j += 16) {
        float16 u, v;
        memcpy(&u, x + j, sizeof u);
        memcpy(&v, q + j, sizeof v);
        if (is_inner) {
            sums -= u * v;
        } else {
            u -= v;
            sums += u * u;
        }
    }
    for (; j < columns; j++)
        sum += is_inner ? -x[j] * q[j] : (x[j] - q[j]) * (x[j] - q[j]);
    for (int i = 0; i < 16; i++)
        sum += sums[i];
    return sum;
}

INLINE int is_worse(double a, int32_t i, double b, int32_t j)
{
    return a > b || (a == b && i > j);
}

/* Put one in a heap whose top is free: the worst comes first. */
INLINE void sink(double *best, int32_t *rows, int64_t count, double value, int32_t row, int64_t at)
{
    for (;;) {
        int64_t child = 2 * at + 1;
        if (child >= count)
            break;
        if (child + 1 < count && is_worse(best[child + 1], rows[child + 1], best[child], rows[child]))
            child++;
        if (!is_worse(best[child], rows[child], value, row))
            break;
        best[at] = best[child];
        rows[at] = rows[child];
        at = child;
    }
    best[at] = value;
    rows[at] = row;
}

INLINE void heap_up(double *best, int32_t *rows, int64_t count)
{
    for (int64_t at = count / 2; at-- > 0;)
        sink(best, rows, count, best[at], rows[at], at);
}

INLINE void keep(Queries *queries, int64_t query, double value, int32_t row)
{
    int64_t k = queries->k;
    double *best = queries->best + query * k;
    int32_t *rows = queries->rows + query * k;
    if (queries->found[query] < k) {
        int64_t at = queries->found[query]++;
        best[at] = value;
        rows[at] = row;
        if (at + 1 == k)
            heap_up(best, rows, k);
    } else if (is_worse(best[0], rows[0], value, row)) {
        sink(best, rows, k, value, row, 0);
    }
}

/* Rows of larger values are no nearer than the worst that was found, if there are k. */
INLINE float limit_of(const Queries *queries, int64_t query)
{
    if (queries->found[query] < queries->k)
        return INFINITY;
    double most = queries->best[query * queries->k] - queries->base[query];
    most += 0x1p-18 * fabs(most) + 0x1p-18 * fabs(queries->base[query]);
    most *= queries->unit[query];
    return most > 3e38 ? INFINITY : (float)most;
}

INLINE void fetch(const Rows *rows, int32_t place)
{
    const float *x = rows->vectors + (int64_t)rows->vector_of[place] * rows->columns;
    for (int64_t j = 0; j < rows->columns && j < 1024; j += 16)
        __builtin_prefetch(x + j, 0, 1);
}

/* Measure the row at a place, unless an estimate shows that it is not among the best. */
INLINE void consider(const Rows *rows, Queries *queries, int64_t query, int32_t place)
{
    int64_t columns = rows->columns, k = queries->k;
    int is_inner = rows->is_inner != 0;
    const float *x = rows->vectors + (int64_t)rows->vector_of[place] * columns;
    const float *q = queries->vectors + query * columns;
    if (queries->found[query] == k && columns >= WORTH) {
        float about = estimate(x, q, columns, is_inner), size = fabsf(about);
        float doubt = is_inner ? queries->doubt[query] : size * queries->doubt[query];
        int is_normal = size < 3e38f && (is_inner || size > 1e-30f);
        if (is_normal && about - doubt > queries->best[query * k])
            return;
    }
    keep(queries, query, measure(x, q, columns, is_inner), rows->row_of[place]);
}

/* Of a heap whose least value comes first: put the one at a place where it belongs. */
INLINE void settle_down(float *values, int32_t *places, int64_t count, int64_t at)
{
    float value = values[at];
    int32_t place = places[at];
    for (;;) {
        int64_t child = 2 * at + 1;
        if (child >= count)
            break;
        if (child + 1 < count && values[child + 1] < values[child])
            child++;
        if (!(values[child] < value))
            break;
        values[at] = values[child];
        places[at] = places[child];
        at = child;
    }
    values[at] = value;
    places[at] = place;
}

INLINE void order(float *values, int32_t *places, int64_t count)
{
    for (int64_t at = count / 2; at-- > 0;)
        settle_down(values, places, count, at);
}

/* Of those that wait, the ones that may still be near; gives their number. */
INLINE int64_t sift(float *values, int32_t *places, int64_t count, float limit)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < count; i++)
        if (!(values[i] > limit)) {
            values[kept] = values[i];
            places[kept++] = places[i];
        }
    return kept;
}

/* Measure rows that wait, the least values first, until no more than `left` others could be nearer than
 * the k-th best, or about `most` were measured. */
INLINE void settle(const Rows *rows, Queries *queries, int64_t query, int64_t left, int64_t most)
{
    float *values = queries->values + query * (queries->room + LANES), taken_values[AHEAD];
    int32_t *places = queries->places + query * (queries->room + LANES), taken_places[AHEAD];
    int64_t count = queries->waiting[query];
    if (rows->columns < WORTH) { /* to measure one costs less than to choose it */
        for (int64_t i = 0; i < count; i++)
            if (!(values[i] > queries->limit[query])) {
                consider(rows, queries, query, places[i]);
                queries->limit[query] = limit_of(queries, query);
            }
        queries->waiting[query] = 0;
        return;
    }
    count = sift(values, places, count, queries->limit[query]);
    order(values, places, count);
    while (count > left && most > 0) {
        int taken = 0;
        for (; taken < AHEAD && count && !(values[0] > queries->limit[query]); taken++) {
            fetch(rows, places[0]);
            taken_values[taken] = values[0];
            taken_places[taken] = places[0];
            count--;
            values[0] = values[count];
            places[0] = places[count];
            settle_down(values, places, count, 0);
        }
        if (!taken)
            count = 0;
        for (int i = 0; i < taken; i++)
            if (!(taken_values[i] > queries->limit[query])) {
                consider(rows, queries, query, taken_places[i]);
                queries->limit[query] = limit_of(queries, query);
            }
        most -= taken;
        if (left) {
            count = sift(values, places, count, queries->limit[query]);
            order(values, places, count);
        }
    }
    queries->waiting[query] = (int32_t)count;
}

#endif
