/* Word vectors by negative sampling (Mikolov et al. 2013), a window's words against few shared negatives
 * at a time, which makes small matrix products of what were dot products (Ji et al., "Parallelizing
 * word2vec in shared and distributed memory", 2016). */
#include "kernel.h"

#include <string.h>

/* TILE outputs are held in registers against two inputs; outputs are padded to whole tiles. */
enum { LANES = 16, TILE = 6, MOST_IN = 32, MOST_OUT = 264 };

typedef float Lanes __attribute__((vector_size(64), aligned(64)));

/* What a call trains with. Rows of both matrices are ``chunks`` Lanes. */
typedef struct {
    float *in, *out;
    int64_t chunks, words;
    const float *chance; /* with alias: how negatives are drawn (Vose 1991) */
    const int32_t *alias;
    int64_t negatives;
    uint64_t key;
    float *zero_in, *zero_out; /* a row each that is nobody's */
    Lanes *hidden, *moved;
    float *scores; /* MOST_IN x MOST_OUT, and LANES more */
} Model;

/* The outputs that stand against one another: the first ``wanted`` are right, then come negatives. */
typedef struct {
    float *row[MOST_OUT];
    int32_t word[MOST_OUT];
    int64_t wanted, count, padded;
} Outputs;

INLINE float *row_of(float *matrix, int64_t row, int64_t chunks)
{
    return matrix + row * chunks * LANES;
}

INLINE int32_t pick(const Model *model, uint64_t random)
{
    int64_t word = (int64_t)(((random >> 32) * (uint64_t)model->words) >> 32);
    float share = (float)((uint32_t)random >> 8) * 0x1p-24f;
    return share < model->chance[word] ? (int32_t)word : model->alias[word];
}

INLINE void add_output(const Model *model, Outputs *outputs, int32_t word)
{
    outputs->word[outputs->count] = word;
    outputs->row[outputs->count++] = row_of(model->out, word, model->chunks);
}

/* Fill up with negatives: those of so many drawn that are not there already. */
INLINE void add_negatives(const Model *model, Outputs *outputs, uint64_t counter, int64_t count)
{
    outputs->wanted = outputs->count;
    for (int64_t drawn = 0; drawn < count; drawn++) {
        int32_t word = pick(model, draw(model->key, counter + (uint64_t)drawn));
        int is_there = 0;
        for (int64_t i = 0; i < outputs->count; i++)
            is_there |= outputs->word[i] == word;
        if (!is_there)
            add_output(model, outputs, word);
    }
    for (outputs->padded = outputs->count; outputs->padded % TILE; outputs->padded++)
        outputs->row[outputs->padded] = model->zero_out;
}

/* x to 1 / (1 + exp(-x)), count a multiple of LANES; exp by its polynomial about the nearest power of 2. */
INLINE void logistic(float *x, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        float y = -x[i];
        y = y > 80 ? 80 : y;
        y = y < -80 ? -80 : y;
        float power = y * 1.44269504f, shifted = power + 12582912.f, rest = power - (shifted - 12582912.f);
        float e = 1 + rest * (0.693147182f + rest * (0.240226462f + rest * (0.0555032f +
                      rest * (0.00961812f + rest * 0.00133998f))));
        int32_t whole, bits;
        memcpy(&whole, &shifted, sizeof whole);
        memcpy(&bits, &e, sizeof bits);
        bits += (int32_t)((uint32_t)(whole - 0x4B400000) << 23);
        memcpy(&e, &bits, sizeof e);
        x[i] = 1 / (1 + e);
    }
}

INLINE float total(const Lanes *lanes)
{
    float parts[LANES], sum = 0;
    memcpy(parts, lanes, sizeof parts);
#pragma omp simd reduction(+ : sum)
    for (int i = 0; i < LANES; i++)
        sum += parts[i];
    return sum;
}

/* scores[i][o] = in[i] . out[o]; inputs is even, outputs whole tiles. */
INLINE void multiply(float *const *in, int64_t inputs, float *const *out, int64_t outputs,
                     int64_t chunks, float *scores)
{
    for (int64_t o = 0; o < outputs; o += TILE) {
        float *const *tile = out + o;
        for (int64_t i = 0; i < inputs; i += 2) {
            const Lanes *first = (const Lanes *)in[i], *second = (const Lanes *)in[i + 1];
            Lanes sums[2][TILE];
            memset(sums, 0, sizeof sums);
            for (int64_t c = 0; c < chunks; c++) {
                Lanes x = first[c], y = second[c];
                for (int t = 0; t < TILE; t++) {
                    Lanes w = ((const Lanes *)tile[t])[c];
                    sums[0][t] += x * w;
                    sums[1][t] += y * w;
                }
            }
            for (int t = 0; t < TILE; t++) {
                scores[i * outputs + o + t] = total(&sums[0][t]);
                scores[(i + 1) * outputs + o + t] = total(&sums[1][t]);
            }
        }
    }
}

