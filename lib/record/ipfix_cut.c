/* SPDX-License-Identifier: Apache-2.0 */
/* What is done with a record that is longer than a message: ipfix_writer.h has the rule. */
#include <string.h>

#include "record/ipfix_writer_internal.h"

enum writer_cut ipfix_cut_kind(unsigned field)
{
	switch (field) {
	case L7_F_applicationName:
	case L7_F_l7ProtocolName:
	case L7_F_applicationCategoryName:
	case L7_F_l7ProtocolCategory:
		return WRITER_CUT_NEVER;
	case L7_F_tlsJa3Client:
	case L7_F_tlsJa3Server:
	case L7_F_tlsJa4Client:
	case L7_F_sshHasshClient:
	case L7_F_sshHasshServer:
	case L7_F_communityId:
		return WRITER_CUT_AWAY;
	default:
		return WRITER_CUT_SHORT;
	}
}

static bool cut_is_text(const struct writer_step *s)
{
	return (s->type == L7_TYPE_TEXT || s->type == L7_TYPE_ALIAS_TEXT) && !s->fixed;
}

static fbVarfield_t cut_text(const struct ipfix_writer *w, const struct writer_step *s)
{
	fbVarfield_t v;

	memcpy(&v, w->record + s->to, sizeof(v));
	return v;
}

/* What is left of a text, which is UTF-8, if the longest may be so long. */
static size_t cut_len(const struct writer_step *s, const fbVarfield_t *v, size_t longest)
{
	if (v->len <= longest || s->cut == WRITER_CUT_NEVER)
		return v->len;
	if (s->cut == WRITER_CUT_AWAY)
		return 0;
	while (longest && (v->buf[longest] & 0xc0) == 0x80)
		longest--;
	return longest;
}

/* Octets of the record in a message then (RFC 7011 section 7). */
static size_t cut_size(const struct ipfix_writer *w, const struct writer_layout *layout, size_t longest)
{
	size_t size = layout->fixed_size;

	for (size_t i = 0; i < layout->n; i++) {
		const struct writer_step *s = &layout->steps[i];

		if (cut_is_text(s)) {
			fbVarfield_t v = cut_text(w, s);
			size_t len = cut_len(s, &v, longest);

			size += len + (len < 255 ? 1 : 3);
		}
	}
	return size;
}

bool ipfix_cut(struct ipfix_writer *w, const struct writer_layout *layout)
{
	size_t room = w->config.message_max - IPFIX_HEADER - WRITER_SET_HEADER;
	size_t fits = 0, more = L7_STRING_MAX;

	if (cut_size(w, layout, 0) > room)
		return false;
	while (more - fits > 1) {
		size_t middle = (fits + more) / 2;

		if (cut_size(w, layout, middle) <= room)
			fits = middle;
		else
			more = middle;
	}
	for (size_t i = 0; i < layout->n; i++) {
		const struct writer_step *s = &layout->steps[i];

		if (cut_is_text(s)) {
			fbVarfield_t v = cut_text(w, s);

			v.len = cut_len(s, &v, fits);
			memcpy(w->record + s->to, &v, sizeof(v));
		}
	}
	return true;
}
