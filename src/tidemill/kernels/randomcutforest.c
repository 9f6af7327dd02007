/* Random cut trees (Guha, Mishra, Roy & Schrijvers, 2016) are laid out, and score rows.
 *
 * A row's score is what putting it into a tree would do on average. At every node on its way down the
 * next random cut would part it from all the node's points with the chance gap / (range + gap), where
 * gap is how far it lies outside their box, columns added up, and range the sum of the box's widths. It
 * would then be a leaf at that depth.
 *
 * Boxes only grow towards the root: a row inside one is inside all above. So rows first go down by the
 * cuts alone, many side by side, for one alone waits for memory at every step; then up again from their
 * leaf, only as far as they are outside, which is some 3 to 6 of 12 nodes. Neither way has a branch that
 * depends on the rows: those that go on are listed, and the list is gone through once a level. */
#include "kernel.h"

#include <math.h>
#include <string.h>

/* Rows that go down side by side, and levels between two looks at who has arrived. */
enum { SIDE = 16, FIRST = 8, NEXT = 4 };

/* Beyond this, sums of ten thousand ranges are no numbers any more. */
#define FARTHEST 1e30f

typedef float Eight __attribute__((vector_size(32)));
typedef float Four __attribute__((vector_size(16)));
typedef int32_t FourInts __attribute__((vector_size(16)));

/* A node on the way down. cut: ordered as floats are · child: where the children begin, in bytes from the
 * tree's first step. Leaves follow a tree's nodes, and lead to themselves. */
typedef struct {
    int32_t column, cut;
    int32_t child[2];
} Step;

/* A node on the way up. share: what a row adds to the score that is parted here · parent: -1 at the top */
typedef struct {
    float range, share;
    int32_t parent, depth;
} Climb;

/* seen: the share of a row that equals the leaf's point */
typedef struct {
    int32_t parent, row;
    float share, seen;
} Leaf;

/* nodes: (trees,) of each · boxes: lows, then highs of each node, of the padded width · points: padded */
typedef struct {
    const Step *steps;
    const Climb *climbs;
    const Leaf *leaves;
    const float *boxes, *points;
    const int64_t *nodes;
    int64_t trees, columns, padded;
} Forest;

/* Room for a block of rows. rows, keys: (block, padded) · the others: (block + SIDE,) */
typedef struct {
    float *rows, *scores;
    int32_t *keys, *where, *list, *node, *inside;
    int64_t block;
} Room;

/* Laying out. */

/* A float as an integer that is ordered alike; zero must have one sign. */
INLINE int32_t ordered(float value)
{
    int32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits ^ (bits >> 31 & 0x7fffffff);
}

typedef struct {
    const float *points;
    int64_t count, columns, padded;
    const int32_t *column, *child, *leaf_row, *leaf_mass;
    const float *cut;
    int64_t nodes, mass;
    Step *steps;
    Climb *climbs;
    Leaf *leaves;
    float *boxes;
} Plan;

/* Every node and leaf has one parent, before it, and all that is named exists; else 0. */
static int link(Plan *plan)
{
    int64_t nodes = plan->nodes;
    for (int64_t i = 0; i < nodes; i++)
        plan->climbs[i].parent = -1;
    for (int64_t i = 0; i <= nodes; i++) {
        if (plan->leaf_row[i] < 0 || plan->leaf_row[i] >= plan->count || plan->leaf_mass[i] < 1)
            return 0;
        plan->leaves[i].parent = -1;
        plan->leaves[i].row = plan->leaf_row[i];
    }
    for (int64_t i = 0; i < nodes; i++) {
        if (plan->column[i] < 0 || plan->column[i] >= plan->columns)
            return 0;
        for (int side = 0; side < 2; side++) {
            int64_t to = plan->child[2 * i + side];
            if (to >= nodes || ~to > nodes || (to >= 0 && to <= i))
                return 0;
            int32_t *parent = to < 0 ? &plan->leaves[~to].parent : &plan->climbs[to].parent;
            if (*parent >= 0)
                return 0;
            *parent = (int32_t)i;
        }
    }
    return 1;
}

