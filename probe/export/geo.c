/* SPDX-License-Identifier: Apache-2.0 */
#include "export/geo.h"

#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/utf8.h"
#include "export/geo_file.h"
#include "l7/fields.h"

#define GEO_CACHE 8192          /* addresses remembered: a power of two */
#define GEO_LOOKED_NODES 65536u /* of a file that is opened: to know what is in it */
#define GEO_LOOKED_PLACES 4096u
#define GEO_BITS 128

/* What is known of an address. Texts are in the files' memory. */
struct geo_place {
	uint8_t ip[16];
	const char *city;
	const char *as_name;
	uint32_t as; /* 0: not known */
	uint16_t city_len;
	uint16_t as_name_len;
	char country[2]; /* zeros: not known */
	uint8_t version; /* of the address: 4 or 6; 0: nothing is here */
};

struct geo {
	struct geo_file files[GEO_FILES_MAX];
	size_t n;
	struct geo_place cache[GEO_CACHE]; /* by a hash of the address: a newer one takes the place */
};

/* ---- what a file says ---- */

static bool geo_country(struct geo_place *p, const MMDB_entry_data_s *v)
{
	const char *s = v->utf8_string;

	if (v->type != MMDB_DATA_TYPE_UTF8_STRING || v->data_size != 2 || !isalpha((unsigned char)s[0]) ||
	    !isalpha((unsigned char)s[1]))
		return false;
	if (!p->country[0]) {
		p->country[0] = (char)toupper((unsigned char)s[0]);
		p->country[1] = (char)toupper((unsigned char)s[1]);
	}
	return true;
}

static bool geo_name(const char **name, uint16_t *len, const MMDB_entry_data_s *v)
{
	if (v->type != MMDB_DATA_TYPE_UTF8_STRING || v->data_size == 0)
		return false;
	if (!*name) {
		*name = v->utf8_string;
		*len = (uint16_t)(v->data_size < 4 * GEO_TEXT_MAX ? v->data_size : 4 * GEO_TEXT_MAX);
	}
	return true;
}

/* "AS64500", as IPinfo has it. 0: it is no such text. */
static uint64_t geo_as_text(const char *s, uint32_t len)
{
	uint64_t n = 0;

	if (len < 3 || len > 12 || s[0] != 'A' || s[1] != 'S')
		return 0;
	for (uint32_t i = 2; i < len; i++) {
		if (!isdigit((unsigned char)s[i]))
			return 0;
		n = n * 10 + (uint64_t)(s[i] - '0');
	}
	return n;
}

static bool geo_as(struct geo_place *p, const MMDB_entry_data_s *v)
{
	uint64_t n = 0;

	switch (v->type) {
	case MMDB_DATA_TYPE_UINT16:
		n = v->uint16;
		break;
	case MMDB_DATA_TYPE_UINT32:
		n = v->uint32;
		break;
	case MMDB_DATA_TYPE_UINT64:
		n = v->uint64;
		break;
	case MMDB_DATA_TYPE_UTF8_STRING:
		n = geo_as_text(v->utf8_string, v->data_size);
		break;
	default:
		break;
	}
	if (n == 0 || n > UINT32_MAX)
		return false;
	if (!p->as)
		p->as = (uint32_t)n;
	return true;
}

/* Where files have it: MaxMind's and DB-IP's, and IPinfo's. Of one kind a file is asked for the first that is of use in it. */
static const struct {
	enum geo_kind kind;
	const char *path[4];
} geo_paths[] = {
	{GEO_COUNTRY, {"country", "iso_code"}},
	{GEO_COUNTRY, {"country_code"}},
	{GEO_COUNTRY, {"country"}},
	{GEO_CITY, {"city", "names", "en"}},
	{GEO_CITY, {"city"}},
	{GEO_AS, {"autonomous_system_number"}},
	{GEO_AS, {"asn"}},
	{GEO_AS_NAME, {"autonomous_system_organization"}},
	{GEO_AS_NAME, {"as_name"}},
};
#define GEO_PATHS (sizeof(geo_paths) / sizeof(geo_paths[0]))

/* Adds what an entry has at a path to p, unless that is known. False: it has nothing of use there. */
static bool geo_read(MMDB_entry_s entry, size_t path, struct geo_place *p)
{
	MMDB_entry_data_s v;

	if (MMDB_aget_value(&entry, &v, geo_paths[path].path) != MMDB_SUCCESS || !v.has_data)
		return false;
	switch (geo_paths[path].kind) {
	case GEO_COUNTRY:
		return geo_country(p, &v);
	case GEO_CITY:
		return geo_name(&p->city, &p->city_len, &v);
	case GEO_AS:
		return geo_as(p, &v);
	default:
		return geo_name(&p->as_name, &p->as_name_len, &v);
	}
}

/* ---- opening ---- */

/* A walk over the first nodes of a file's tree, in the order of addresses. */
struct geo_look {
	bool found[GEO_PATHS];
	uint32_t last;
	unsigned nodes, places;
	uint32_t left[GEO_BITS + 1]; /* nodes to be looked at */
	size_t n;
};

