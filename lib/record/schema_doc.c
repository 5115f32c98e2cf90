/* SPDX-License-Identifier: Apache-2.0 */
/* Prints docs/record.schema.json from the table of fields. A test compares it with what is committed. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "l7/fields.h"

#define SCHEMA_MAX (1u << 20)

/* Of every record, whatever its flow is. */
static const uint8_t schema_required[] = {
	L7_F_flowId,
	L7_F_flowStartMilliseconds,
	L7_F_flowEndMilliseconds,
	L7_F_sourceIPv4Address,
	L7_F_destinationIPv4Address,
	L7_F_sourceTransportPort,
	L7_F_destinationTransportPort,
	L7_F_protocolIdentifier,
	L7_F_packetDeltaCount,
	L7_F_octetDeltaCount,
	L7_F_reversePacketDeltaCount,
	L7_F_reverseOctetDeltaCount,
	L7_F_flowEndReason,
	L7_F_samplingInterval,
	L7_F_applicationName,
	L7_F_masterName,
	L7_F_applicationPart,
	L7_F_appConfidence,
	L7_F_masterConfidence,
	L7_F_streamId,
	L7_F_recordSequence,
};

static void schema_words(struct buf *b, const char *(*name)(unsigned), unsigned n)
{
	buf_str(b, "\"enum\":[");
	for (unsigned i = 0; i < n; i++) {
		if (i)
			buf_char(b, ',');
		buf_json(b, name(i), strlen(name(i)));
	}
	buf_char(b, ']');
}

static void schema_type(struct buf *b, enum l7_type type)
{
	switch (type) {
	case L7_TYPE_U8:
		buf_str(b, "\"type\":\"integer\",\"minimum\":0,\"maximum\":255");
		break;
	case L7_TYPE_U16:
		buf_str(b, "\"type\":\"integer\",\"minimum\":0,\"maximum\":65535");
		break;
	case L7_TYPE_U32:
		buf_str(b, "\"type\":\"integer\",\"minimum\":0,\"maximum\":4294967295");
		break;
	case L7_TYPE_APPID:
		buf_str(b, "\"type\":\"integer\",\"minimum\":0,\"maximum\":16777215");
		break;
	case L7_TYPE_ID64:
		buf_str(b, "\"type\":\"string\",\"pattern\":\"^[0-9]{1,20}$\"");
		break;
	case L7_TYPE_IP4:
	case L7_TYPE_IP:
		buf_str(b, "\"type\":\"string\",\"anyOf\":[{\"format\":\"ipv4\"},{\"format\":\"ipv6\"}]");
		break;
	case L7_TYPE_MAC:
		buf_str(b, "\"type\":\"string\",\"pattern\":\"^([0-9a-f]{2}:){5}[0-9a-f]{2}$\"");
		break;
	case L7_TYPE_CONF:
		schema_words(b, l7_confidence_name, L7_CONF_COUNT);
		break;
	case L7_TYPE_REASON:
		schema_words(b, l7_end_reason_name, L7_END_COUNT);
		break;
	case L7_TYPE_TUNNEL:
		schema_words(b, l7_tunnel_name, L7_TUNNEL_COUNT);
		break;
	case L7_TYPE_STATE:
		buf_str(b,
			"\"type\":\"string\",\"pattern\":\"^(final|early|last|midstream)(,(early|last|midstream))*$\"");
		break;
	case L7_TYPE_TEXT:
		buf_str(b, "\"type\":\"string\",\"minLength\":1");
		break;
	default:
		buf_str(b, "\"type\":\"integer\",\"minimum\":0");
	}
}

static void schema_properties(struct buf *b)
{
	const char *comma = "";

	for (size_t i = 0; i < L7_FIELD_COUNT; i++) {
		const struct l7_field_info *f = &l7_fields[i];

		if (!f->json)
			continue;
		buf_printf(b, "%s\n    \"%s\": {", comma, f->json);
		schema_type(b, (enum l7_type)f->type);
		buf_str(b, ",\"description\":");
		buf_json(b, f->description, strlen(f->description));
		buf_char(b, '}');
		comma = ",";
	}
}

int main(void)
{
	struct buf b;

	buf_init(&b, SCHEMA_MAX);
	buf_str(&b, "{\n  \"$schema\": \"http://json-schema.org/draft-07/schema#\",\n"
		    "  \"title\": \"Flow record of l7probe\",\n"
		    "  \"description\": \"One object per line. What a flow does not have is left out.\",\n"
		    "  \"type\": \"object\",\n  \"additionalProperties\": false,\n  \"required\": [");
	for (size_t i = 0; i < sizeof(schema_required); i++)
		buf_printf(&b, "%s\n    \"%s\"", i ? "," : "", l7_fields[schema_required[i]].json);
	buf_str(&b, "\n  ],\n  \"properties\": {");
	schema_properties(&b);
	buf_str(&b, "\n  }\n}\n");
	if (b.failed || fwrite(b.data, 1, b.len, stdout) != b.len)
		return 1;
	buf_deinit(&b);
	return fflush(stdout) ? 1 : 0;
}