/* The way down, and what rows add to the score that end here and there. */
static void number(Plan *plan)
{
    int64_t nodes = plan->nodes;
    for (int64_t i = 0; i < nodes; i++) {
        Climb *climb = &plan->climbs[i];
        Step *step = &plan->steps[i];
        climb->depth = climb->parent < 0 ? 0 : plan->climbs[climb->parent].depth + 1;
        climb->share = 1.0f / (float)(climb->depth + 1);
        step->column = plan->column[i];
        step->cut = ordered(plan->cut[i] + 0.0f);
        for (int side = 0; side < 2; side++) {
            int64_t to = plan->child[2 * i + side];
            step->child[side] = (int32_t)((to < 0 ? nodes + ~to : to) * (int64_t)sizeof(Step));
        }
    }
    for (int64_t i = 0; i <= nodes; i++) {
        Leaf *leaf = &plan->leaves[i];
        double depth = leaf->parent < 0 ? 0 : plan->climbs[leaf->parent].depth + 1;
        double mass = plan->leaf_mass[i];
        leaf->share = (float)(1 / (depth + 1));
        leaf->seen = (float)((1 - mass / (2 * (double)plan->mass)) / (depth + log2(mass + 1)));
        int32_t self = (int32_t)((nodes + i) * (int64_t)sizeof(Step));
        plan->steps[nodes + i] = (Step){0, 0, {self, self}};
    }
}

/* The box about all points below each node: children come after their parents. */
static void fit_boxes(Plan *plan)
{
    int64_t padded = plan->padded;
    for (int64_t i = plan->nodes - 1; i >= 0; i--) {
        float *low = plan->boxes + 2 * padded * i, *high = low + padded;
        const float *lows[2], *highs[2];
        for (int side = 0; side < 2; side++) {
            int64_t to = plan->child[2 * i + side];
            const float *point = to < 0 ? plan->points + plan->leaf_row[~to] * padded : 0;
            lows[side] = to < 0 ? point : plan->boxes + 2 * padded * to;
            highs[side] = to < 0 ? point : lows[side] + padded;
        }
        double range = 0;
        for (int64_t j = 0; j < padded; j++) {
            low[j] = lows[0][j] < lows[1][j] ? lows[0][j] : lows[1][j];
            high[j] = highs[0][j] > highs[1][j] ? highs[0][j] : highs[1][j];
            range += (double)high[j] - low[j];
        }
        plan->climbs[i].range = (float)range;
    }
}

/* Lay out trees as they are walked; the number of those that are sound, of which the rest is not done.
 * points: (count, padded), zeros beyond the columns · nodes: (trees,) of each, which were added up to tell
 * how long the arrays must be · mass: rows a tree */
EXPORT int64_t forest_lay_out(const float *points, int64_t count, int64_t columns, int64_t padded,
                              int64_t trees, const int64_t *nodes, int64_t mass, const int32_t *column,
                              const float *cut, const int32_t *child, const int32_t *leaf_row,
                              const int32_t *leaf_mass, void *steps, void *climbs, void *leaves,
                              float *boxes)
{
    Plan plan = {points, count, columns, padded, column, child, leaf_row, leaf_mass,
                 cut, 0, mass, steps, climbs, leaves, boxes};
    for (int64_t t = 0; t < trees; t++) {
        plan.nodes = nodes[t];
        if (!link(&plan))
            return t;
        number(&plan);
        fit_boxes(&plan);
        plan.column += nodes[t];
        plan.cut += nodes[t];
        plan.child += 2 * nodes[t];
        plan.leaf_row += nodes[t] + 1;
        plan.leaf_mass += nodes[t] + 1;
        plan.steps += 2 * nodes[t] + 1;
        plan.climbs += nodes[t];
        plan.leaves += nodes[t] + 1;
        plan.boxes += 2 * padded * nodes[t];
    }
    return trees;
}

/* Scoring. */

/* How far a row lies outside a box in some columns, each: from where the box would hold it. */
INLINE void part(const float *restrict box, const float *row, int64_t padded, int columns, float *apart)
{
    for (int j = 0; j < columns; j++) {
        float at = row[j], low = box[j], high = box[padded + j];
        float held = at < high ? at : high;
        apart[j] = fabsf(at - (held > low ? held : low));
    }
}

