/* What every reader of numbers as text shares: a place in the text, digits, powers of ten. No byte is
 * read at or beyond the end. */
#ifndef TIDEMILL_DECIMAL_H
#define TIDEMILL_DECIMAL_H

#include "kernel.h"

#include <string.h>

#define FAULT 0
#define EXACT (1ull << 53)

typedef struct {
    const uint8_t *at, *end;
} Cursor;

/* Powers of ten that a double holds exactly. */
static const double TENS[23] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

INLINE int is_digit(uint8_t c)
{
    return (uint8_t)(c - '0') < 10;
}

INLINE int sees(const Cursor *text, uint8_t wanted)
{
    return text->at < text->end && *text->at == wanted;
}

INLINE int takes(Cursor *text, uint8_t wanted)
{
    if (!sees(text, wanted))
        return 0;
    text->at++;
    return 1;
}

/* How many digits stand here; they are added to those before. Up to eight at once, after D. Lemire,
 * "Number parsing at a gigabyte per second" (2021); digits are what is below ten without the bits of '0'. */
INLINE int64_t takes_digits(Cursor *text, uint64_t *digits)
{
    static const uint32_t SHIFTS[9] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};
    const uint8_t *first = text->at;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    while (text->end - text->at >= 8) {
        uint64_t eight;
        memcpy(&eight, text->at, 8);
        eight ^= 0x3030303030303030u;
        uint64_t others = (eight | (eight + 0x7676767676767676u)) & 0x8080808080808080u;
        int count = others ? __builtin_ctzll(others) >> 3 : 8;
        if (count == 0)
            return text->at - first;
        eight <<= 64 - 8 * count;
        eight = eight * 10 + (eight >> 8);
        eight = ((eight & 0x000000FF000000FFu) * 0x000F424000000064u +
                 ((eight >> 16) & 0x000000FF000000FFu) * 0x0000271000000001u) >> 32;
        *digits = *digits * SHIFTS[count] + eight;
        text->at += count;
        if (count < 8)
            return text->at - first;
    }
#endif
    for (; text->at < text->end && is_digit(*text->at); text->at++)
        *digits = 10 * *digits + (uint64_t)(*text->at - '0');
    return text->at - first;
}

/* What stands behind an e, which is here: added to the power of ten. */
INLINE int takes_exponent(Cursor *text, int64_t *tens)
{
    text->at++;
    int is_minus = takes(text, '-');
    if (!is_minus)
        (void)takes(text, '+');
    int64_t found = 0;
    const uint8_t *first = text->at;
    for (; text->at < text->end && is_digit(*text->at); text->at++)
        if (found < 100000)
            found = 10 * found + (*text->at - '0');
    *tens += is_minus ? -found : found;
    return text->at > first;
}

/* Zeros that a number begins with, before and behind its point. */
INLINE int64_t zeros(const uint8_t *first, const uint8_t *end)
{
    int64_t found = 0;
    for (; first < end && (*first == '0' || *first == '.'); first++)
        found += *first == '0';
    return found;
}

/* digits x 10^tens as a float: that of the nearest double. Exact where the digits fit 53 bits and the
 * power of ten is at most 22 (Clinger, "How to read floating point numbers accurately", 1990). Else
 * some roundings away from the double: as good when all doubles so near make one float, and a fault
 * otherwise, which one number in some ten millions is. */
INLINE int scaled(uint64_t digits, int64_t tens, float *value)
{
    if (digits <= EXACT && tens <= 0 && tens >= -22) {
        *value = (float)((double)(int64_t)digits / TENS[-tens]);
        return 1;
    }
    if (digits == 0) {
        *value = 0;
        return 1;
    }
    if (tens < -44 || tens > 44)
        return FAULT;
    double near = (double)digits;
    int is_exact = digits <= EXACT && tens > 0 && tens <= 22;
    for (; tens < -22; tens += 22)
        near /= TENS[22];
    for (; tens > 22; tens -= 22)
        near *= TENS[22];
    near = tens < 0 ? near / TENS[-tens] : near * TENS[tens];
    *value = (float)near;
    return is_exact || (float)(near * (1 - 0x1p-50)) == (float)(near * (1 + 0x1p-50));
}

#endif
