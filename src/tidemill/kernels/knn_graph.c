/* Search in a hierarchical navigable small world (Malkov & Yashunin, 2018): greedily down the levels,
 * then with a beam in the lowest one. The way is found by codes of bytes where the processor has them,
 * else by floats; what the beam found is measured exactly. */
#include "knn_best.h"

#if defined(__x86_64__) && (!defined(KERNEL_PLAIN) || defined(KERNEL_BYTES))
#include <immintrin.h>
#define VNNI __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")))
#endif

/* The rows and how they hang together. */
typedef struct {
    const float *vectors;     /* (count, columns) */
    const uint8_t *codes;     /* (count, size) with 128 added, or NULL; size is a multiple of 64 */
    const float *terms;       /* (count, 2): square, scale */
    const int64_t *offsets;   /* (count + 1): where the neighbours of a row begin */
    const int32_t *neighbors; /* of a row level by level, -1 for none */
    const int32_t *begins;    /* (levels + 1): of a row's neighbours, where those of a level begin */
    int64_t count, columns, size, levels, entry, is_inner;
} Graph;

/* The queries. */
typedef struct {
    const float *vectors;
    const int8_t *codes;
    const float *scales; /* times the factor of the product */
    const int32_t *starts; /* -128 times the sum of the code */
} Asked;

#ifdef VNNI
VNNI static int32_t product(const uint8_t *x, const int8_t *q, int64_t size)
{
    __m512i even = _mm512_setzero_si512(), odd = even;
    for (int64_t j = 0; j < size; j += 128) {
        even = _mm512_dpbusd_epi32(even, _mm512_loadu_si512(x + j), _mm512_loadu_si512(q + j));
        if (j + 64 < size)
            odd = _mm512_dpbusd_epi32(
                odd, _mm512_loadu_si512(x + j + 64), _mm512_loadu_si512(q + j + 64));
    }
    return _mm512_reduce_add_epi32(_mm512_add_epi32(even, odd));
}
#else
static int32_t product(const uint8_t *x, const int8_t *q, int64_t size)
{
    int32_t sum = 0;
    for (int64_t j = 0; j < size; j++)
        sum += x[j] * q[j];
    return sum;
}
#endif

INLINE float about(const Graph *graph, const Asked *asked, int64_t query, int64_t row)
{
    if (graph->codes == NULL)
        return estimate(graph->vectors + row * graph->columns, asked->vectors + query * graph->columns,
                        graph->columns, graph->is_inner != 0);
    int32_t sum = product(graph->codes + row * graph->size, asked->codes + query * graph->size, graph->size);
    sum += asked->starts[query];
    return graph->terms[2 * row] - asked->scales[query] * graph->terms[2 * row + 1] * (float)sum;
}

INLINE void prefetch(const Graph *graph, int64_t row)
{
    const char *from = graph->codes ? (const char *)(graph->codes + row * graph->size)
                                    : (const char *)(graph->vectors + row * graph->columns);
    int64_t size = graph->codes ? graph->size : 4 * graph->columns;
    for (int64_t j = 0; j < size && j < 2048; j += 64)
        __builtin_prefetch(from + j, 0, 1);
}

/* The neighbours of a row on a level. */
INLINE int64_t around(const Graph *graph, int64_t row, int64_t level, const int32_t **list)
{
    int64_t begin = graph->offsets[row] + graph->begins[level], end = graph->offsets[row] + graph->begins[level + 1];
    end = end < graph->offsets[row + 1] ? end : graph->offsets[row + 1];
    *list = graph->neighbors + begin;
    int64_t count = 0;
    while (begin + count < end && (*list)[count] >= 0)
        count++;
    return count;
}

INLINE int64_t descend(const Graph *graph, const Asked *asked, int64_t query)
{
    int64_t row = graph->entry;
    float best = about(graph, asked, query, row);
    for (int64_t level = graph->levels - 1; level > 0; level--)
        for (int moves = 1; moves;) {
            const int32_t *list;
            int64_t count = around(graph, row, level, &list);
            moves = 0;
            for (int64_t i = 0; i < count; i++) {
                float value = about(graph, asked, query, list[i]);
                if (value < best) {
                    best = value;
                    row = list[i];
                    moves = 1;
                }
            }
        }
    return row;
}

/* Rows to go on from, the nearest first: a heap. */
INLINE void push(float *values, int32_t *rows, int64_t at, float value, int32_t row)
{
    while (at > 0 && values[(at - 1) / 2] > value) {
        values[at] = values[(at - 1) / 2];
        rows[at] = rows[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    values[at] = value;
    rows[at] = row;
}

/* best, found : (count, k) · beam: at least k · seen : (rows) of which none is above `mark`, as they are
 * left plus the count of queries · values, ways : room for as many as there are rows
 * kept, held : (beam) */
EXPORT HOT void knn_walk(
    const Graph *graph, const Asked *asked, int64_t count, int64_t k, int64_t beam, int64_t mark,
    int64_t *seen,
    float *values, int32_t *ways, double *kept, int32_t *held, float *best, int32_t *found)
{
    for (int64_t query = 0; query < count; query++) {
        mark++;
        int64_t row = descend(graph, asked, query), waiting = 0, size = 0;
        float value = about(graph, asked, query, row);
        push(values, ways, waiting++, value, (int32_t)row);
        kept[0] = value;
        held[size++] = (int32_t)row;
        seen[row] = mark;
        while (waiting && !(size == beam && values[0] > kept[0])) {
            const int32_t *list;
            int64_t near = around(graph, ways[0], 0, &list);
            waiting--;
            values[0] = values[waiting];
            ways[0] = ways[waiting];
            settle_down(values, ways, waiting, 0);
            for (int64_t i = 0; i < near; i++)
                if (seen[list[i]] != mark)
                    prefetch(graph, list[i]);
            for (int64_t i = 0; i < near; i++) {
                if (seen[list[i]] == mark)
                    continue;
                seen[list[i]] = mark;
                value = about(graph, asked, query, list[i]);
                if (size == beam && !(value < kept[0]))
                    continue;
                push(values, ways, waiting++, value, list[i]);
                if (size < beam) {
                    kept[size] = value;
                    held[size++] = list[i];
                    if (size == beam)
                        heap_up(kept, held, size);
                } else {
                    sink(kept, held, size, value, list[i], 0);
                }
            }
        }
        const float *q = asked->vectors + query * graph->columns;
        for (int64_t i = 0; i < size; i++)
            kept[i] = measure(graph->vectors + held[i] * graph->columns, q, graph->columns, graph->is_inner != 0);
        heap_up(kept, held, size);
        for (int64_t last = size - 1; last >= 0; last--) {
            double worst = kept[0];
            int32_t whose = held[0];
            sink(kept, held, last, kept[last], held[last], 0);
            if (last < k) {
                best[query * k + last] = (float)worst;
                found[query * k + last] = whose;
            }
        }
        for (int64_t i = size; i < k; i++) {
            best[query * k + i] = INFINITY;
            found[query * k + i] = -1;
        }
    }
}