/* Move the inputs along one tile of outputs and those along the inputs, all from where they were:
 * target[i] is what becomes of in[i], whose old place tells where the outputs go. */
INLINE void move_tile(float *const *in, float *const *target, int64_t inputs, float *const *out,
                      int64_t chunks, const float *steps, int64_t width)
{
    for (int64_t c = 0; c < chunks; c++) {
        Lanes was[TILE], now[TILE];
        for (int t = 0; t < TILE; t++)
            was[t] = now[t] = ((const Lanes *)out[t])[c];
        for (int64_t i = 0; i < inputs; i++) {
            const float *step = steps + i * width;
            Lanes x = ((const Lanes *)in[i])[c], y = ((const Lanes *)target[i])[c];
            for (int t = 0; t < TILE; t++) {
                y += step[t] * was[t];
                now[t] += step[t] * x;
            }
            ((Lanes *)target[i])[c] = y;
        }
        for (int t = 0; t < TILE; t++)
            ((Lanes *)out[t])[c] = now[t];
    }
}

/* From scores to steps: rate x (1 or 0, less what the model says); nothing for what is only padding. */
INLINE void steps_of(float *scores, int64_t inputs, int64_t padded_inputs, const Outputs *outputs,
                     float rate)
{
    int64_t width = outputs->padded;
    logistic(scores, (padded_inputs * width + LANES - 1) / LANES * LANES);
    for (int64_t i = 0; i < padded_inputs; i++)
        for (int64_t o = 0; o < width; o++) {
            float *score = scores + i * width + o;
            int is_padding = i >= inputs || o >= outputs->count;
            *score = is_padding ? 0 : rate * ((o < outputs->wanted) - *score);
        }
}

/* One step for several words, each by itself against the same outputs. */
INLINE void step_each(const Model *model, float **in, int64_t inputs, const Outputs *outputs, float rate)
{
    int64_t even = inputs + (inputs & 1), width = outputs->padded;
    if (inputs & 1)
        in[inputs] = model->zero_in;
    multiply(in, even, outputs->row, width, model->chunks, model->scores);
    steps_of(model->scores, inputs, even, outputs, rate);
    if (width == TILE) {
        /* A word that comes twice is read after it was written: the outputs miss its first step. */
        move_tile(in, in, inputs, outputs->row, model->chunks, model->scores, width);
        return;
    }
    for (int64_t i = 0; i < inputs; i++) {
        float *one[2] = {(float *)model->moved, model->zero_in};
        memcpy(model->hidden, in[i], (size_t)model->chunks * sizeof(Lanes));
        memcpy(model->moved, in[i], (size_t)model->chunks * sizeof(Lanes));
        float *from = (float *)model->hidden;
        for (int64_t o = 0; o < width; o += TILE)
            move_tile(&from, one, 1, outputs->row + o, model->chunks, model->scores + i * width + o, width);
        memcpy(in[i], model->moved, (size_t)model->chunks * sizeof(Lanes));
    }
}

/* One step for the mean of many rows, all of which move alike. */
INLINE void step_mean(const Model *model, const int32_t *rows, int64_t count, const Outputs *outputs,
                      float rate)
{
    const float share = 1.0f / (float)count;
    Lanes *hidden = model->hidden, *moved = model->moved;
    int64_t chunks = model->chunks;
    memset(hidden, 0, (size_t)chunks * sizeof(Lanes));
    for (int64_t i = 0; i < count; i++) {
        const Lanes *row = (const Lanes *)row_of(model->in, rows[i], chunks);
        for (int64_t c = 0; c < chunks; c++)
            hidden[c] += row[c];
    }
    for (int64_t c = 0; c < chunks; c++) {
        hidden[c] *= share;
        moved[c] = hidden[c];
    }
    float *from[2] = {(float *)hidden, model->zero_in}, *to = (float *)moved;
    multiply(from, 2, outputs->row, outputs->padded, chunks, model->scores);
    steps_of(model->scores, 1, 2, outputs, rate);
    for (int64_t o = 0; o < outputs->padded; o += TILE)
        move_tile(from, &to, 1, outputs->row + o, chunks, model->scores + o, outputs->padded);
    for (int64_t c = 0; c < chunks; c++)
        moved[c] -= hidden[c];
    for (int64_t i = 0; i < count; i++) {
        Lanes *row = (Lanes *)row_of(model->in, rows[i], chunks);
        for (int64_t c = 0; c < chunks; c++)
            row[c] += moved[c];
    }
}

