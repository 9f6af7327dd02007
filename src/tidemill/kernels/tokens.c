/* Lines of text to words, to hashed word n-grams and to hashed character n-grams, as fastText has them
 * (Bojanowski et al. 2017; Joulin et al. 2017): its hash functions, its blanks, its ends of lines. */
#include "kernel.h"

#include <string.h>

/* Words that a table knows. slots: an open hash table of 2^bits entries, each a word's hash above its
 * number + 1, or 0 where it is free. Entries that name no word are passed over. */
typedef struct {
    const uint8_t *bytes;
    const int64_t *offsets;
    int64_t words;
    uint64_t *slots;
    int64_t bits;
} Table;

/* One word of a line. */
typedef struct {
    const uint8_t *start;
    int64_t length;
    uint32_t hash;
} Token;

/* The n-grams that end with the word read last: running hashes, the shortest first. */
enum { MOST_GRAMS = 64 };
typedef struct {
    uint64_t hash[MOST_GRAMS];
    int64_t most, there;
} Grams;

INLINE int is_blank(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r') || c == 0;
}

/* FNV-1a of 32 bits; bytes count as signed, as they did where fastText was first compiled. */
INLINE uint32_t hashed(uint32_t hash, uint8_t c)
{
    return (hash ^ (uint32_t)(int8_t)c) * 16777619u;
}
#define HASH_START 2166136261u

/* The next word of a line, or 0 at its end. */
INLINE int next(const uint8_t **at, const uint8_t *end, Token *token)
{
    const uint8_t *c = *at;
    while (c < end && is_blank(*c))
        c++;
    if (c == end)
        return 0;
    uint32_t hash = HASH_START;
    token->start = c;
    for (; c < end && !is_blank(*c); c++)
        hash = hashed(hash, *c);
    token->length = c - token->start;
    token->hash = hash;
    *at = c;
    return 1;
}

INLINE uint64_t place(uint32_t hash, int64_t bits)
{
    return (hash * 0x9E3779B97F4A7C15u) >> (64 - bits);
}

/* The number of a word, or -1; slot: where it is, or would be. */
INLINE int64_t find(const Table *table, const Token *token, uint64_t *slot)
{
    uint64_t mask = ((uint64_t)1 << table->bits) - 1, at = place(token->hash, table->bits);
    for (uint64_t tries = 0; tries <= mask; tries++, at = (at + 1) & mask) {
        uint64_t entry = table->slots[at];
        if (entry == 0) {
            *slot = at;
            return -1;
        }
        int64_t word = (int64_t)(entry & 0xFFFFFFFFu) - 1;
        if (entry >> 32 != token->hash || word >= table->words)
            continue;
        int64_t start = table->offsets[word];
        if (table->offsets[word + 1] - start == token->length &&
            memcmp(table->bytes + start, token->start, (size_t)token->length) == 0) {
            *slot = at;
            return word;
        }
    }
    *slot = mask + 1; /* no place is left; callers see to it that there always is one */
    return -1;
}

INLINE int is_label(const Token *token, const uint8_t *prefix, int64_t prefix_length)
{
    return prefix_length && token->length >= prefix_length &&
           memcmp(token->start, prefix, (size_t)prefix_length) == 0;
}

/* Take the next word in; grams->hash[1 .. there - 1] are then the n-grams of 2, 3 … words ending here. */
INLINE void push(Grams *grams, uint32_t hash)
{
    uint64_t word = (uint64_t)(int64_t)(int32_t)hash;
    int64_t there = grams->there < grams->most ? grams->there + 1 : grams->most;
    for (int64_t i = there - 1; i > 0; i--)
        grams->hash[i] = grams->hash[i - 1] * 116049371u + word;
    grams->hash[0] = word;
    grams->there = there;
}

/* Fill free slots with all the words of a table, which differ from one another. */
EXPORT void tokens_slots(const uint8_t *bytes, const int64_t *offsets, int64_t words, uint64_t *slots,
                         int64_t bits)
{
    Table table = {bytes, offsets, words, slots, bits};
    for (int64_t word = 0; word < words; word++) {
        Token token = {bytes + offsets[word], offsets[word + 1] - offsets[word], HASH_START};
        for (int64_t i = 0; i < token.length; i++)
            token.hash = hashed(token.hash, token.start[i]);
        uint64_t slot;
        if (find(&table, &token, &slot) < 0 && slot < (uint64_t)1 << bits)
            slots[slot] = (uint64_t)token.hash << 32 | (uint64_t)(word + 1);
    }
}

