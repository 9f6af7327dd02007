/* Vectors as the short codes of the first pass of knn.c: a byte a column and a scale a vector, or
 * floats. Lengths and errors are no less than the truth, squares no more. */
#include <math.h>
#include <string.h>

#include "kernel.h"

#define LANES 16
#define MOST 127
/* What float arithmetic adds to a value is less than this share of |y| |w| and of the squares. */
#define ROUNDING 0x1p-18

/* What is told of one vector besides its code. */
typedef struct {
    float scale, length, error;
} Code;

INLINE float up(double value)
{
    return (float)(value * (1 + 0x1p-20));
}

INLINE Code encode(const float *z, int64_t columns, int8_t *code)
{
    float most = 0;
    double length = 0, error = 0;
    for (int64_t i = 0; i < columns; i++)
        most = fabsf(z[i]) > most ? fabsf(z[i]) : most;
    float scale = most / MOST;
    double inverse = scale > 0 ? 1 / (double)scale : 0;
#pragma omp simd reduction(+ : length, error)
    for (int64_t i = 0; i < columns; i++) {
        double nearest = rint(z[i] * inverse);
        nearest = nearest > MOST ? MOST : nearest < -MOST ? -MOST : nearest;
        double left = z[i] - nearest * scale;
        code[i] = (int8_t)nearest;
        length += nearest * nearest;
        error += left * left;
    }
    return (Code){scale, up(sqrt(length) * scale), up(sqrt(error))};
}

INLINE double length_of(const float *z, int64_t columns)
{
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < columns; i++)
        sum += (double)z[i] * z[i];
    return sqrt(sum);
}

/* Vectors relative to a centre, times a power of two, and their squared lengths. */
EXPORT HOT void knn_relate(
    const float *vectors, const float *centre, int64_t count, int64_t columns, const float *unit,
    float *relative, double *squares)
{
    for (int64_t row = 0; row < count; row++) {
        const float *x = vectors + row * columns;
        float *y = relative + row * columns, by = unit[row];
        double square = 0;
#pragma omp simd reduction(+ : square)
        for (int64_t i = 0; i < columns; i++) {
            y[i] = (x[i] - centre[i]) * by;
            square += (double)y[i] * y[i];
        }
        squares[row] = square;
    }
}

/* The length of what z leaves of each vector. doubt: z's error, as a share of the vector */
EXPORT HOT void knn_rests(
    const float *z, const double *squares, int64_t count, int64_t columns, double doubt, double *rests)
{
    for (int64_t row = 0; row < count; row++) {
        double length = length_of(z + row * columns, columns);
        double rest = squares[row] - length * length + (3 * doubt + 1e-12) * squares[row];
        rests[row] = rest > 0 ? sqrt(rest) : 0;
    }
}

/* The codes of rows. z : (count, columns), finite · squares, rests : (count) of the whole vectors and of
 * what z leaves · places : (count) where they go, all different · codes, terms : see knn_best.h
 * lengths, errors : (places), of bytes · code : (4 * steps) zeros, of bytes · doubt : see knn_rests
 * far: added to lengths, for what rounding takes from the centre */
EXPORT HOT void knn_encode_rows(
    const float *z, const double *squares, const double *rests, const int64_t *places, int64_t count,
    int64_t columns, int64_t steps, int64_t is_inner, int64_t is_bytes, double doubt, double far,
    void *codes, float *terms, float *lengths, float *errors, int8_t *code)
{
    for (int64_t row = 0; row < count; row++) {
        int64_t place = places[row], group = place / LANES, lane = place % LANES;
        const float *own = z + row * columns;
        float *term = terms + group * 3 * LANES + lane;
        double length = sqrt(squares[row]) + far;
        term[0] = is_inner ? 0 : (float)(squares[row] * (1 - ROUNDING));
        term[2 * LANES] = up(rests[row]);
        if (!is_bytes) {
            float *to = (float *)codes + group * steps * LANES + lane;
            for (int64_t i = 0; i < columns; i++)
                to[i * LANES] = own[i];
            term[LANES] = up(length);
            continue;
        }
        Code made = encode(own, columns, code);
        term[LANES] = made.scale;
        lengths[place] = made.length;
        errors[place] = made.error + up((ROUNDING + 3 * doubt) * length);
        uint8_t *to = (uint8_t *)codes + (group * steps * LANES + lane) * 4;
        for (int64_t step = 0; step < steps; step++)
            for (int i = 0; i < 4; i++)
                to[step * 4 * LANES + i] = (uint8_t)(code[4 * step + i] + 128);
    }
}

/* The codes of queries: codes : (count, 4 * steps) bytes, zero beyond the columns · scalars : (count, 4) */
EXPORT HOT void knn_encode_queries(
    const float *z, const double *squares, int64_t count, int64_t columns, int64_t steps,
    int64_t is_bytes, double doubt, double factor, const double *rests, int8_t *codes, float *scalars)
{
    for (int64_t row = 0; row < count; row++) {
        float *own = scalars + 4 * row;
        double length = sqrt(squares[row]);
        own[1] = up(factor * rests[row]);
        own[3] = up(factor * length);
        if (is_bytes) {
            Code made = encode(z + row * columns, columns, codes + row * 4 * steps);
            own[0] = (float)factor * made.scale;
            own[2] = up(factor * made.error);
        } else {
            double share = ROUNDING + 3 * doubt + 1.1 * (double)(columns + 8) * 0x1p-24;
            own[0] = (float)factor;
            own[2] = up(factor * share * length);
        }
    }
}
