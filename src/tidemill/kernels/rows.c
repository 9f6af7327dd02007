/* Bodies of requests, JSON and CSV, straight into floats; and columns of answers back into lines.
 *
 * A scanner takes the plain forms only. Whatever is out of the ordinary (a fault, an escape, another
 * key, a number of very many digits) makes it give up, and the caller reads the body in the general
 * way, which also finds the words for what is wrong. No byte is read at or beyond the end. */
#include "decimal.h"

typedef struct {
    float *values;
    int64_t used, room, rows, columns;
} Table;

INLINE int takes_word(Cursor *text, const char *word, int64_t length)
{
    if (text->end - text->at < length || memcmp(text->at, word, (size_t)length))
        return 0;
    text->at += length;
    return 1;
}

/* A number as JSON has it, or as Python's float() reads digits; of JSON's whole numbers only those that
 * a double holds. */
INLINE int number(Cursor *text, int is_json, float *value)
{
    uint64_t digits = 0;
    int is_minus = sees(text, '-'), is_whole = 1;
    text->at += is_minus;
    if (!is_minus && !is_json)
        (void)takes(text, '+');
    const uint8_t *first = text->at;
    /* One by one, for these are few: a guess of how many lets the next number begin meanwhile. */
    for (; text->at < text->end && text->at - first < 4 && is_digit(*text->at); text->at++)
        digits = 10 * digits + (uint64_t)(*text->at - '0');
    if (text->at - first == 4)
        (void)takes_digits(text, &digits);
    int64_t before = text->at - first, after = 0, tens = 0;
    if (is_json && (before == 0 || (before > 1 && *first == '0')))
        return FAULT;
    if (takes(text, '.')) {
        after = takes_digits(text, &digits);
        tens = -after;
        is_whole = 0;
        if (is_json && after == 0)
            return FAULT;
    }
    const uint8_t *last = text->at;
    int64_t seen = before + after;
    if (text->at < text->end && (*text->at | 32) == 'e') {
        is_whole = 0;
        if (!takes_exponent(text, &tens))
            return FAULT;
    }
    if (seen == 0 || seen > 60 || (seen > 19 && seen - zeros(first, last) > 19))
        return FAULT;
    if (is_whole && ((is_json && digits > EXACT) || (is_minus && digits == 0)))
        return FAULT;
    if (!scaled(digits, tens, value))
        return FAULT;
    *value = is_minus ? -*value : *value;
    return 1;
}

/* The row that began after ``start`` values is whole; all rows are of one width. */
INLINE int ends_row(Table *table, int64_t start)
{
    int64_t columns = table->used - start;
    if (table->rows && columns != table->columns)
        return FAULT;
    table->columns = columns;
    table->rows++;
    return 1;
}

/* JSON */

INLINE void skip_space(Cursor *text, int is_lines)
{
    while (text->at < text->end && (*text->at == ' ' || *text->at == '\t' || *text->at == '\r' ||
                                    (!is_lines && *text->at == '\n')))
        text->at++;
}

/* A character with space around it. */
INLINE int mark(Cursor *text, uint8_t wanted, int is_lines)
{
    skip_space(text, is_lines);
    if (!takes(text, wanted))
        return FAULT;
    skip_space(text, is_lines);
    return 1;
}

INLINE int list(Cursor *text, Table *table, int is_lines)
{
    int64_t start = table->used;
    if (!mark(text, '[', is_lines))
        return FAULT;
    for (;;) {
        if (table->used == table->room || !number(text, 1, &table->values[table->used]))
            return FAULT;
        table->used++;
        if (takes(text, ',')) {
            skip_space(text, is_lines);
            continue;
        }
        skip_space(text, is_lines);
        if (!takes(text, ','))
            break;
        skip_space(text, is_lines);
    }
    return takes(text, ']') && ends_row(table, start);
}

/* Takes the next key where it is this one; its colon is asked for behind it. */
#define KEY(text, name) takes_word(text, "\"" name "\"", sizeof name + 1)

/* {"features":[1,2]}, or {"data":{"features":{"values":[1,2]}}} */
INLINE int instance(Cursor *text, Table *table, int is_lines)
{
    int depth = 1;
    if (!mark(text, '{', is_lines))
        return FAULT;
    if (!KEY(text, "features")) {
        if (!(KEY(text, "data") && mark(text, ':', is_lines) && mark(text, '{', is_lines) &&
              KEY(text, "features") && mark(text, ':', is_lines) && mark(text, '{', is_lines) &&
              KEY(text, "values")))
            return FAULT;
        depth = 3;
    }
    if (!mark(text, ':', is_lines) || !list(text, table, is_lines))
        return FAULT;
    while (depth--)
        if (!mark(text, '}', is_lines))
            return FAULT;
    return 1;
}

INLINE int instances(Cursor *text, Table *table)
{
    if (!(mark(text, '{', 0) && KEY(text, "instances") && mark(text, ':', 0) && mark(text, '[', 0)))
        return FAULT;
    do {
        if (!instance(text, table, 0))
            return FAULT;
    } while (mark(text, ',', 0));
    return mark(text, ']', 0) && mark(text, '}', 0);
}

