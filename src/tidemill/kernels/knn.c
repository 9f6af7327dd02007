/* Exact nearest neighbours in two steps. A first pass over short codes gives every row a value that
 * its distance to the query is proved not to be below. Rows whose value is not above the k-th best
 * distance so far wait; whenever many do, those of the least values are measured from all their
 * columns, in double, which lowers that distance and rules others out. So the answer is exactly that
 * of measuring every row, ties by the row's number included.
 *
 * For L2, |x - q|^2 = |y|^2 + |w|^2 - 2 y.w with y, w relative to a centre; for inner products the
 * value is -x.q. With z the part of a vector in a subspace and r the length of the rest, by Cauchy and
 * Schwarz y.w <= z_y.z_w + r_y r_w, and with the codes' error e, z = c + e:
 *     z_y.z_w <= c_y.c_w + |c_y| |e_w| + |e_y| |z_w|.
 * What rounding to float adds is put into the errors by those who make the codes (knn_codes.c). */
#include "knn_best.h"
#include "knn_wide.h"

#define HALF (TILE / 2)

/* Products of a group with half a tile of floats. */
INLINE void multiply_half(
    const float *code, const float *tile, int64_t steps, int width, int from, float16 *sums)
{
    float16 sum[HALF] = {{0}};
    for (int64_t step = 0; step < steps; step++) {
        float16 x;
        memcpy(&x, code + step * LANES, sizeof x);
#pragma GCC unroll 8
        for (int j = 0; j < HALF; j++)
            sum[j] += x * tile[step * width + from + j];
    }
    for (int j = 0; j < HALF; j++)
        sums[j] = sum[j];
}

INLINE void await_floats(
    const Rows *rows, Queries *queries, int64_t query, int64_t group, const float *values)
{
    for (int lane = 0; lane < LANES; lane++) {
        int32_t place = (int32_t)(group * LANES + lane);
        if (values[lane] > queries->limit[query] || rows->vector_of[place] < 0)
            continue;
        int64_t to = query * (queries->room + LANES) + queries->waiting[query]++;
        queries->values[to] = isnan(values[lane]) ? -INFINITY : values[lane];
        queries->places[to] = place;
        if (queries->waiting[query] >= queries->room)
            settle(rows, queries, query, queries->room / 2, INT64_MAX);
    }
}

/* Up to TILE queries against groups from..to. tile: (steps, TILE) of their codes. */
HOT static void scan_floats(
    const Rows *rows, Queries *queries, const int32_t *which, int filled, const float *tile,
    int64_t from, int64_t to)
{
    for (int64_t group = from; group < to; group++) {
        const float *code = (const float *)rows->codes + group * rows->steps * LANES;
        const float *terms = rows->terms + group * 3 * LANES;
        float16 square, length, rest;
        memcpy(&square, terms, sizeof square);
        memcpy(&length, terms + LANES, sizeof length);
        memcpy(&rest, terms + 2 * LANES, sizeof rest);
        for (int half = 0; half < filled; half += HALF) {
            float16 sums[HALF];
            multiply_half(code, tile, rows->steps, TILE, half, sums);
            for (int j = half; j < half + HALF && j < filled; j++) {
                const float *scalar = queries->scalars + 4 * which[j];
                float16 value = square - sums[j - half] * scalar[0];
                value -= rest * scalar[1] + length * scalar[2];
                float values[LANES], limit = queries->limit[which[j]];
                int any = 0;
                memcpy(values, &value, sizeof values);
#pragma omp simd reduction(| : any)
                for (int lane = 0; lane < LANES; lane++)
                    any |= !(values[lane] > limit);
                if (any)
                    await_floats(rows, queries, which[j], group, values);
            }
        }
    }
}

/* How many queries are packed side by side. */
static int width_of(const Rows *rows, int filled)
{
    if (filled > 8 || (!rows->is_bytes && !has_wide()))
        return TILE;
    return filled > 4 ? 8 : filled > 2 ? 4 : filled;
}

