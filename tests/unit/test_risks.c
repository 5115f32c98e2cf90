/* SPDX-License-Identifier: Apache-2.0 */
/* The risks that rules name are those that nDPI has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dpi/dpi.h"

static const struct {
	uint32_t bit;
	const char *word, *printed;
} risks[] = {
#define RISK(bit, word, printed) {bit, word, printed},
#include "rules/risks.def"
#undef RISK
};

static void test_names(void **state)
{
	size_t n = sizeof(risks) / sizeof(risks[0]);
	bool same = dpi_risk_count() == n + 1; /* bit 0 is none. Later nDPI has more, and other words for these. */

	(void)state;
	assert_int_equal(same, strncmp(dpi_version(), "4.2.", 4) == 0);
	assert_true(dpi_risk_count() > n);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(risks[i].bit, i + 1);
		assert_non_null(dpi_risk_name(risks[i].bit));
		if (same)
			assert_string_equal(risks[i].printed, dpi_risk_name(risks[i].bit));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_names)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
