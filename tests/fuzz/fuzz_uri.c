/* SPDX-License-Identifier: Apache-2.0 */
/* A URI, and its option anonymize: what is taken shows no secret and its port is one; what is refused says so without the secret that the target adds. */
#include <string.h>

#include "base/uri.h"
#include "export/anonymize.h"
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

/* What is to be hidden; its key would be a file, which is not looked for here. */
static void fuzz_anonymize(const struct uri *u)
{
	const char *rules = uri_option(u, "anonymize");
	struct anonymize_rules r;
	char err[8192] = "";

	if (rules && anonymize_parse(&r, rules, NULL, err, sizeof(err)))
		FUZZ_CHECK(*err);
	else if (rules)
		FUZZ_CHECK(anonymize_any(&r));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = {"anonymize", "early", "mtu", "template", NULL};
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
	FUZZ_CHECK((u.n_hosts == 0) == (*u.hosts == '\0') &&
		   strncmp(u.hosts, u.host, *u.hosts == '[' ? 0 : strlen(u.host)) == 0);
	FUZZ_CHECK(u.n_options <= URI_OPTIONS_MAX && strcmp(u.text, text) == 0);
	FUZZ_CHECK(uri_number(&u, "mtu", range, &n, err, sizeof(err)) || (n >= 1 && n <= 9));
	fuzz_anonymize(&u);
	(void)uri_check_options(&u, names, err, sizeof(err));
	uri_deinit(&u);
	return 0;
}