/* The rows that a word is the mean of. */
INLINE int64_t append_word(int32_t *rows, int64_t count, int32_t word, const int32_t *parts,
                           const int64_t *part_starts)
{
    rows[count++] = word;
    if (parts)
        for (int64_t p = part_starts[word]; p < part_starts[word + 1]; p++)
            rows[count++] = parts[p];
    return count;
}

/* The words about one, and how they are drawn for. */
typedef struct {
    const int32_t *words;
    int64_t from, to, middle, group;
    uint64_t counter;
    float rate;
} Window;

/* The mean of the words about it against the word in the middle. */
INLINE void cbow(const Model *model, const Window *window, const int32_t *parts,
                 const int64_t *part_starts, int32_t *rows)
{
    int64_t found = 0;
    for (int64_t j = window->from; j < window->to; j++)
        if (j != window->middle)
            found = append_word(rows, found, window->words[j], parts, part_starts);
    if (found == 0)
        return;
    Outputs outputs;
    outputs.count = 0;
    add_output(model, &outputs, window->words[window->middle]);
    add_negatives(model, &outputs, window->counter, model->negatives);
    step_mean(model, rows, found, &outputs, window->rate);
}

/* Each word about it against the word in the middle. */
INLINE void skipgram(const Model *model, const Window *window)
{
    uint64_t counter = window->counter;
    for (int64_t j = window->from; j < window->to; counter += (uint64_t)model->negatives) {
        float *inputs[MOST_IN + 1];
        int64_t about = 0;
        for (; j < window->to && about < window->group; j++)
            if (j != window->middle)
                inputs[about++] = row_of(model->in, window->words[j], model->chunks);
        if (about == 0)
            return;
        Outputs outputs;
        outputs.count = 0;
        add_output(model, &outputs, window->words[window->middle]);
        add_negatives(model, &outputs, counter, model->negatives);
        step_each(model, inputs, about, &outputs, window->rate);
    }
}

/* The mean of the rows of the word in the middle against the words about it, as fastText has it: so that
 * the many rows of a word are added up but once. Each of those words has its own negatives. */
INLINE void skipgram_of_parts(const Model *model, const Window *window, const int32_t *parts,
                              const int64_t *part_starts, int32_t *rows)
{
    uint64_t counter = window->counter;
    const int64_t most = MOST_OUT / (1 + model->negatives) < window->group
                             ? MOST_OUT / (1 + model->negatives) : window->group;
    int64_t found = append_word(rows, 0, window->words[window->middle], parts, part_starts);
    for (int64_t j = window->from; j < window->to;) {
        Outputs outputs;
        outputs.count = 0;
        for (; j < window->to && outputs.count < most; j++) {
            int is_there = j == window->middle;
            for (int64_t o = 0; o < outputs.count; o++)
                is_there |= outputs.word[o] == window->words[j];
            if (!is_there)
                add_output(model, &outputs, window->words[j]);
        }
        if (outputs.count == 0)
            return;
        int64_t negatives = outputs.count * model->negatives;
        add_negatives(model, &outputs, counter, negatives);
        step_mean(model, rows, found, &outputs, window->rate);
        counter += (uint64_t)negatives;
    }
}

enum { SKIPGRAM, CBOW };

/* One pass over lines of words. Of the words of a line, the frequent ones are left out at random.
 *
 * ids, starts: of lines + 1 · in, out: rows of chunks x LANES floats, the first ``words`` of in are of
 * words · keep: of each word, the chance to stay x 2^32 · parts, part_starts: further rows of in that a
 * word is the mean of, NULL for none · group: words that share their negatives, at most MOST_IN
 * rate: falls over ``length`` words, of which ``done`` are over and each of these counts ``pace`` times
 * counter: words drawn for before · kept, places: room for the longest line · rows: for all rows of a
 * window · scratch: 4 x chunks x LANES + MOST_IN x MOST_OUT + LANES floats
 */