/* How far a row lies outside a box, columns added up; exactly zero inside. */
INLINE float outside(const float *box, const float *row, int64_t padded)
{
    float apart[8];
    Four sum;
    if (padded == 4) {
        part(box, row, padded, 4, apart);
        memcpy(&sum, apart, sizeof sum);
    } else {
        union {
            Eight whole;
            Four half[2];
        } gap = {{0}};
        for (int64_t j = 0; j < padded; j += 8) {
            Eight some;
            part(box + j, row + j, padded, 8, apart);
            memcpy(&some, apart, sizeof some);
            gap.whole += some;
        }
        sum = gap.half[0] + gap.half[1];
    }
    return (sum[0] + sum[2]) + (sum[1] + sum[3]);
}

INLINE int equal(const float *left, const float *right, int64_t padded)
{
    FourInts apart = {0};
    for (int64_t j = 0; j < padded; j += 4) {
        FourInts one, other;
        memcpy(&one, left + j, sizeof one);
        memcpy(&other, right + j, sizeof other);
        apart |= one ^ other;
    }
    return !(apart[0] | apart[1] | apart[2] | apart[3]);
}

/* Which leaf each row comes to: where its step begins. */
INLINE void descend(const Step *steps, int64_t nodes, const Room *room, int64_t count, int64_t padded)
{
    const char *first = (const char *)steps;
    int32_t *where = room->where, *list = room->list, arrived = (int32_t)(nodes * (int64_t)sizeof(Step));
    int64_t waiting = 0;
    for (int64_t i = 0; i < count; i += SIDE) {
        const int32_t *keys = room->keys + i * padded;
        int32_t at[SIDE] = {0};
        for (int level = 0; level < FIRST; level++)
#pragma GCC unroll 16
            for (int k = 0; k < SIDE; k++) {
                const Step *step = (const Step *)(first + at[k]);
                at[k] = step->child[keys[k * padded + step->column] > step->cut];
            }
        for (int k = 0; k < SIDE; k++) {
            where[i + k] = at[k];
            list[waiting] = (int32_t)(i + k);
            waiting += at[k] < arrived;
        }
    }
    while (waiting) {
        int64_t still = 0;
        for (int k = 0; k < SIDE; k++) /* the last ones have company that is not listed again */
            list[waiting + k] = list[waiting - 1];
        for (int64_t i = 0; i < waiting; i += SIDE) {
            int64_t listed = waiting - i < SIDE ? waiting - i : SIDE;
            const int32_t *keys[SIDE];
            int32_t at[SIDE];
            for (int k = 0; k < SIDE; k++) {
                at[k] = where[list[i + k]];
                keys[k] = room->keys + list[i + k] * padded;
            }
            for (int level = 0; level < NEXT; level++)
#pragma GCC unroll 16
                for (int k = 0; k < SIDE; k++) {
                    const Step *step = (const Step *)(first + at[k]);
                    at[k] = step->child[keys[k][step->column] > step->cut];
                }
            for (int k = 0; k < listed; k++) {
                int32_t row = list[i + k];
                where[row] = at[k];
                list[still] = row;
                still += at[k] < arrived;
            }
        }
        waiting = still;
    }
}

