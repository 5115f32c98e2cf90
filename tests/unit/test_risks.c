/* SPDX-License-Identifier: Apache-2.0 */
/* The risks that rules name are those that nDPI has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

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

	(void)state;
	assert_int_equal(n + 1, dpi_risk_count()); /* bit 0 is none */
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(risks[i].bit, i + 1);
		assert_string_equal(risks[i].printed, dpi_risk_name(risks[i].bit));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_names)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
