/* SPDX-License-Identifier: Apache-2.0 */
#include "l7/fields.h"

#include <string.h>

#define PEN_IANA L7_PEN_IANA
#define PEN_REVERSE L7_PEN_REVERSE
#define PEN_NTOP L7_PEN_NTOP
#define PEN_OWN L7_PEN_OWN
#define PEN_NONE L7_PEN_NONE
#define VARLEN L7_VARLEN

const struct l7_field_info l7_fields[L7_FIELD_COUNT] = {
#define L7_FIELD(ipfix_name, member, kind, enterprise, element, octets, v9id, v9octets, json_key, text)                \
	{.name = #ipfix_name,                                                                                          \
	 .json = json_key,                                                                                             \
	 .description = text,                                                                                          \
	 .pen = PEN_##enterprise,                                                                                      \
	 .ie = element,                                                                                                \
	 .len = octets,                                                                                                \
	 .v9 = v9id,                                                                                                   \
	 .v9len = v9octets,                                                                                            \
	 .offset = offsetof(struct l7_record, member),                                                                 \
	 .size = sizeof(((struct l7_record *)0)->member),                                                              \
	 .type = L7_TYPE_##kind},
#include "fields.def"
#undef L7_FIELD
};

/* The width of a member must be what its type says: everything that reads or writes a member relies on it. */
#define WIDTH_U8 1
#define WIDTH_U16 2
#define WIDTH_U32 4
#define WIDTH_U64 8
#define WIDTH_ID64 8
#define WIDTH_MSEC 8
#define WIDTH_IP4 16
#define WIDTH_IP6 16
#define WIDTH_APPID 4
#define WIDTH_CONF 1
#define WIDTH_REASON 1
#define WIDTH_STATE 1
#define WIDTH_TEXT sizeof(struct l7_text)
#define WIDTH_ALIAS_TEXT sizeof(struct l7_text)
#define WIDTH_ALIAS_U16 4
#define WIDTH_ALIAS_MS 4
#define WIDTH_ALIAS_HALF_MS 4
#define WIDTH_MAC 6
#define WIDTH_IP 16
#define WIDTH_TUNNEL 1
#define L7_FIELD(ipfix_name, member, kind, enterprise, element, octets, v9id, v9octets, json_key, text)                \
	_Static_assert(sizeof(((struct l7_record *)0)->member) == WIDTH_##kind, "width of " #member);
#include "fields.def"
#undef L7_FIELD

int l7_field_by_name(const char *name)
{
	for (int i = 0; i < L7_FIELD_COUNT; i++)
		if (strcmp(l7_fields[i].name, name) == 0)
			return i;
	return -1;
}

int l7_field_by_element(uint32_t pen, uint16_t ie, uint32_t own_pen)
{
	for (int i = 0; i < L7_FIELD_COUNT; i++) {
		uint32_t row = l7_fields[i].pen == L7_PEN_OWN ? own_pen : l7_fields[i].pen;

		if (row == pen && row != L7_PEN_NONE && l7_fields[i].ie == ie)
			return i;
	}
	return -1;
}