EXPORT HOT void word2vec_train(const int32_t *ids, const int64_t *starts, int64_t lines, float *in,
                               float *out, int64_t words, int64_t chunks, const float *chance,
                               const int32_t *alias, const uint32_t *keep, const int32_t *parts,
                               const int64_t *part_starts, int64_t mode, int64_t reach,
                               int64_t negatives, int64_t group, double rate, double done, double pace,
                               double length, uint64_t key, uint64_t counter, int32_t *kept,
                               uint64_t *places, int32_t *rows, float *scratch)
{
    const int64_t width = chunks * LANES;
    const Model model = {in, out, chunks, words, chance, alias, negatives, key, scratch, scratch + width,
                         (Lanes *)(scratch + 2 * width), (Lanes *)(scratch + 3 * width),
                         scratch + 4 * width};
    memset(scratch, 0, (size_t)(2 * width) * sizeof(float));
    for (int64_t line = 0; line < lines; line++) {
        double left = 1 - done / length;
        Window window = {.words = kept, .group = group};
        window.rate = (float)(rate * (left > 1e-4 ? left : 1e-4));
        int64_t count = 0;
        for (int64_t p = starts[line]; p < starts[line + 1]; p++, counter++)
            if ((uint32_t)(draw(key, counter << 10) >> 32) <= keep[ids[p]]) {
                places[count] = counter << 10;
                kept[count++] = ids[p];
            }
        done += pace * (double)(starts[line + 1] - starts[line]);
        for (int64_t i = 0; i < count; i++) {
            int64_t about = 1 + (int64_t)(((draw(key, places[i] + 1) >> 32) * (uint64_t)reach) >> 32);
            window.middle = i;
            window.from = i - about < 0 ? 0 : i - about;
            window.to = i + about + 1 < count ? i + about + 1 : count;
            window.counter = places[i] + 2;
            if (mode == CBOW)
                cbow(&model, &window, parts, part_starts, rows);
            else if (parts)
                skipgram_of_parts(&model, &window, parts, part_starts, rows);
            else
                skipgram(&model, &window);
        }
    }
}

/* What several did from one base, each by itself, put together: base + the changes of all, in all. */
EXPORT HOT void word2vec_join(float *base, float **copies, int64_t copies_count, int64_t first, int64_t last)
{
    for (int64_t i = first; i < last; i++) {
        float sum = base[i], from = base[i];
        for (int64_t k = 0; k < copies_count; k++)
            sum += copies[k][i] - from;
        base[i] = sum;
        for (int64_t k = 0; k < copies_count; k++)
            copies[k][i] = sum;
    }
}

/* Tables to draw from weights with, each draw in constant time (Vose, "A linear algorithm for generating
 * random numbers with a given distribution", 1991). shares: weights x count / their sum; changed.
 * stacks: room for count; those below 1 stand at its front, the others at its back */
EXPORT void word2vec_alias(double *shares, int64_t count, float *chance, int32_t *alias, int32_t *stacks)
{
    int64_t low = 0, high = count;
    for (int64_t i = 0; i < count; i++) {
        chance[i] = 1;
        alias[i] = (int32_t)i;
        stacks[shares[i] < 1 ? low++ : --high] = (int32_t)i;
    }
    while (low > 0 && high < count) {
        int32_t word = stacks[--low], other = stacks[high];
        chance[word] = (float)shares[word];
        alias[word] = other;
        shares[other] -= 1 - shares[word];
        if (shares[other] < 1) {
            high++;
            stacks[low++] = other;
        }
    }
}

/* First rows of words: even in ±scale, as a function of the word and the key alone. */
EXPORT void word2vec_begin(const uint8_t *bytes, const int64_t *offsets, const int64_t *which,
                           int64_t count, float *rows, int64_t stride, int64_t columns, float scale,
                           uint64_t key)
{
    for (int64_t i = 0; i < count; i++) {
        uint64_t hash = key ^ 0xCBF29CE484222325u;
        for (int64_t at = offsets[which[i]]; at < offsets[which[i] + 1]; at++)
            hash = (hash ^ bytes[at]) * 0x100000001B3u;
        float *row = rows + which[i] * stride;
        for (int64_t j = 0; j < columns; j++)
            row[j] = (float)(2 * uniform(hash, (uint64_t)j) - 1) * scale;
    }
}
