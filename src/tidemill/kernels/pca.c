/* What principal components are made of, of sparse rows: products of every two entries of a row. */
#include "kernel.h"

INLINE int is_rising(const int64_t *indices, int64_t stored)
{
    for (int64_t a = 1; a < stored; a++)
        if (indices[a] <= indices[a - 1])
            return 0;
    return 1;
}

/* Add the products of every two entries of sparse rows to the lower triangle of table, (columns,
 * columns), as far as its rows from..to go. weights: of the rows, or NULL. indices must be from 0 to
 * columns - 1; they may come in any order and more than once. */
EXPORT HOT void scatter(const int64_t *indptr, const int64_t *indices, const float *values,
                        const float *weights, int64_t count, int64_t columns, int64_t from,
                        int64_t to, double *table)
{
    for (int64_t row = 0; row < count; row++) {
        int64_t stored = indptr[row + 1] - indptr[row];
        const int64_t *at = indices + indptr[row];
        const float *value = values + indptr[row];
        double weight = weights ? (double)weights[row] : 1.0;
        int rises = is_rising(at, stored);
        for (int64_t a = 0; a < stored; a++) {
            if (at[a] < from || at[a] >= to)
                continue;
            double *into = table + at[a] * columns, scaled = (double)value[a] * weight;
            if (rises) {
                for (int64_t b = 0; b <= a; b++)
                    into[at[b]] += scaled * (double)value[b];
            } else {
                for (int64_t b = 0; b < stored; b++)
                    if (at[b] <= at[a])
                        into[at[b]] += scaled * (double)value[b];
            }
        }
    }
}
