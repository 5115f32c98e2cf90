/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints the flow records of an IPFIX file as libfixbuf reads them: one object per line, keys are the elements' names. Numbers
 * are numbers; texts and octets are in hexadecimal, so that nothing between the file and the reader of this can change them.
 *
 *   fixbuf_print FILE
 */
#include <stdio.h>
#include <stdlib.h>

#include "../unit/fixbuf_oracle.h"

static void print_hex(const uint8_t *at, size_t len)
{
	putchar('"');
	for (size_t i = 0; i < len; i++)
		printf("%02x", at[i]);
	putchar('"');
}

static void print_value(const struct oracle *o, enum l7_field f)
{
	const uint8_t *at = o->record + o->offset[f];
	fbVarfield_t text;

	switch (l7_fields[f].type) {
	case L7_TYPE_TEXT:
	case L7_TYPE_ALIAS_TEXT:
		text = oracle_text(o, f);
		print_hex(text.buf, text.len);
		break;
	case L7_TYPE_IP6:
	case L7_TYPE_APPID:
	case L7_TYPE_MAC:
	case L7_TYPE_IP:
		print_hex(at, l7_fields[f].len);
		break;
	default:
		printf("%llu", (unsigned long long)oracle_number(o, f));
	}
}

static void print_flow(struct oracle *o, void *arg)
{
	const char *comma = "";

	(void)arg;
	putchar('{');
	for (unsigned f = 0; f < L7_FIELD_COUNT; f++) {
		if (l7_fields[f].pen == L7_PEN_NONE)
			continue;
		printf("%s\"%s\":", comma, l7_fields[f].name);
		print_value(o, (enum l7_field)f);
		comma = ",";
	}
	puts("}");
}

int main(int argc, char **argv)
{
	static uint8_t message[65536];
	FILE *in = argc == 2 ? fopen(argv[1], "rb") : NULL;
	struct oracle o;

	if (!in || !oracle_init(&o, L7_PEN_OWN)) {
		fprintf(stderr, "usage: fixbuf_print FILE\n");
		return 1;
	}
	o.flow = print_flow;
	while (fread(message, 1, 4, in) == 4) {
		size_t len = (size_t)message[2] << 8 | message[3];

		if (len <= 16 || fread(message + 4, 1, len - 4, in) != len - 4 || !oracle_message(&o, message, len)) {
			fprintf(stderr, "%s: a message that cannot be read\n", argv[1]);
			return 1;
		}
	}
	oracle_deinit(&o);
	fclose(in);
	return fflush(stdout) ? 1 : 0;
}
