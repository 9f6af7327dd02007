/* Lines of libsvm, "label[:weight] [qid:group] index:value index:value … # comment", into arrays.
 *
 * What is out of the ordinary (a fault, a number of very many digits) ends the work at its line, which
 * the caller then reads the slow way. No byte is read at or beyond the end. */
#include "decimal.h"

#define MOST_INDEX 2147483647u

INLINE int is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

INLINE void skip_blanks(Cursor *line)
{
    while (line->at < line->end && is_blank(*line->at))
        line->at++;
}

/* Whether a token ends here. */
INLINE int is_over(const Cursor *line)
{
    return line->at == line->end || is_blank(*line->at) || *line->at == '#';
}

/* "nan", "inf" and "infinity" in any case. */
INLINE int word(Cursor *line, float *value)
{
    static const struct {
        const char *text;
        int length;
        int is_nan;
    } WORDS[] = {{"infinity", 8, 0}, {"inf", 3, 0}, {"nan", 3, 1}};
    for (int i = 0; i < 3; i++) {
        int same = 0, length = WORDS[i].length;
        if (line->end - line->at < length)
            continue;
        while (same < length && (line->at[same] | 32) == WORDS[i].text[same])
            same++;
        if (same == length) {
            line->at += length;
            *value = WORDS[i].is_nan ? __builtin_nanf("") : __builtin_inff();
            return 1;
        }
    }
    return FAULT;
}

INLINE int number(Cursor *line, float *value)
{
    int is_minus = takes(line, '-');
    if (!is_minus)
        (void)takes(line, '+');
    uint64_t digits = 0;
    const uint8_t *first = line->at;
    int64_t tens = 0, seen = takes_digits(line, &digits);
    if (takes(line, '.')) {
        tens = -takes_digits(line, &digits);
        seen -= tens;
    }
    const uint8_t *last = line->at;
    if (seen == 0) {
        if (!word(line, value))
            return FAULT;
    } else {
        if (line->at < line->end && (*line->at | 32) == 'e' && !takes_exponent(line, &tens))
            return FAULT;
        if (line->at - first > 30 || (seen > 19 && seen - zeros(first, last) > 19) ||
            !scaled(digits, tens, value))
            return FAULT;
    }
    if (is_minus)
        *value = -*value;
    return 1;
}

INLINE int whole(Cursor *line, uint64_t most, int64_t *value)
{
    uint64_t found = 0;
    const uint8_t *first = line->at;
    for (; line->at < line->end && is_digit(*line->at); line->at++) {
        found = 10 * found + (*line->at - '0');
        if (found > most)
            return FAULT;
    }
    *value = (int64_t)found;
    return line->at > first;
}

/* Lines, and colons: no block has more rows, or more entries. */
HOT EXPORT void libsvm_count(const uint8_t *data, int64_t size, int64_t *lines, int64_t *colons)
{
    int64_t newlines = 0, found = 0;
    for (int64_t at = 0; at < size; at += 1 << 20) {
        int64_t stop = size - at < 1 << 20 ? size : at + (1 << 20);
        int32_t here = 0, there = 0;
#pragma omp simd reduction(+ : here, there)
        for (int64_t i = at; i < stop; i++) {
            here += data[i] == '\n';
            there += data[i] == ':';
        }
        newlines += here;
        found += there;
    }
    *lines = newlines + 1;
    *colons = found;
}

typedef struct {
    float *labels, *weights, *values;
    int64_t *groups, *indptr, *indices;
    int64_t columns, base;
    int64_t rows, stored, weighted, grouped, unordered;
} Table;

INLINE int label(Cursor *line, Table *out)
{
    if (!number(line, out->labels + out->rows))
        return FAULT;
    if (takes(line, ':')) {
        out->weighted++;
        if (!number(line, out->weights + out->rows))
            return FAULT;
    }
    return is_over(line);
}

/* In a request a first token without a colon is a label, and nobody needs it. */
INLINE int perhaps_label(Cursor *line)
{
    Cursor ahead = *line;
    float ignored;
    if (number(&ahead, &ignored) && is_over(&ahead))
        *line = ahead;
    return 1;
}

INLINE int entry(Cursor *line, Table *out, int64_t *before)
{
    int64_t index;
    if (!whole(line, MOST_INDEX, &index) || !takes(line, ':'))
        return FAULT;
    index -= out->base;
    if (index < 0 || index >= out->columns || !number(line, out->values + out->stored))
        return FAULT;
    out->indices[out->stored++] = index;
    out->unordered += index <= *before;
    *before = index;
    return is_over(line);
}

INLINE int group(Cursor *line, Table *out)
{
    line->at += 4;
    out->grouped++;
    return whole(line, INT64_MAX / 10 - 1, out->groups + out->rows) && is_over(line);
}

INLINE int entries(Cursor *line, Table *out)
{
    int64_t before = -1;
    for (skip_blanks(line); line->at < line->end && *line->at != '#'; skip_blanks(line)) {
        int is_group = line->end - line->at > 4 && memcmp(line->at, "qid:", 4) == 0;
        if (!(is_group ? group(line, out) : entry(line, out, &before)))
            return FAULT;
    }
    return 1;
}

/* Reads whole lines into the arrays, blank ones and comments passed over. counts: rows, entries stored,
 * rows with a weight, rows with a group, entries not above the one before, all of which go on from what
 * they are. Gives the size of the data when all is well, else the byte where the line begins that could
 * not be read, of which nothing is counted. */
HOT EXPORT int64_t libsvm_read(
    const uint8_t *data, int64_t size, int64_t columns, int64_t base, int64_t is_labelled,
    float *labels, float *weights, int64_t *groups, int64_t *indptr, int64_t *indices,
    float *values, int64_t *counts)
{
    Table out = {labels, weights, values, groups, indptr, indices, columns, base,
                 counts[0], counts[1], counts[2], counts[3], counts[4]};
    const uint8_t *at = data, *end = data + size;
    while (at < end) {
        const uint8_t *newline = memchr(at, '\n', (size_t)(end - at));
        Cursor line = {at, newline ? newline : end};
        skip_blanks(&line);
        if (line.at < line.end && *line.at != '#') {
            Table before = out;
            out.labels[out.rows] = 0;
            out.weights[out.rows] = 1;
            out.groups[out.rows] = 0;
            if (!(is_labelled ? label(&line, &out) : perhaps_label(&line)) || !entries(&line, &out)) {
                out = before;
                break;
            }
            out.indptr[++out.rows] = out.stored;
        }
        at = newline ? newline + 1 : end;
    }
    counts[0] = out.rows;
    counts[1] = out.stored;
    counts[2] = out.weighted;
    counts[3] = out.grouped;
    counts[4] = out.unordered;
    return at - data;
}

/* The highest index before a colon, -1 where there is none; what is no entry is passed over. */
HOT EXPORT int64_t libsvm_highest(const uint8_t *data, int64_t size, int64_t is_labelled)
{
    const uint8_t *at = data, *end = data + size;
    int64_t highest = -1;
    while (at < end) {
        const uint8_t *newline = memchr(at, '\n', (size_t)(end - at));
        Cursor line = {at, newline ? newline : end};
        skip_blanks(&line);
        if (is_labelled)
            while (!is_over(&line))
                line.at++;
        for (skip_blanks(&line); line.at < line.end && *line.at != '#'; skip_blanks(&line)) {
            int64_t index = 0;
            if (whole(&line, MOST_INDEX, &index) && takes(&line, ':') && index > highest)
                highest = index;
            while (!is_over(&line))
                line.at++;
        }
        at = newline ? newline + 1 : end;
    }
    return highest;
}