static void geo_look_at(struct geo_look *l, MMDB_entry_s entry)
{
	struct geo_place ignored = {.version = 0};

	if (entry.offset == l->last) /* networks beside each other have the same */
		return;
	l->last = entry.offset;
	l->places++;
	for (size_t i = 0; i < GEO_PATHS; i++)
		l->found[i] = l->found[i] || geo_read(entry, i, &ignored);
}

/* False: the tree is damaged. */
static bool geo_look_half(struct geo_look *l, uint8_t type, uint64_t record, MMDB_entry_s entry)
{
	switch (type) {
	case MMDB_RECORD_TYPE_SEARCH_NODE:
		if (l->n > GEO_BITS)
			return false;
		l->left[l->n++] = (uint32_t)record;
		return true;
	case MMDB_RECORD_TYPE_DATA:
		geo_look_at(l, entry);
		return true;
	default:
		return type == MMDB_RECORD_TYPE_EMPTY;
	}
}

/* Finds out what is in an open file, from some of it. */
static int geo_look(struct geo_file *f, const char **wrong)
{
	struct geo_look l = {.last = UINT32_MAX, .n = 1};
	bool any = false;

	*wrong = "it is damaged";
	while (l.n && l.nodes++ < GEO_LOOKED_NODES && l.places < GEO_LOOKED_PLACES) {
		MMDB_search_node_s node;

		if (MMDB_read_node(&f->db, l.left[--l.n], &node) != MMDB_SUCCESS ||
		    !geo_look_half(&l, node.right_record_type, node.right_record, node.right_record_entry) ||
		    !geo_look_half(&l, node.left_record_type, node.left_record, node.left_record_entry))
			return -EINVAL;
	}
	for (size_t i = GEO_PATHS; i-- > 0;) {
		if (l.found[i])
			f->paths[geo_paths[i].kind] = (uint8_t)(i + 1);
		any = any || l.found[i];
	}
	*wrong = "it has neither countries, nor cities, nor autonomous systems";
	return any ? 0 : -EINVAL;
}

/* Makes f->fd a file that can be asked. */
static int geo_take(struct geo_file *f, const char **wrong)
{
	int rc = geo_file_map(f, wrong);

	return rc ? rc : geo_look(f, wrong);
}

int geo_open(struct geo **out, const char *const *files, size_t n, struct geo_stamp *stamps, char *err, size_t err_size)
{
	struct geo *g = n <= GEO_FILES_MAX ? calloc(1, sizeof(*g)) : NULL;
	int rc = 0;

	*out = NULL;
	if (!g) {
		snprintf(err, err_size, n > GEO_FILES_MAX ? "there may be %d files of geoip" : "no memory",
			 GEO_FILES_MAX);
		return n > GEO_FILES_MAX ? -EINVAL : -ENOMEM;
	}
	for (; g->n < n && !rc; g->n++) {
		const char *wrong = "no memory";
		struct geo_file *f = &g->files[g->n];

		rc = geo_file_copy(f, files[g->n], stamps ? &stamps[g->n] : NULL, &wrong);
		if (!rc)
			rc = geo_take(f, &wrong);
		if (rc)
			snprintf(err, err_size, "%s: %s", files[g->n], wrong);
	}
	if (rc) {
		geo_free(g);
		return rc;
	}
	*out = g;
	return 0;
}

void geo_free(struct geo *g)
{
	for (size_t i = 0; g && i < g->n; i++)
		geo_file_close(&g->files[i]);
	free(g);
}

bool geo_same(const char *const *files, size_t n, const struct geo_stamp *stamps)
{
	for (size_t i = 0; i < n; i++)
		if (!geo_file_same(files[i], &stamps[i]))
			return false;
	return true;
}

void geo_fields(const struct geo *g, uint64_t fields[2])
{
	static const uint8_t kinds[GEO_KINDS][2] = {
		[GEO_COUNTRY] = {L7_F_sourceCountry, L7_F_destinationCountry},
		[GEO_CITY] = {L7_F_sourceCity, L7_F_destinationCity},
		[GEO_AS] = {L7_F_bgpSourceAsNumber, L7_F_bgpDestinationAsNumber},
		[GEO_AS_NAME] = {L7_F_sourceAsName, L7_F_destinationAsName},
	};

	for (size_t i = 0; i < g->n; i++) {
		for (unsigned k = 0; k < GEO_KINDS; k++) {
			if (!g->files[i].paths[k])
				continue;
			l7_want(fields, kinds[k][0]);
			l7_want(fields, kinds[k][1]);
		}
	}
}

/* ---- handing over ---- */

int geo_send(const struct geo *g, int socket)
{
	int fds[GEO_FILES_MAX];

	for (size_t i = 0; i < g->n; i++)
		fds[i] = g->files[i].fd;
	return geo_file_send(fds, g->n, socket);
}

