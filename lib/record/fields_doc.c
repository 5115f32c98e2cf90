/* SPDX-License-Identifier: Apache-2.0 */
/* Prints docs/fields.md from the table of fields and the template profiles. A test compares it with what is committed. */
#include <stdio.h>
#include <string.h>

#include "l7/fields.h"
#include "record/profile.h"

static const char *const doc_types[] = {
	[L7_TYPE_U8] = "number",
	[L7_TYPE_U16] = "number",
	[L7_TYPE_U32] = "number",
	[L7_TYPE_U64] = "number",
	[L7_TYPE_ID64] = "string of digits",
	[L7_TYPE_MSEC] = "number",
	[L7_TYPE_IP4] = "string",
	[L7_TYPE_IP6] = "string",
	[L7_TYPE_APPID] = "number",
	[L7_TYPE_CONF] = "word",
	[L7_TYPE_REASON] = "word",
	[L7_TYPE_STATE] = "words, joined by commas",
	[L7_TYPE_MAC] = "string",
	[L7_TYPE_IP] = "string",
	[L7_TYPE_TUNNEL] = "word",
	[L7_TYPE_TEXT] = "string",
};

static const char doc_start[] = "<!-- Made by build/release/bin/fields_doc from templates/; do not edit. -->\n"
				"# Fields of a flow record\n"
				"\n"
				"One record is one flow, both directions: the source is the initiator, `rev_` counts "
				"what came back. Counters are of\n"
				"this record only (deltas): a long flow has several records with one `flow_id`, and "
				"their sums are the flow's.\n"
				"\n"
				"An **early** record (`early=1` on an output) comes as soon as classification is "
				"final, with the counters until then and\n"
				"`end_reason` active; the records after it carry only what came later. An output "
				"without `early=1` gets the same sums\n"
				"without the early record.\n"
				"\n"
				"## JSON\n"
				"\n"
				"One object per line, keys in this order. What a flow does not have is left out: no "
				"`tcp_flags` without TCP, no `sni`\n"
				"where none was seen, no `vlan_id` untagged, no `risks` without one. 64-bit "
				"identifiers and bitmaps are strings,\n"
				"because many readers of JSON round numbers past 2^53. Octets from the network that "
				"are no UTF-8 become U+FFFD.\n"
				"`record.schema.json` beside this file says the same as a JSON Schema.\n"
				"\n"
				"| key | value | meaning |\n"
				"|---|---|---|\n";

static const char doc_words[] =
	"\n"
	"Words of `confidence` and `master_confidence`, from nothing to sight: `none` `port` `ip` `partial` `cache` "
	"`dpi`. Below\n"
	"`cache` a protocol is a guess.\n"
	"`state` holds any of `final` (classification is final) `early` `last` (the flow ends here) `midstream` "
	"(picked up in the\n"
	"middle). `end_reason`: `idle` `active` `end` `forced` `resources`.\n"
	"\n"
	"Sizes, times between packets and TTLs are of the packets of the record; those of an early record are in the "
	"record after it\n"
	"too, its retransmissions and the like are not. A time between packets is from one packet to the next of the "
	"same direction,\n"
	"4294967295 if it is that or more; a record with fewer than two has none. MAC addresses, `rev_tos` and round "
	"trips are the\n"
	"flow's, in each of its records. A segment is `out_of_order` if it fills a gap less than a handshake round "
	"trip "
	"(3 ms where\n"
	"none was seen) after the gap came to be; any other that begins before the end of what was seen is a "
	"retransmission, but for\n"
	"keep-alives. What no output carries is not measured.\n"
	"\n"
	"## IPFIX\n"
	"\n"
	"Enterprise 29305 marks the reverse direction (RFC 5103), 35632 is ntop's with ntop's numbers and meanings. "
	"*pen* is\n"
	"the number of the `pen` setting, 32473 (for documentation) by default. Length `v` is variable. A template has "
	"a place for\n"
	"every field: what a flow does not have is 0 or empty there, so `dns_answer_code` 0 with `dns_answers` 0 may "
	"be "
	"no answer. An end of a\n"
	"tunnel is an IPv6 address, one of IPv4 as ::ffff:a.b.c.d: it may be of another version than the flow. "
	"`tunnel` "
	"is the\n"
	"place of its word in the list above, from ipip 1 on.\n"
	"\n"
	"NetFlow v9 has the elements with a number in that column, each in so many octets: a text is cut or padded "
	"with zeros, "
	"times are\n"
	"those of `sysUptime` ([interop.md](interop.md)). Others are left out of its templates.\n"
	"\n"
	"| element | enterprise | id | octets | NetFlow v9 | JSON key | nProbe's name |\n"
	"|---|---|---|---|---|---|---|\n";

