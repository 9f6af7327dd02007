/* What every kernel shares: how a function is seen from Python, and for which processors it is made. */
#ifndef TIDEMILL_KERNEL_H
#define TIDEMILL_KERNEL_H

#include <stdint.h>

/* EXPORT: called from Python; all else is static. Says nothing to the compiler, for clang does not
 * take a visibility beside HOT. */
#define EXPORT
#define INLINE static inline __attribute__((always_inline))

/* HOT: compiled once for each generation of x86 and chosen when loaded, so that a wheel made on one
 * machine runs on all and is quick on the newest. What it calls must be INLINE to be chosen too. */
#if defined(__x86_64__) && defined(__linux__) && defined(__GLIBC__) && !defined(KERNEL_PLAIN)
#define HOT __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define HOT
#endif

/* A counter-based random number: a function of the key and the counter alone (SplitMix64's finaliser,
 * Steele, Lea & Flood 2014). */
INLINE uint64_t draw(uint64_t key, uint64_t counter)
{
    uint64_t z = key + (counter + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* The same as a number in [0, 1). */
INLINE double uniform(uint64_t key, uint64_t counter)
{
    return (double)(draw(key, counter) >> 11) * 0x1.0p-53;
}

#endif