int geo_receive(struct geo **out, int socket)
{
	int fds[GEO_FILES_MAX], n = geo_file_receive(fds, GEO_FILES_MAX, socket), rc;
	const char *wrong;
	struct geo *g;

	*out = NULL;
	if (n < 0)
		return n;
	g = calloc(1, sizeof(*g));
	rc = g ? 0 : -ENOMEM;
	for (int i = 0; i < n; i++) {
		if (!g) {
			close(fds[i]);
			continue;
		}
		g->files[g->n].fd = fds[i];
		if (!rc)
			rc = geo_take(&g->files[g->n], &wrong);
		g->n++;
	}
	if (rc) {
		geo_free(g);
		return rc;
	}
	*out = g;
	return 0;
}

/* ---- addresses ---- */

/*
 * Addresses that only carry one of IPv4: mapped, compatible (and :: and ::1 with them), 6to4 and Teredo. Files answer for them with what
 * they know of that one, which is of a relay or a server, or of somebody else's.
 */
static bool geo_is_foreign(const uint8_t ip[16])
{
	static const uint8_t zeros[10], teredo[4] = {0x20, 0x01, 0, 0};

	if (memcmp(ip, zeros, sizeof(zeros)) == 0)
		return (ip[10] == 0 && ip[11] == 0) || (ip[10] == 0xff && ip[11] == 0xff);
	return (ip[0] == 0x20 && ip[1] == 0x02) || memcmp(ip, teredo, sizeof(teredo)) == 0;
}

static size_t geo_hash(const uint8_t ip[16], uint8_t version)
{
	uint64_t a, b;

	memcpy(&a, ip, sizeof(a));
	memcpy(&b, ip + 8, sizeof(b));
	a = (a ^ version) * UINT64_C(0x9e3779b97f4a7c15);
	a = (a ^ a >> 32 ^ b) * UINT64_C(0xd6e8feb86659fd93);
	return (size_t)(a >> 32) % GEO_CACHE;
}

/* Damage in a file is as if it had nothing to say. */
static void geo_ask(const struct geo_file *f, const uint8_t ip[16], uint8_t version, struct geo_place *p)
{
	struct sockaddr_in four = {.sin_family = AF_INET};
	struct sockaddr_in6 six = {.sin6_family = AF_INET6};
	MMDB_lookup_result_s found;
	int error;

	memcpy(&four.sin_addr, ip + 12, sizeof(four.sin_addr));
	memcpy(&six.sin6_addr, ip, sizeof(six.sin6_addr));
	found = MMDB_lookup_sockaddr(&f->db, version == 4 ? (struct sockaddr *)&four : (struct sockaddr *)&six, &error);
	for (unsigned k = 0; k < GEO_KINDS && error == MMDB_SUCCESS && found.found_entry; k++)
		if (f->paths[k])
			(void)geo_read(found.entry, f->paths[k] - 1u, p);
}

static const struct geo_place *geo_find(struct geo *g, const uint8_t ip[16], uint8_t version)
{
	struct geo_place *p = &g->cache[geo_hash(ip, version)];

	if (p->version == version && memcmp(p->ip, ip, sizeof(p->ip)) == 0)
		return p;
	memset(p, 0, sizeof(*p));
	memcpy(p->ip, ip, sizeof(p->ip));
	p->version = version;
	if (version == 6 && geo_is_foreign(ip))
		return p;
	for (size_t i = 0; i < g->n; i++)
		geo_ask(&g->files[i], ip, version, p);
	return p;
}

/* The fields of one end. */
struct geo_end {
	enum l7_field as, as_name, country, city;
};

static void geo_text(struct l7_record *r, enum l7_field f, const void *text, size_t len)
{
	char clean[GEO_TEXT_MAX];

	len = utf8_clean(clean, sizeof(clean), text, len);
	if (l7_record_text(r, l7_text_of(r, f), clean, len, L7_TEXT_MAX))
		l7_mark(r, f);
}

static void geo_fill_end(struct l7_record *r, const struct geo_place *p, const struct geo_end *e,
			 const uint64_t wanted[2])
{
	if (p->as && l7_wants(wanted, e->as)) {
		memcpy((char *)r + l7_fields[e->as].offset, &p->as, sizeof(p->as));
		l7_mark(r, e->as);
	}
	if (p->as_name && l7_wants(wanted, e->as_name))
		geo_text(r, e->as_name, p->as_name, p->as_name_len);
	if (p->country[0] && l7_wants(wanted, e->country))
		geo_text(r, e->country, p->country, sizeof(p->country));
	if (p->city && l7_wants(wanted, e->city))
		geo_text(r, e->city, p->city, p->city_len);
}

void geo_fill(struct geo *g, struct l7_record *r, const uint64_t wanted[2])
{
	static const struct geo_end ends[2] = {
		{L7_F_bgpSourceAsNumber, L7_F_sourceAsName, L7_F_sourceCountry, L7_F_sourceCity},
		{L7_F_bgpDestinationAsNumber, L7_F_destinationAsName, L7_F_destinationCountry, L7_F_destinationCity},
	};

	geo_fill_end(r, geo_find(g, r->src_ip, r->ip_version), &ends[0], wanted);
	geo_fill_end(r, geo_find(g, r->dst_ip, r->ip_version), &ends[1], wanted);
}