INLINE int json_lines(Cursor *text, Table *table)
{
    for (;;) {
        skip_space(text, 1);
        if (text->at == text->end)
            return 1;
        if (takes(text, '\n'))
            continue;
        if (!instance(text, table, 1) || (text->at < text->end && !takes(text, '\n')))
            return FAULT;
    }
}

/* CSV */

INLINE void skip_blanks(Cursor *text)
{
    while (text->at < text->end && (*text->at == ' ' || *text->at == '\t'))
        text->at++;
}

/* Whether a line ends here: at \n, \r\n, or the end with or without \r. */
INLINE int is_over(const Cursor *text)
{
    int64_t left = text->end - text->at;
    if (left == 0 || *text->at == '\n')
        return 1;
    return *text->at == '\r' && (left == 1 || text->at[1] == '\n');
}

INLINE int cell(Cursor *text, Table *table)
{
    if (table->used == table->room)
        return FAULT;
    float *value = &table->values[table->used++];
    if (text->at == text->end || *text->at <= ',') { /* neither a digit nor '-' */
        skip_blanks(text);
        if (sees(text, ',') || is_over(text)) {
            *value = __builtin_nanf("");
            return 1;
        }
    }
    if (!number(text, 0, value))
        return FAULT;
    if (sees(text, ','))
        return 1;
    skip_blanks(text);
    return sees(text, ',') || is_over(text);
}

INLINE int csv_lines(Cursor *text, Table *table)
{
    while (text->at < text->end) {
        skip_blanks(text);
        if (!is_over(text)) {
            int64_t start = table->used;
            do {
                if (!cell(text, table))
                    return FAULT;
            } while (takes(text, ','));
            if (!ends_row(table, start))
                return FAULT;
        }
        (void)takes(text, '\r');
        (void)takes(text, '\n');
    }
    return 1;
}

/* Commas, line ends and one: no body has more numbers. */
HOT EXPORT int64_t rows_most(const uint8_t *data, int64_t size)
{
    int64_t found = 1;
    for (int64_t at = 0; at < size; at += 1 << 20) {
        int64_t stop = size - at < 1 << 20 ? size : at + (1 << 20);
        int32_t here = 0;
#pragma omp simd reduction(+ : here)
        for (int64_t i = at; i < stop; i++)
            here += (data[i] == ',') | (data[i] == '\n');
        found += here;
    }
    return found;
}

/* What the body is written in. */
enum { JSON = 0, JSON_LINES = 1, CSV = 2 };

/* 1 when the whole body is in the table, whose rows and columns are in shape then; else 0. */
HOT EXPORT int64_t rows_read(const uint8_t *data, int64_t size, int64_t form, float *values, int64_t room,
                             int64_t *shape)
{
    Cursor text = {data, data + size};
    Table table = {values, 0, room, 0, 0};
    int is_read = form == JSON ? instances(&text, &table)
                  : form == JSON_LINES ? json_lines(&text, &table)
                                       : csv_lines(&text, &table);
    shape[0] = table.rows;
    shape[1] = table.columns;
    return is_read && text.at == text.end && table.rows > 0;
}

/* How the cells of a column stand in its text: apart by commas, each in brackets, or so but copied
 * without them. */
enum { PLAIN = 0, BRACKETS = 1, BARE = 2 };

/* The next cell of a column's text, and the comma behind it. */
INLINE int takes_cell(Cursor *text, int64_t looks, Cursor *cell)
{
    uint8_t last = looks == PLAIN ? ',' : ']';
    cell->at = text->at;
    while (text->at < text->end && *text->at != last)
        text->at++;
    cell->end = text->at;
    if (looks == PLAIN) {
        (void)takes(text, ',');
        return cell->end > cell->at;
    }
    if (!takes(text, ']') || cell->at == cell->end || *cell->at != '[')
        return FAULT;
    (void)takes(text, ',');
    if (looks == BRACKETS)
        cell->end++;
    else
        cell->at++;
    return 1;
}

INLINE int copies(const uint8_t *from, const uint8_t *end, uint8_t **out, const uint8_t *limit)
{
    if (limit - *out < end - from)
        return FAULT;
    memcpy(*out, from, (size_t)(end - from));
    *out += end - from;
    return 1;
}

/* Lines of one cell from each column, with words between them; the bytes written, or -1.
 *
 * texts: of all columns, one after the other, which begin at starts and end at the next one
 * words: what stands before each cell and behind the last, from bounds to the next bounds
 * starts: (columns + 1,), changed · bounds: (columns + 2,) */
HOT EXPORT int64_t rows_interleave(const uint8_t *texts, int64_t *starts, const int64_t *looks, int64_t columns,
                                   const uint8_t *words, const int64_t *bounds, int64_t rows,
                                   const int64_t *ends, uint8_t *out, int64_t room)
{
    uint8_t *at = out;
    const uint8_t *limit = out + room;
    for (int64_t row = 0; row < rows; row++) {
        for (int64_t j = 0; j < columns; j++) {
            Cursor text = {texts + starts[j], texts + ends[j]}, found;
            if (!copies(words + bounds[j], words + bounds[j + 1], &at, limit) ||
                !takes_cell(&text, looks[j], &found) || !copies(found.at, found.end, &at, limit))
                return -1;
            starts[j] = text.at - texts;
        }
        if (!copies(words + bounds[columns], words + bounds[columns + 1], &at, limit))
            return -1;
    }
    return at - out;
}
