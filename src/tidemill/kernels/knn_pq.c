/* Distances to rows that are known by codes of their columns' parts (product quantisation: Jegou, Douze &
 * Schmid, 2011): a row is its cell's centre and, of each part, one of 256 words. */
#include <math.h>
#include <stdint.h>

#include "knn_best.h"

#define WORDS 256

INLINE float sum_of(const uint8_t *code, const float *table, int64_t parts)
{
    float even = 0, odd = 0;
    int64_t part = 0;
    for (; part + 2 <= parts; part += 2) {
        even += table[part * WORDS + code[part]];
        odd += table[(part + 1) * WORDS + code[part + 1]];
    }
    return even + odd + (part < parts ? table[part * WORDS + code[part]] : 0);
}

/* codes : (rows, parts) cell by cell · terms, numbers : (rows) · starts : (cells + 1) rows where cells
 * begin · probes, bases : (count, some) cells, -1 for none, and what their rows have in common
 * tables : (count, parts, 256) · heap : (k) · distances, found : (count, k), the least first
 * The distance of a row is its cell's base, plus its term, plus the words of its code in the table. */
EXPORT HOT void knn_pq(
    const uint8_t *codes, const float *terms, const int32_t *numbers, const int64_t *starts,
    const int32_t *probes, const float *bases, const float *tables, int64_t count, int64_t some,
    int64_t parts, int64_t k, double *heap, float *distances, int32_t *found)
{
    for (int64_t query = 0; query < count; query++) {
        const float *table = tables + query * parts * WORDS;
        int32_t *rows = found + query * k;
        int64_t size = 0;
        for (int64_t probe = query * some; probe < (query + 1) * some; probe++) {
            if (probes[probe] < 0)
                continue;
            for (int64_t row = starts[probes[probe]]; row < starts[probes[probe] + 1]; row++) {
                float value = bases[probe] + (terms[row] + sum_of(codes + row * parts, table, parts));
                if (size < k) {
                    heap[size] = value;
                    rows[size++] = numbers[row];
                    if (size == k)
                        heap_up(heap, rows, k);
                } else if (is_worse(heap[0], rows[0], value, numbers[row])) {
                    sink(heap, rows, k, value, numbers[row], 0);
                }
            }
        }
        heap_up(heap, rows, size);
        for (int64_t last = size - 1; last >= 0; last--) {
            double worst = heap[0];
            int32_t whose = rows[0];
            sink(heap, rows, last, heap[last], rows[last], 0);
            distances[query * k + last] = (float)worst;
            rows[last] = whose;
        }
        for (int64_t i = size; i < k; i++) {
            distances[query * k + i] = INFINITY;
            rows[i] = -1;
        }
    }
}