static const char doc_templates[] =
	"\n"
	"### Templates\n"
	"\n"
	"`-t` or `template=` is one of these names, a file (with a `/` in it, or ending in `.tmpl`), or a list joined "
	"by "
	"commas\n"
	"or spaces. Names are those above, or nProbe's (`%IPV4_SRC_ADDR`; the `%` may be left out, and in a URI it "
	"must be, or be\n"
	"written `%25`). In a file `#` starts a comment. There is one template for IPv4 flows and one for IPv6, the\n"
	"same but for the addresses: it is enough to list those of one family. What only flows in a tunnel have "
	"(`tunnelKind`,\n"
	"`tunnelId`, `outer...Address`) is in templates for these; the records of others do not carry it. Their "
	"numbers follow from "
	"their fields\n"
	"([interop.md](interop.md#templates)).\n"
	"Autonomous systems, countries, cities and their names are in the templates below only if a file of `--geoip` "
	"has "
	"them, but for `full`\n"
	"and lists of your own, which are as they are\n"
	"([outputs.md](outputs.md#where-an-address-belongs-to)).\n"
	"\n"
	"With `octetDeltaCount` or `packetDeltaCount` and neither counter of the reverse direction, each direction of "
	"a "
	"flow is\n"
	"a record of its own, so that sums are right; a direction without packets has none. Both carry the `flowId` "
	"and, "
	"if it is\n"
	"listed, the same `recordSequence`; `biflowDirection` is 1 from the initiator and 2 to it, 0 in both where the "
	"flow "
	"was\n"
	"picked up in the middle.\n";

