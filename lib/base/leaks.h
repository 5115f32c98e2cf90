/* SPDX-License-Identifier: Apache-2.0 */
/* The leak check of a sanitizer build, for processes that end with _exit() and so skip the one at exit. */
#ifndef BASE_LEAKS_H
#define BASE_LEAKS_H

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LEAKS_CHECKED 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define LEAKS_CHECKED 1
#endif

#include <stdbool.h>

#ifdef LEAKS_CHECKED
#include <sanitizer/lsan_interface.h>

/* Ends the process with a report if something was lost. */
static inline void leaks_check(void)
{
	__lsan_do_leak_check();
}

/* Whether what is owned must be given back one by one at the end, though the kernel takes it all at once. */
static inline bool leaks_checked(void)
{
	return true;
}
#else
static inline bool leaks_checked(void)
{
	return false;
}

static inline void leaks_check(void)
{
}
#endif

#endif