/* Count the words of lines first..last into a table that grows, and the buckets of their n-grams.
 *
 * amounts: how often a line counts, once where NULL · sizes: words, bytes used, words counted;
 * changed · seen: of each bucket; NULL for none.
 * Stops before a line that might not fit and gives its number, or last. There must be more slots
 * than most_words.
 */
EXPORT int64_t tokens_count(const uint8_t *text, const int64_t *lines, int64_t first, int64_t last,
                            const int64_t *amounts, uint8_t *bytes, int64_t most_bytes, int64_t *offsets, int64_t *counts,
                            int64_t most_words, uint64_t *slots, int64_t bits, int64_t *sizes,
                            const uint8_t *prefix, int64_t prefix_length, int64_t grams_of,
                            uint32_t *seen, int64_t buckets)
{
    Table table = {bytes, offsets, sizes[0], slots, bits};
    int64_t used = sizes[1];
    const Token line_end = {(const uint8_t *)"</s>", 4, 3617362777u};
    for (; first < last; first++) {
        const uint8_t *at = text + lines[first], *end = text + lines[first + 1];
        int64_t most_new = (end - at + 1) / 2, amount = amounts ? amounts[first] : 1;
        if (table.words + most_new > most_words || used + (end - at) > most_bytes)
            break;
        Grams grams = {.most = grams_of, .there = 0};
        Token token;
        for (int more = 1; more;) {
            more = next(&at, end, &token);
            if (more) {
                uint64_t slot;
                int64_t word = find(&table, &token, &slot);
                if (word < 0) {
                    word = table.words++;
                    memcpy(bytes + used, token.start, (size_t)token.length);
                    used += token.length;
                    offsets[word + 1] = used;
                    counts[word] = 0;
                    slots[slot] = (uint64_t)token.hash << 32 | (uint64_t)(word + 1);
                }
                counts[word] += amount;
                sizes[2] += amount;
                if (!seen || is_label(&token, prefix, prefix_length))
                    continue;
            } else if (!seen) {
                break;
            }
            push(&grams, more ? token.hash : line_end.hash);
            for (int64_t i = 1; i < grams.there; i++) {
                uint32_t *count = seen + grams.hash[i] % (uint64_t)buckets;
                *count += *count < UINT32_MAX;
            }
        }
    }
    sizes[0] = table.words;
    sizes[1] = used;
    return first;
}

/* The numbers of the known words of lines first..last, one after the other; starts: of each line.
 * ids must hold half as many as the lines have bytes, and one a line. Gives how many there are. */
EXPORT int64_t tokens_words(const uint8_t *text, const int64_t *lines, int64_t first, int64_t last,
                            const uint8_t *bytes, const int64_t *offsets, int64_t words,
                            uint64_t *slots, int64_t bits, int32_t *ids, int64_t *starts)
{
    const Table table = {bytes, offsets, words, slots, bits};
    int64_t found = 0;
    for (int64_t line = first; line < last; line++) {
        const uint8_t *at = text + lines[line], *end = text + lines[line + 1];
        *starts++ = found;
        Token token;
        while (next(&at, end, &token)) {
            uint64_t slot;
            int64_t word = find(&table, &token, &slot);
            if (word >= 0)
                ids[found++] = (int32_t)word;
        }
    }
    *starts = found;
    return found;
}

/* What a classifier sees of a line: each row of its matrix once, and how often it comes. */
typedef struct {
    int32_t *rows;
    float *times;
    int64_t found;  /* of all lines so far */
    int64_t begun;  /* of the lines before this one */
    uint64_t *seats; /* an open hash table of the line's rows: the line's stamp above where it stands */
    int64_t bits;
    uint64_t stamp;
} Bag;

/* Buckets whose rows stand side by side: a page of a table, of which there are those with a row. */
enum { PAGE = 256 };

INLINE int32_t bucket_row(const int32_t *pages, const int32_t *rows, uint64_t bucket)
{
    return rows[(int64_t)pages[bucket / PAGE] * PAGE + (int64_t)(bucket % PAGE)];
}

INLINE void put(Bag *bag, int32_t row)
{
    uint64_t mask = ((uint64_t)1 << bag->bits) - 1, at = place((uint32_t)row, bag->bits);
    for (; bag->seats[at] >> 32 == bag->stamp; at = (at + 1) & mask) {
        int64_t there = bag->begun + (int64_t)(bag->seats[at] & 0xFFFFFFFFu);
        if (bag->rows[there] == row) {
            bag->times[there] += 1;
            return;
        }
    }
    bag->seats[at] = bag->stamp << 32 | (uint64_t)(bag->found - bag->begun);
    bag->rows[bag->found] = row;
    bag->times[bag->found++] = 1;
}