static const char doc_end[] =
	"\n"
	"applicationId is the octet 22 (engine nDPI, RFC 6759) and the 24-bit nDPI number of the application. Numbers "
	"differ\n"
	"between versions of nDPI, names do not: match on applicationName.\n"
	"\n"
	"Options records, sent after the templates at the start of every connection and file, and again every "
	"`refresh` "
	"seconds over\n"
	"UDP. Statistics and what the probe is are also sent at each heartbeat and at the end, behind the flow records "
	"they count; over\n"
	"UDP with the templates of both, so that a collector that has just been started knows the probe within a "
	"heartbeat.\n"
	"\n"
	"| template | scope | elements |\n"
	"|---|---|---|\n"
	"| 258, the application table (RFC 6759) | applicationId 95 (4) | applicationName 96 (24, zero padded), "
	"applicationDescription 94 (55, zero padded) |\n"
	"| 259, the name of the probe | observationDomainId 149 (4) | observationDomainName 300 (v) |\n"
	"| 260, types of the template's elements of enterprises (RFC 5610) | privateEnterpriseNumber 346 (4), "
	"informationElementId 303 (2) | informationElementDataType 339 (1), informationElementSemantics 344 (1), "
	"informationElementName 341 (v), informationElementDescription 340 (v) |\n"
	"| 261, statistics since systemInitTimeMilliseconds | observationDomainId 149 (4) | systemInitTimeMilliseconds "
	"160 "
	"(8), exportedFlowRecordTotalCount 42 (8), notSentFlowTotalCount 166 (8), packetTotalCount 86 (8): packets "
	"seen, "
	"droppedPacketTotalCount 135 (8): by kernel or interface, ignoredPacketTotalCount 164 (8): seen, but in no "
	"flow |\n"
	"| 262, the interface captured on | ingressInterface 10 (4) | interfaceName 82 (v) |\n"
	"| 265, the probe, if the template has an element of an enterprise | observationDomainId 149 (4) | "
	"observationDomainName 300 (v), streamId *pen*:5 (8), probeVersion *pen*:7 (v), probeSite *pen*:8 (v), as "
	"`--site` "
	"has it, spooledFlowRecordCount *pen*:9 (8): waiting in the spool, recoveredFlowRecordCount *pen*:10 (8): left "
	"in it by "
	"an earlier run, they are among the exported ones and have another streamId |\n"
	"| 271, with sampling: as in each record | observationDomainId 149 (4) | samplingInterval 34 (4) |\n"
	"| 272, with `--sample-packets` (RFC 5477) | selectorId 302 (8): 1 | selectorAlgorithm 304 (2): 4, uniform "
	"probabilistic, "
	"samplingProbability 311 (8, float64) |\n"
	"| 273, with `--sample-flows` (RFC 7014) | selectorId 302 (8): 2 | flowSelectorAlgorithm 390 (2): 4, uniform "
	"probabilistic, "
	"samplingProbability 311 (8, float64) |\n"
	"\n"
	"IANA has no element for a version or a site of an exporter. Its clock is the export time of the message.\n"
	"\n"
	"A record is known by exporter, streamId and recordSequence: what a receiver got twice after a reconnect shows "
	"there, and\n"
	"what it never got. The sequence number of the message header counts per connection (RFC 7011 section 3.1).\n"
	"\n"
	"### Options of the IPFIX and NetFlow outputs\n"
	"\n"
	"| option | of | default | meaning |\n"
	"|---|---|---|---|\n"
	"| `early=` | all outputs | 0 | 1: early records too |\n"
	"| `anonymize=` | all outputs | nothing | what is hidden, as `clients:hash,sni:drop`: [privacy.md](privacy.md) "
	"|\n"
	"| `anonymize_key=` | all outputs | none | file of the key for it |\n"
	"| `app=`, `category=`, `hosts=` | all outputs | all records | which records: [outputs.md](outputs.md) |\n"
	"| `template=` | all IPFIX outputs, netflow9+udp | what `-t` says | fields: see Templates |\n"
	"| `domain=` | all | the probe's | observation domain in the message headers: source id of NetFlow v9; engine "
	"type and id of "
	"v5, 0 to 65535 |\n"
	"| `app_name=` | all IPFIX outputs | varlen | `fixed32`: applicationName and applicationCategoryName as 32 "
	"octets, zero padded |\n"
	"| `heartbeat=` | all IPFIX outputs | 10, of a file 0 | seconds after which statistics are sent again, also "
	"without a record, "
	"up to 3600; 0: once a minute, in Kafka never |\n"
	"| `queue=` | all | 16777216 | octets kept in memory until sent; when full, capturing drops "
	"the newest "
	"records and counts them, reading a file waits |\n"
	"| `balance=`, `failover=`, `away=` | ipfix+udp, netflow9+udp, ipfix+tcp, ipfix+tls | all get all | the group "
	"that shares "
	"records: "
	"[outputs.md](outputs.md) |\n"
	"| `spool=` | ipfix+tcp, ipfix+tls | none | directory, with its whole path, for what waits to be sent: "
	"[operations.md](operations.md). One output each. Its messages wait up to 200 ms for more records |\n"
	"| `spool_size=` | with `spool` | 1073741824 | octets on disk; when full, capturing drops the oldest records "
	"and counts "
	"them, reading a file waits |\n"
	"| `spool_age=` | with `spool` | 86400 | seconds after which what waits is dropped, 0 never |\n"
	"| `spool_sync=` | with `spool` | 200 | milliseconds after which what was written is made durable, 0 at once "
	"|\n"
	"| `ca=`, `cert=`, `key=`, `crl=`, `name=` | ipfix+tls | none | certificates: [tls.md](tls.md) |\n"
	"| `mtu=` | all over UDP | 1400 | MTU of the path, 512 at least; messages are 48 octets shorter. What is "
	"longer: [outputs.md](outputs.md#records-that-are-too-long) |\n"
	"| `refresh=` | ipfix+udp, netflow9+udp | 60 | seconds after which templates are sent again; NetFlow v9 does "
	"so after 1,000 "
	"datagrams, too |\n"
	"| `rate=` | all over UDP, ipfix+tcp, ipfix+tls | 0 | flow records per second at most, 0 for no limit: what "
	"has waited "
	"and what is new, "
	"one behind the other |\n"
	"| `source=` | all over UDP, ipfix+tcp, ipfix+tls | the kernel's choice | address of this machine to send "
	"from; "
	"of a name's "
	"addresses only those of its family are tried |\n"
	"| `times=` | netflow9+udp | uptime | `epoch`: 152 and 153, milliseconds since the epoch, in place of 22 and "
	"21 |\n"
	"\n"
	"Sent means: over UDP, given to the kernel; over TCP and TLS, acknowledged by the peer's TCP; to a file, "
	"written. "
	"What is said of IPFIX holds for messages in Kafka, too; that output has more options: [kafka.md](kafka.md). "
	"After\n"
	"a reconnect what was not acknowledged is sent again.\n";

