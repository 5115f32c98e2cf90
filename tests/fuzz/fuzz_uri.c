/* SPDX-License-Identifier: Apache-2.0 */
/* A URI: what is taken shows no secret and its port is one; what is refused says so without the secret that the target adds. */
#include <string.h>

#include "base/uri.h"
#include "fuzz.h"

#define FUZZ_SECRET "Geheim$7"

static void fuzz_with_secret(const char *text)
{
	char whole[4200], err[8192] = "";
	struct uri u;

	snprintf(whole, sizeof(whole), "%s%crdkafka.sasl.password=" FUZZ_SECRET, text, strchr(text, '?') ? '&' : '?');
	FUZZ_CHECK(uri_parse(&u, whole, err, sizeof(err)));
	FUZZ_CHECK(*err && !strstr(err, FUZZ_SECRET));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = {"early", "mtu", "template", NULL};
	struct uri_range range = {1, 9, 5};
	char text[4096], err[8192] = "";
	struct uri u;
	uint64_t n;

	if (size >= sizeof(text) || memchr(data, 0, size))
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (!strstr(text, FUZZ_SECRET)) /* it learns it from us */
		fuzz_with_secret(text);
	if (uri_parse(&u, text, err, sizeof(err))) {
		FUZZ_CHECK(*err);
		return 0;
	}
	FUZZ_CHECK(*u.scheme && !strchr(u.host, '@') && strlen(u.port) <= 5);
	FUZZ_CHECK(u.n_options <= URI_OPTIONS_MAX && strcmp(u.text, text) == 0);
	FUZZ_CHECK(uri_number(&u, "mtu", range, &n, err, sizeof(err)) || (n >= 1 && n <= 9));
	(void)uri_check_options(&u, names, err, sizeof(err));
	uri_deinit(&u);
	return 0;
}