/* The codes of some queries side by side: (steps, width) of four bytes, which a float is too. */
static void pack(const Rows *rows, const Queries *queries, const int32_t *which, int filled, char *tile)
{
    int width = width_of(rows, filled);
    for (int j = 0; j < width; j++) {
        const char *code = (const char *)queries->codes + 4 * rows->steps * which[j < filled ? j : 0];
        for (int64_t step = 0; step < rows->steps; step++)
            memcpy(tile + (step * width + j) * 4, code + 4 * step, 4);
    }
}

static void scan(
    const Rows *rows, Queries *queries, const int32_t *which, int filled, const char *tile,
    int64_t from, int64_t to)
{
    if (rows->is_bytes)
        scan_bytes(rows, queries, which, filled, width_of(rows, filled), tile, from, to);
    else if (has_wide())
        scan_floats_wide(rows, queries, which, filled, width_of(rows, filled), tile, from, to);
    else
        scan_floats(rows, queries, which, filled, (const float *)tile, from, to);
}

static int filled_of(int64_t chosen, int64_t at)
{
    return chosen - at < TILE ? (int)(chosen - at) : TILE;
}

/* Whether the kernel can pass over bytes on this processor. */
EXPORT int64_t knn_has_bytes(void)
{
    return has_bytes();
}

/* Begin: nothing found yet. all : room for count */
EXPORT void knn_ready(Queries *queries, int32_t *all)
{
    for (int64_t query = 0; query < queries->count; query++) {
        queries->limit[query] = INFINITY;
        queries->waiting[query] = queries->found[query] = 0;
        all[query] = (int32_t)query;
    }
}

/* Some queries against the groups of a cell. */
static void look(
    const Rows *rows, Queries *queries, const int32_t *which, int64_t chosen, int64_t from, int64_t to,
    char *tile)
{
    for (int64_t at = 0; at < chosen; at += TILE) {
        pack(rows, queries, which + at, filled_of(chosen, at), tile);
        scan(rows, queries, which + at, filled_of(chosen, at), tile, from, to);
    }
}

/* The first pass over the cell where each query begins, which is then out of `near`.
 * starts : (cells + 1) groups where cells begin · first : (count), others than 0..cells - 1 mean none
 * near : (cells, count) · ends : room for cells + 1 · which : for count · tile : for TILE codes */
EXPORT void knn_begin(
    const Rows *rows, Queries *queries, const int32_t *starts, int64_t cells, const int32_t *first,
    float *near, int32_t *ends, int32_t *which, char *tile)
{
    memset(ends, 0, (size_t)(cells + 1) * sizeof *ends);
    for (int64_t query = 0; query < queries->count; query++)
        if (first[query] >= 0 && first[query] < cells)
            ends[first[query] + 1]++;
    for (int64_t cell = 0; cell < cells; cell++)
        ends[cell + 1] += ends[cell];
    for (int64_t query = 0; query < queries->count; query++)
        if (first[query] >= 0 && first[query] < cells) {
            which[ends[first[query]]++] = (int32_t)query;
            near[first[query] * queries->count + query] = INFINITY;
        }
    for (int64_t cell = 0, begin = 0; cell < cells; begin = ends[cell++])
        look(rows, queries, which + begin, ends[cell] - begin, starts[cell], starts[cell + 1], tile);
}

/* The first pass over all cells that may hold a row that is near enough.
 * near : values that no row of a cell is below; infinite for those not to visit
 * all : 0..count - 1 · which : room for count + 1 · tiles : for (count + TILE) codes */
EXPORT void knn_visit(
    const Rows *rows, Queries *queries, const int32_t *starts, int64_t cells, const float *near,
    const int32_t *all, int32_t *which, char *tiles, char *tile)
{
    int64_t count = queries->count, size = 4 * rows->steps;
    for (int64_t at = 0; at < count; at += TILE)
        pack(rows, queries, all + at, filled_of(count, at), tiles + at * size);
    for (int64_t cell = 0; cell < cells; cell++) {
        const float *own = near + cell * count;
        int64_t chosen = 0, from = starts[cell], to = starts[cell + 1];
        for (int64_t query = 0; query < count; query++) {
            which[chosen] = (int32_t)query;
            chosen += own[query] != INFINITY && !(own[query] > queries->limit[query]);
        }
        if (chosen < count)
            look(rows, queries, which, chosen, from, to, tile);
        else
            for (int64_t at = 0; at < count; at += TILE)
                scan(rows, queries, all + at, filled_of(count, at), tiles + at * size, from, to);
    }
}