/* What a classifier sees of lines first..last: rows of its matrix for words, the line's end and word
 * n-grams, and the labels.
 *
 * words: of which those from ``labels_from`` on are labels · end_row: of the line's end, or -1
 * pages, bucket_rows: of each page of buckets, and of each bucket of a page, or -1 · seats: zeros, more than twice the terms of any line
 * rows, times, row_starts: those that a line has · terms: of each line, whether they have a row or not
 * labels, label_starts: those known, from 0 · named: labels of each line, known or not
 * Gives the number of rows.
 */
EXPORT int64_t tokens_features(const uint8_t *text, const int64_t *lines, int64_t first, int64_t last,
                               const uint8_t *bytes, const int64_t *offsets, int64_t words,
                               uint64_t *slots, int64_t bits, int64_t labels_from,
                               const uint8_t *prefix, int64_t prefix_length, int64_t end_row,
                               int64_t grams_of, const int32_t *pages, const int32_t *bucket_rows,
                               int64_t buckets, uint64_t *seats, int64_t seat_bits, int32_t *rows,
                               float *times, int64_t *row_starts, float *terms, int32_t *labels,
                               int64_t *label_starts, int32_t *named)
{
    const Table table = {bytes, offsets, words, slots, bits};
    const Token line_end = {(const uint8_t *)"</s>", 4, 3617362777u};
    Bag bag = {rows, times, 0, 0, seats, seat_bits, 0};
    int64_t labelled = 0;
    for (int64_t line = first; line < last; line++) {
        const uint8_t *at = text + lines[line], *end = text + lines[line + 1];
        bag.begun = bag.found;
        bag.stamp++;
        *row_starts++ = bag.found;
        *label_starts++ = labelled;
        int32_t all = 0, names = 0;
        Grams grams = {.most = grams_of, .there = 0};
        Token token;
        for (int more = 1; more;) {
            int64_t row = end_row;
            more = next(&at, end, &token);
            if (more) {
                uint64_t slot;
                row = find(&table, &token, &slot);
                if (is_label(&token, prefix, prefix_length)) {
                    names++;
                    if (row >= labels_from)
                        labels[labelled++] = (int32_t)(row - labels_from);
                    continue;
                }
                if (row >= labels_from)
                    row = -1;
            }
            if (row >= 0) {
                put(&bag, (int32_t)row);
                all++;
            }
            push(&grams, more ? token.hash : line_end.hash);
            for (int64_t i = 1; i < grams.there; i++) {
                int32_t its = bucket_row(pages, bucket_rows, grams.hash[i] % (uint64_t)buckets);
                all++;
                if (its >= 0)
                    put(&bag, its);
            }
        }
        *terms++ = (float)all;
        *named++ = names;
    }
    *row_starts = bag.found;
    *label_starts = labelled;
    return bag.found;
}

INLINE int continues(uint8_t c)
{
    return (c & 0xC0) == 0x80;
}

/* The buckets of the character n-grams of words between < and >, of min to max characters.
 * starts: of each word's. out may be NULL, to count. Gives how many there are. */
EXPORT int64_t tokens_subwords(const uint8_t *bytes, const int64_t *offsets, int64_t words, int64_t min,
                               int64_t max, int64_t buckets, int32_t *out, int64_t *starts)
{
    int64_t found = 0;
    for (int64_t word = 0; word < words; word++) {
        const uint8_t *inner = bytes + offsets[word];
        int64_t length = offsets[word + 1] - offsets[word] + 2;
        starts[word] = found;
        for (int64_t from = 0; from < length; from++) {
#define AT(i) ((i) == 0 ? (uint8_t)'<' : (i) == length - 1 ? (uint8_t)'>' : inner[(i) - 1])
            if (continues(AT(from)))
                continue;
            uint32_t hash = HASH_START;
            for (int64_t to = from, characters = 1; to < length && characters <= max; characters++) {
                hash = hashed(hash, AT(to));
                for (to++; to < length && continues(AT(to)); to++)
                    hash = hashed(hash, AT(to));
                if (characters >= min && !(characters == 1 && (from == 0 || to == length))) {
                    if (out)
                        out[found] = (int32_t)(hash % (uint64_t)buckets);
                    found++;
                }
            }
#undef AT
        }
    }
    starts[words] = found;
    return found;
}