/* The scores of rows that have come to their leaves, added to the sums. */
INLINE void climb(const Forest *forest, const Climb *climbs, const Leaf *leaves, const float *boxes,
                  int64_t nodes, const Room *room, int64_t count, int64_t padded, double *sums)
{
    int32_t *where = room->where, *list = room->list, *node = room->node, *inside = room->inside;
    float *scores = room->scores;
    int64_t waiting = 0, enclosed = 0;
    for (int64_t i = 0; i < count; i++) {
        const Leaf *leaf = &leaves[where[i] / (int32_t)sizeof(Step) - nodes];
        const Climb *at = &climbs[leaf->parent];
        float gap = outside(boxes + 2 * padded * leaf->parent, room->rows + i * padded, padded);
        scores[i] = leaf->share + gap / (at->range + gap) * (at->share - leaf->share);
        node[i] = at->parent;
        list[waiting] = inside[enclosed] = (int32_t)i;
        waiting += (gap > 0) & (at->parent >= 0);
        enclosed += gap == 0;
    }
    for (int64_t i = 0; i < enclosed; i++) {
        int32_t row = inside[i];
        const Leaf *leaf = &leaves[where[row] / (int32_t)sizeof(Step) - nodes];
        int is_seen = equal(room->rows + row * padded, forest->points + leaf->row * padded, padded);
        scores[row] = is_seen ? leaf->seen : scores[row];
    }
    while (waiting) {
        int64_t still = 0;
        for (int64_t i = 0; i < waiting; i++) {
            int32_t row = list[i];
            const Climb *at = &climbs[node[row]];
            float gap = outside(boxes + 2 * padded * node[row], room->rows + row * padded, padded);
            scores[row] += gap / (at->range + gap) * (at->share - scores[row]);
            node[row] = at->parent;
            list[still] = row;
            still += (gap > 0) & (at->parent >= 0);
        }
        waiting = still;
    }
    for (int64_t i = 0; i < count; i++)
        sums[i] += scores[i];
}

/* A tree whose points are all the same. */
INLINE void compare(const Forest *forest, const Leaf *leaf, const Room *room, int64_t count,
                    int64_t padded, double *sums)
{
    const float *point = forest->points + leaf->row * padded;
    for (int64_t i = 0; i < count; i++)
        sums[i] += equal(room->rows + i * padded, point, padded) ? leaf->seen : leaf->share;
}

INLINE void walk(const Forest *forest, const Room *room, int64_t count, int64_t padded, double *sums)
{
    const Step *steps = forest->steps;
    const Climb *climbs = forest->climbs;
    const Leaf *leaves = forest->leaves;
    const float *boxes = forest->boxes;
    for (int64_t t = 0; t < forest->trees; t++) {
        int64_t nodes = forest->nodes[t];
        if (nodes) {
            descend(steps, nodes, room, count, padded);
            climb(forest, climbs, leaves, boxes, nodes, room, count, padded, sums);
        } else
            compare(forest, leaves, room, count, padded, sums);
        steps += 2 * nodes + 1;
        climbs += nodes;
        leaves += nodes + 1;
        boxes += 2 * padded * nodes;
    }
}

/* Rows padded, for boxes, and as ordered integers, for cuts; whether each can be scored. */
INLINE int take(const Forest *forest, const Room *room, const float *rows, int64_t count, int64_t padded)
{
    int is_sound = 1;
    int64_t all = (count + SIDE - 1) / SIDE * SIDE;
    for (int64_t i = 0; i < all; i++) {
        float *to = room->rows + i * padded;
        int32_t *keys = room->keys + i * padded;
        int64_t columns = i < count ? forest->columns : 0;
        for (int64_t j = 0; j < columns; j++) {
            float value = rows[i * columns + j] + 0.0f;
            is_sound &= fabsf(value) <= FARTHEST;
            to[j] = value;
            keys[j] = ordered(value);
        }
        for (int64_t j = columns; j < padded; j++)
            to[j] = keys[j] = 0;
    }
    return is_sound;
}

/* Add the scores of rows, (count, columns), to the sums, (count,), tree by tree; the number of rows
 * scored: all, or those before a block where one has a number that is none or too large. */
HOT EXPORT int64_t forest_score(const Forest *forest, const Room *room, const float *rows, int64_t count,
                                double *sums)
{
    for (int64_t start = 0; start < count; start += room->block) {
        int64_t some = count - start < room->block ? count - start : room->block;
        if (!take(forest, room, rows + start * forest->columns, some, forest->padded))
            return start;
        if (forest->padded == 4)
            walk(forest, room, some, 4, sums + start);
        else if (forest->padded == 8)
            walk(forest, room, some, 8, sums + start);
        else if (forest->padded == 16)
            walk(forest, room, some, 16, sums + start);
        else
            walk(forest, room, some, forest->padded, sums + start);
    }
    return count;
}