static const char *doc_key(size_t f)
{
	while (!l7_fields[f].json) /* another row of the same member, before it, has the key */
		f--;
	return l7_fields[f].json;
}

static void doc_json(void)
{
	for (size_t i = 0; i < L7_FIELD_COUNT; i++)
		if (l7_fields[i].json)
			printf("| `%s` | %s | %s |\n", l7_fields[i].json, doc_types[l7_fields[i].type],
			       l7_fields[i].description);
}

static void doc_ipfix(void)
{
	for (size_t i = 0; i < L7_FIELD_COUNT; i++) {
		const struct l7_field_info *f = &l7_fields[i];
		const char *nprobe = profile_nprobe_name((unsigned)i);
		char pen[16], len[8], v9[24] = "";

		if (f->pen == L7_PEN_NONE)
			continue;
		snprintf(pen, sizeof(pen), "%u", f->pen);
		snprintf(len, sizeof(len), "%u", f->len);
		if (f->v9)
			snprintf(v9, sizeof(v9), "%u (%u)", f->v9, f->v9len);
		printf("| %s | %s | %u | %s | %s | `%s` | %s |\n", f->name,
		       f->pen == L7_PEN_OWN    ? "*pen*"
		       : f->pen == L7_PEN_IANA ? ""
					       : pen,
		       f->ie, f->len == L7_VARLEN ? "v" : len, v9, doc_key(i), nprobe ? nprobe : "");
	}
}

static const char *doc_about(const char *name)
{
	static const char *const about[][2] = {
		{"standard", "the default"},
		{"iana",
		 "no element of an enterprise, a record per direction, for collectors that drop what they do not "
		 "know"},
		{"ntop", "nProbe's fields and order, with ntop's elements for the protocol"},
		{"security",
		 "what an analyst wants: names asked for, certificates, fingerprints, risks, the Community ID"},
		{"full", "every field; more than Wireshark takes unless its `cflow.max_template_fields` is set to 0"},
	};

	for (size_t i = 0; i < sizeof(about) / sizeof(about[0]); i++)
		if (strcmp(about[i][0], name) == 0)
			return about[i][1];
	return "";
}

static void doc_profile(const struct profile *p)
{
	printf("\n**`%s`**: %s.", p->name, doc_about(p->name));
	for (size_t i = 0; i < p->n4; i++) {
		uint8_t row = p->v4[i];

		printf("%s%s", i % 5 ? " " : "\n", l7_fields[row].name);
		if (l7_fields[row].type == L7_TYPE_IP4) /* the row of the IPv6 address follows */
			printf("/%s", l7_fields[row + 1].name);
	}
	putchar('\n');
}

int main(void)
{
	static const uint64_t all[2] = {UINT64_MAX, UINT64_MAX};
	struct profile p;
	char err[256];

	fputs(doc_start, stdout);
	doc_json();
	fputs(doc_words, stdout);
	doc_ipfix();
	fputs(doc_templates, stdout);
	for (size_t i = 0; profile_name(i); i++) {
		if (profile_load_with(&p, profile_name(i), all, err, sizeof(err))) {
			fprintf(stderr, "%s\n", err);
			return 1;
		}
		doc_profile(&p);
	}
	fputs(doc_end, stdout);
	return fflush(stdout) ? 1 : 0;
}
