/* A random cut tree grows (Guha, Mishra, Roy & Schrijvers, 2016): the box about its rows is cut in two, and so
 * is each part, until rows stand alone or equal one another. */
#include "kernel.h"

#include <math.h>
#include <string.h>

typedef struct {
    const float *rows;
    int64_t columns;
    int32_t *members;
    float *low, *high;
} Sample;

/* The box about some members; the sum of its widths. */
INLINE double enclose(const Sample *sample, int64_t start, int64_t stop)
{
    int64_t columns = sample->columns;
    float *restrict low = sample->low, *restrict high = sample->high;
    const float *first = sample->rows + sample->members[start] * columns;
    memcpy(low, first, columns * sizeof(float));
    memcpy(high, first, columns * sizeof(float));
    for (int64_t i = start + 1; i < stop; i++) {
        const float *restrict row = sample->rows + sample->members[i] * columns;
        for (int64_t j = 0; j < columns; j++) {
            low[j] = row[j] < low[j] ? row[j] : low[j];
            high[j] = row[j] > high[j] ? row[j] : high[j];
        }
    }
    double range = 0;
    for (int64_t j = 0; j < columns; j++)
        range += (double)high[j] - low[j];
    return range;
}

/* Where to cut: a column with a chance in proportion to its width, and any place in it alike. */
INLINE int32_t choose(const Sample *sample, double at, float *cut)
{
    double width = 0;
    int64_t chosen = 0;
    for (int64_t j = 0; j < sample->columns && at >= width; j++) {
        double next = (double)sample->high[j] - sample->low[j];
        if (next > 0) {
            at -= width;
            width = next;
            chosen = j;
        }
    }
    float low = sample->low[chosen], high = sample->high[chosen];
    float place = (float)(low + (at < width ? at : width));
    /* The lowest goes left and the highest right, however it was rounded. */
    *cut = place < low ? low : place >= high ? nextafterf(high, low) : place;
    return (int32_t)chosen;
}

/* Members that are not above the cut come first; where the others begin. */
INLINE int64_t divide(const Sample *sample, int64_t start, int64_t stop, int32_t column, float cut)
{
    int64_t to = start;
    for (int64_t i = start; i < stop; i++) {
        int32_t member = sample->members[i];
        if (sample->rows[member * sample->columns + column] <= cut) {
            sample->members[i] = sample->members[to];
            sample->members[to++] = member;
        }
    }
    return to;
}

/* Grow one tree of the members, which are reordered; how many nodes it has. Leaves are one more.
 * Children are nodes, which come after their parents, or ~leaf.
 * box: room for 2 x columns · pending: for 3 x size · the others: for size, child for twice that */
HOT EXPORT int64_t forest_grow(const float *rows, int64_t columns, int32_t *members, int64_t size,
                               uint64_t key, float *box, int32_t *pending, int32_t *column, float *cut,
                               int32_t *child, int32_t *leaf_row, int32_t *leaf_mass)
{
    Sample sample = {rows, columns, members, box, box + columns};
    int64_t nodes = 0, leaves = 0, waiting = 0, start = 0, stop = size, slot = -1;
    for (;;) {
        double range = enclose(&sample, start, stop);
        int32_t made;
        if (range > 0 && nodes < size - 1) {
            made = (int32_t)nodes++;
            column[made] = choose(&sample, uniform(key, made) * range, &cut[made]);
        } else {
            made = (int32_t)~leaves;
            leaf_row[leaves] = members[start];
            leaf_mass[leaves++] = (int32_t)(stop - start);
        }
        if (slot >= 0)
            child[slot] = made;
        if (made >= 0) {
            int64_t middle = divide(&sample, start, stop, column[made], cut[made]);
            int32_t *right = pending + 3 * waiting++;
            right[0] = (int32_t)middle;
            right[1] = (int32_t)stop;
            right[2] = 2 * made + 1;
            stop = middle;
            slot = 2 * made;
        } else if (waiting) {
            const int32_t *right = pending + 3 * --waiting;
            start = right[0];
            stop = right[1];
            slot = right[2];
        } else
            return nodes;
    }
}
