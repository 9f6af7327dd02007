/* Classes from the mean of the rows of a text's words and n-grams, as fastText has it (Joulin et al.
 * 2017), learned by steps that each row takes at its own pace (Duchi, Hazan & Singer, "Adaptive
 * subgradient methods", 2011). */
#include "kernel.h"

#include <math.h>
#include <string.h>

/* A model, and the lines that it sees. Rows and lines are as tokens_features gives them. */
typedef struct {
    const int32_t *rows;
    const float *times;
    const int64_t *starts;
    const float *terms;
    float *weights; /* of each row, width */
    int64_t matrix_rows, width, classes;
    float *output;  /* of each class, width; NULL where a row's weights are the classes' scores */
    int is_distinct; /* rows count once in a line */
    float power;    /* of a line's terms, that its sum is divided by */
} Model;

INLINE int is_wrong(const Model *model, int64_t at)
{
    return (uint64_t)model->rows[at] >= (uint64_t)model->matrix_rows;
}

INLINE float times_of(const Model *model, int64_t at)
{
    return model->is_distinct ? 1 : model->times[at];
}

/* Terms of a line, 0 for one without any. */
INLINE float mass(const Model *model, int64_t line)
{
    int64_t count = model->starts[line + 1] - model->starts[line];
    return model->is_distinct || count == 0 ? (float)count : model->terms[line];
}

/* hidden = sum of the line's rows / mass^power; -1 for a row that there is none of. */
INLINE int hide(const Model *model, int64_t line, int64_t width, float *hidden)
{
    enum { AHEAD = 8 };
    memset(hidden, 0, (size_t)width * sizeof(float));
    int64_t stop = model->starts[line + 1];
    for (int64_t j = model->starts[line]; j < stop; j++) {
        if (is_wrong(model, j))
            return -1;
        if (j + AHEAD < stop)
            __builtin_prefetch(model->weights + (int64_t)(uint32_t)model->rows[j + AHEAD] * width);
        const float *row = model->weights + model->rows[j] * width;
        float times = times_of(model, j);
        for (int64_t k = 0; k < width; k++)
            hidden[k] += times * row[k];
    }
    float terms = mass(model, line);
    float share = terms > 0 ? 1 / (model->power == 1 ? terms : powf(terms, model->power)) : 0;
    for (int64_t k = 0; k < width; k++)
        hidden[k] *= share;
    return 0;
}

/* From what is hidden to each class's chance. */
INLINE void soften(const Model *model, const float *hidden, float *chances)
{
    int64_t classes = model->classes, width = model->width;
    float most = -INFINITY, sum = 0;
    for (int64_t c = 0; c < classes; c++) {
        float score = hidden[c < width ? c : 0];
        if (model->output) {
            const float *row = model->output + c * width;
            score = 0;
#pragma omp simd reduction(+ : score)
            for (int64_t k = 0; k < width; k++)
                score += hidden[k] * row[k];
        }
        chances[c] = score;
        most = score > most ? score : most;
    }
    for (int64_t c = 0; c < classes; c++) {
        chances[c] = expf(chances[c] - most);
        sum += chances[c];
    }
    for (int64_t c = 0; c < classes; c++)
        chances[c] /= sum;
}

/* How steps are made. */
typedef struct {
    const float *paces; /* of each row */
    float *squares;     /* of each row, of what moved it so far */
    float *output_squares;
    float scale;        /* of the rows' steps, in rates */
} Steps;

INLINE void move_output(const Model *model, const Steps *steps, const float *errors, const float *hidden,
                        float rate)
{
    int64_t width = model->width;
    float size = 0;
    for (int64_t k = 0; k < width; k++)
        size += hidden[k] * hidden[k];
    size /= (float)width;
    for (int64_t c = 0; c < model->classes; c++) {
        float *row = model->output + c * width;
        steps->output_squares[c] += errors[c] * errors[c] * size;
        if (steps->output_squares[c] == 0)
            continue;
        float step = rate * errors[c] / sqrtf(steps->output_squares[c]);
        for (int64_t k = 0; k < width; k++)
            row[k] -= step * hidden[k];
    }
}