/* What no row of a cell is below, of each query: see knn_near. */
INLINE void near_cell(
    float *restrict own, const float *centre, const float *restrict asked, int64_t count, int is_inner,
    float doubt, float share, int32_t cell, float *restrict best, int32_t *restrict first)
{
    const float *square = asked, *length = asked + count, *whole = asked + 2 * count;
    const float *rest = asked + 3 * count;
    float centre_square = centre[0], centre_length = centre[1], radius = centre[2], most = centre[3];
#pragma omp simd
    for (int64_t query = 0; query < count; query++) {
        float reach, value;
        if (is_inner) {
            value = own[query] + (radius + doubt * centre_length) * sqrtf(whole[query]);
            value = reach = -(value + most * rest[query]);
        } else {
            float lengths = centre_length + length[query];
            reach = centre_square + square[query] - 2 * own[query];
            float apart = reach - doubt * lengths * lengths;
            apart = sqrtf(apart > 0 ? apart : 0) * (1 - 0x1p-20f) - radius - share * sqrtf(whole[query]);
            apart = apart > 0 ? apart : 0;
            value = apart * apart * (1 - 0x1p-20f) - whole[query];
        }
        own[query] = value;
        first[query] = reach < best[query] ? cell : first[query];
        best[query] = reach < best[query] ? reach : best[query];
    }
}

/* From the products of centres and queries, (cells, count), the values that no row of a cell is below,
 * in their place, and of each query the cell with the nearest centre.
 * centres : (cells, 4) square, length, radius, rest · asked : (4, count) square and length of z,
 * square of the whole, rest · doubt: of a product, share: of z, as shares · best : room for count floats */
EXPORT HOT void knn_near(
    float *near, const float *centres, const float *asked, int64_t cells, int64_t count,
    int64_t is_inner, float doubt, float share, float *best, int32_t *first)
{
    for (int64_t query = 0; query < count; query++) {
        best[query] = INFINITY;
        first[query] = 0;
    }
    for (int64_t cell = 0; cell < cells; cell++) {
        float *own = near + cell * count;
        if (is_inner)
            near_cell(own, centres + 4 * cell, asked, count, 1, doubt, share, (int32_t)cell, best, first);
        else
            near_cell(own, centres + 4 * cell, asked, count, 0, doubt, share, (int32_t)cell, best, first);
    }
}

/* Measure what waits, or about the `most` of the least values: limits are then those of the best so far.
 */
EXPORT HOT void knn_settle(const Rows *rows, Queries *queries, int64_t most)
{
    for (int64_t query = 0; query < queries->count; query++)
        settle(rows, queries, query, 0, most);
}

/* All rows measured, a few at a time that stay in the cache. vectors : (count, columns) · of the queries
 * nothing else need be known than their vectors */
EXPORT HOT void knn_straight(
    Queries *queries, const float *vectors, int64_t count, int64_t columns, int64_t is_inner)
{
    for (int64_t from = 0; from < count; from += LANES)
        for (int64_t query = 0; query < queries->count; query++) {
            const float *q = queries->vectors + query * columns;
            for (int64_t row = from; row < count && row < from + LANES; row++)
                keep(queries, query, measure(vectors + row * columns, q, columns, is_inner != 0),
                     (int32_t)row);
        }
}

/* Put what was found in order, nothing waiting any more. distances, found: (count, k) */
EXPORT void knn_finish(Queries *queries, float *distances, int32_t *found)
{
    int64_t k = queries->k;
    for (int64_t query = 0; query < queries->count; query++) {
        double *best = queries->best + query * k;
        int32_t *rows = queries->rows + query * k;
        int64_t count = queries->found[query];
        heap_up(best, rows, count);
        for (int64_t last = count - 1; last >= 0; last--) {
            distances[query * k + last] = (float)best[0];
            found[query * k + last] = rows[0];
            sink(best, rows, last, best[last], rows[last], 0);
        }
        for (int64_t i = count; i < k; i++) {
            distances[query * k + i] = INFINITY;
            found[query * k + i] = -1;
        }
    }
}