INLINE void move_rows(const Model *model, const Steps *steps, int64_t line, const float *push, float rate,
                      int64_t width)
{
    enum { AHEAD = 8 };
    float size = 0;
    for (int64_t k = 0; k < width; k++)
        size += push[k] * push[k];
    size /= (float)width;
    if (size == 0)
        return;
    /* A long line weighs more than its mean tells, though less than its words do. */
    float share = 1 / sqrtf(mass(model, line));
    int64_t stop = model->starts[line + 1];
    for (int64_t j = model->starts[line]; j < stop; j++) {
        if (j + AHEAD < stop)
            __builtin_prefetch(steps->squares + (uint32_t)model->rows[j + AHEAD], 1);
        int64_t r = model->rows[j];
        float amount = share * times_of(model, j), *row = model->weights + r * width;
        steps->squares[r] += size * amount * amount;
        float step = rate * steps->scale * steps->paces[r] * amount / sqrtf(steps->squares[r] + 1e-30f);
        for (int64_t k = 0; k < width; k++)
            row[k] -= step * push[k];
    }
}

/* One line: a step, and whether the likeliest class was right and what it lost. -1 for a wrong row. */
INLINE int learn_line(const Model *model, const Steps *steps, int64_t line, const int32_t *labels,
                      int64_t labels_there, float rate, float *scratch, double *told, int64_t width)
{
    float *hidden = scratch, *push = scratch + width, *chances = push + width;
    if (hide(model, line, width, hidden))
        return -1;
    soften(model, hidden, chances);
    int64_t likeliest = 0;
    for (int64_t c = 1; c < model->classes; c++)
        likeliest = chances[c] > chances[likeliest] ? c : likeliest;
    float share = 1 / (float)labels_there, lost = 0;
    for (int64_t i = 0; i < labels_there; i++) {
        told[1] += likeliest == labels[i];
        lost -= share * logf(chances[labels[i]] > 1e-30f ? chances[labels[i]] : 1e-30f);
    }
    for (int64_t i = 0; i < labels_there; i++)
        chances[labels[i]] -= share;
    told[0] += 1;
    told[2] += lost;
    if (model->output) {
        memset(push, 0, (size_t)width * sizeof(float));
        for (int64_t c = 0; c < model->classes; c++)
            for (int64_t k = 0; k < width; k++)
                push[k] += chances[c] * model->output[c * width + k];
        move_output(model, steps, chances, hidden, rate);
    } else {
        memcpy(push, chances, (size_t)width * sizeof(float));
    }
    if (model->starts[line + 1] > model->starts[line])
        move_rows(model, steps, line, push, rate, width);
    return 0;
}

/* Learn from lines first..last with labels, in turn; the rate falls to nothing over ``length`` of them,
 * of which ``done`` are over and each of these counts ``pace`` times. scratch: 2 width + classes
 * told: lines, right ones and loss, added to. Gives -1 for rows or labels that there are none of. */
EXPORT HOT int64_t textclassifier_learn(
    const int32_t *rows, const float *times, const int64_t *starts, const float *terms,
    const int32_t *labels, const int64_t *label_starts, int64_t lines, float *weights,
    int64_t matrix_rows, int64_t width, int64_t classes, float *output, int64_t is_distinct, double power,
    const float *paces, float *squares, float *output_squares, double scale, double rate, double done,
    double pace, double length, float *scratch, double *told)
{
    const Model model = {rows,  times,   starts, terms,            weights,     matrix_rows,
                         width, classes, output, (int)is_distinct, (float)power};
    const Steps steps = {paces, squares, output_squares, (float)scale};
    for (int64_t line = 0; line < lines; line++) {
        const int32_t *own = labels + label_starts[line];
        int64_t there = label_starts[line + 1] - label_starts[line];
        for (int64_t i = 0; i < there; i++)
            if ((uint64_t)own[i] >= (uint64_t)classes)
                return -1;
        if (there == 0)
            continue;
        double left = 1 - done / length;
        float now = (float)(rate * (left > 0 ? left : 0));
        int failed = width == 2 ? learn_line(&model, &steps, line, own, there, now, scratch, told, 2)
                                : learn_line(&model, &steps, line, own, there, now, scratch, told, width);
        if (failed)
            return -1;
        done += pace;
    }
    return 0;
}

/* The chance of each class for each line: lines x classes. Gives -1 for a row that there is none of. */
EXPORT HOT int64_t textclassifier_chances(const int32_t *rows, const float *times, const int64_t *starts,
                                          const float *terms, int64_t lines, float *weights,
                                          int64_t matrix_rows, int64_t width, int64_t classes,
                                          float *output, int64_t is_distinct, double power, float *hidden,
                                          float *chances)
{
    const Model model = {rows,  times,   starts, terms,            weights,     matrix_rows,
                         width, classes, output, (int)is_distinct, (float)power};
    for (int64_t line = 0; line < lines; line++) {
        if (hide(&model, line, width, hidden))
            return -1;
        soften(&model, hidden, chances + line * classes);
    }
    return 0;
}
