/* SPDX-License-Identifier: Apache-2.0 */
/* Values of rules that are numbers: ports, amounts, risks, versions. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "rules/rules_internal.h"

#define RULES_COUNT(array) (sizeof(array) / sizeof(array[0]))

/* ---- ports and VLANs ---- */

/* "443" or "8000-8100". */
static bool rules_range(const char *text, unsigned long most, struct rules_range *r)
{
	unsigned long first, last;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	first = last = strtoul(text, &end, 10);
	if (*end == '-') {
		text = end + 1;
		if (*text < '0' || *text > '9')
			return false;
		last = strtoul(text, &end, 10);
	}
	if (*end || first > last || last > most)
		return false;
	r->first = (uint16_t)first;
	r->last = (uint16_t)last;
	return true;
}

static int rules_add_range(struct rules_loader *l, struct rules_ports *ports, struct rules_range r)
{
	void *ranges = rules_room(ports->ranges, ports->n, sizeof(r));

	if (!ranges)
		return rules_no_memory(l);
	ports->ranges = ranges;
	ports->ranges[ports->n++] = r;
	return 0;
}

static int rules_add_port(struct rules_loader *l, const struct rules_item *item, void *arg)
{
	struct rules_range r = {.negated = item->negated};

	if (!rules_range(item->text, 65535, &r))
		return rules_item_error(l, item, "%s is not a port or a range such as 8000-8100", item->text);
	return rules_add_range(l, arg, r);
}

static int rules_add_vlan(struct rules_loader *l, const struct rules_item *item, void *arg)
{
	struct rules_range r = {.negated = item->negated};

	if (!rules_range(item->text, 4095, &r))
		return rules_item_error(l, item, "%s is not a VLAN, 0 to 4095, or a range such as 100-199", item->text);
	return rules_add_range(l, arg, r);
}

int rules_load_ports(struct rules_loader *l, const struct yaml_node *value, struct rules_ports *out)
{
	out->given = true;
	return rules_each(l, value, &out->positive, rules_add_port, out);
}

int rules_load_vlans(struct rules_loader *l, const struct yaml_node *value, struct rules_ports *out)
{
	out->given = true;
	return rules_each(l, value, &out->positive, rules_add_vlan, out);
}

/* ---- layer 4 ---- */

static int rules_add_l4(struct rules_loader *l, const struct rules_item *item, void *arg)
{
	static const struct {
		const char *name;
		uint8_t number;
	} names[] = {{"tcp", 6}, {"udp", 17}, {"icmp", 1}, {"icmp6", 58}, {"sctp", 132}, {"gre", 47}, {"esp", 50}};
	struct rules_match *m = arg;
	uint64_t n = 0;
	bool ok = rules_digits(item->text, 255, &n);

	for (size_t i = 0; i < RULES_COUNT(names); i++)
		if (strcmp(names[i].name, item->text) == 0) {
			n = names[i].number;
			ok = true;
		}
	if (!ok)
		return rules_item_error(
			l, item, "%s is not tcp, udp, icmp, icmp6, sctp, gre, esp or a number up to 255", item->text);
	if (item->negated)
		return rules_item_error(l, item, "l4 takes no negation");
	m->l4[n / 64] |= UINT64_C(1) << (n % 64);
	return 0;
}

int rules_load_l4(struct rules_loader *l, const struct yaml_node *value, struct rules_match *m)
{
	m->l4_given = true;
	return rules_each(l, value, NULL, rules_add_l4, m);
}

/* ---- risks ---- */

static const struct {
	uint8_t bit;
	const char *word, *printed;
} rules_risks[] = {
#define RISK(bit, word, printed) {bit, word, printed},
#include "rules/risks.def"
#undef RISK
};

const char *rules_risk_word(unsigned bit)
{
	for (size_t i = 0; i < RULES_COUNT(rules_risks); i++)
		if (rules_risks[i].bit == bit)
			return rules_risks[i].word;
	return NULL;
}

/* Letter case is free, and so is - for _. */
static bool rules_risk_is(size_t i, const char *text)
{
	const char *word = rules_risks[i].word;

	if (strcasecmp(rules_risks[i].printed, text) == 0)
		return true;
	for (; *word && *text; word++, text++) {
		char c = (char)(*text == '-' ? '_' : *text >= 'A' && *text <= 'Z' ? *text | 32 : *text);

		if (*word != c)
			return false;
	}
	return !*word && !*text;
}

/* Short names first: of two that are as near they are meant. */
static const char *rules_risk_name(const void *arg, size_t i)
{
	(void)arg;
	return i < RULES_COUNT(rules_risks) ? rules_risks[i].word : rules_risks[i - RULES_COUNT(rules_risks)].printed;
}

static int rules_add_risk(struct rules_loader *l, const struct rules_item *item, void *arg)
{
	struct rules_match *m = arg;
	uint64_t bit = 64;
	const char *near;

	(void)rules_digits(item->text, UINT64_MAX, &bit);
	if (bit > 63 && *item->text >= '0' && *item->text <= '9')
		return rules_item_error(l, item, "%s is not a risk's bit, 0 to 63", item->text);
	for (size_t i = 0; bit > 63 && i < RULES_COUNT(rules_risks); i++)
		if (rules_risk_is(i, item->text))
			bit = rules_risks[i].bit;
	if (bit > 63) {
		near = nearest_name(item->text, rules_risk_name, NULL, 2 * RULES_COUNT(rules_risks));
		return rules_item_error(l, item, "%s is no risk of nDPI 4.2%s%s%s", item->text,
					near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
	}
	if (item->negated)
		m->no_risks |= UINT64_C(1) << bit;
	else
		m->risks |= UINT64_C(1) << bit;
	return 0;
}

int rules_load_risk(struct rules_loader *l, const struct yaml_node *value, struct rules_match *m)
{
	return rules_each(l, value, &m->risk_positive, rules_add_risk, m);
}

/* ---- direction ---- */

static int rules_add_direction(struct rules_loader *l, const struct rules_item *item, void *arg)
{
	static const char *const words[] = {"in", "out", "internal"};
	struct rules_match *m = arg;
	int i = rules_item_word(l, item, "direction", words, RULES_COUNT(words));

	if (i < 0)
		return i;
	if (item->negated)
		return rules_item_error(l, item, "direction takes no negation");
	m->directions |= (uint8_t)(1u << i);
	return 0;
}

int rules_load_direction(struct rules_loader *l, const struct yaml_node *value, struct rules_match *m)
{
	if (!l->set->home.given)
		return rules_error(l, value, "direction needs home_nets, and there are none");
	return rules_each_plain(l, value, rules_add_direction, m);
}

/* ---- amounts ---- */

int rules_load_amount(struct rules_loader *l, const struct yaml_node *value, const char *what, rules_read_fn *read,
		      struct rules_amount *out)
{
	static const char *const names[] = {"min", "max", NULL};
	const struct yaml_node *min, *max;
	int rc = 0;

	*out = (struct rules_amount){.given = true, .most = UINT64_MAX};
	if (value->kind == YAML_SCALAR)
		return read(l, value, what, &out->least);
	if (value->kind == YAML_LIST)
		return rules_error(l, value, "%s is a number, the least, or {min: A, max: B}", what);
	rc = rules_check_keys(l, value, names, what);
	min = yaml_get(value, "min");
	max = yaml_get(value, "max");
	if (!rc && !min && !max)
		return rules_error(l, value, "%s needs min, max or both", what);
	if (!rc && min)
		rc = read(l, min, "min", &out->least);
	if (!rc && max)
		rc = read(l, max, "max", &out->most);
	if (!rc && out->least > out->most)
		return rules_error(l, max, "max is less than min");
	return rc;
}

int rules_load_score(struct rules_loader *l, const struct yaml_node *node, const char *what, uint64_t *out)
{
	return rules_number(l, node, what, UINT16_MAX, out);
}

static int rules_read_tls_version(struct rules_loader *l, const struct yaml_node *node, const char *what, uint64_t *out)
{
	static const char *const words[] = {"ssl3", "1.0", "1.1", "1.2", "1.3"};
	int i = rules_word(l, node, what, words, RULES_COUNT(words));

	*out = 0x0300 + (uint64_t)i;
	return i < 0 ? i : 0;
}

/* A version alone is that one. */
int rules_load_tls_version(struct rules_loader *l, const struct yaml_node *value, struct rules_amount *out)
{
	int rc = rules_load_amount(l, value, "tls_version", rules_read_tls_version, out);

	if (!rc && value->kind == YAML_SCALAR)
		out->most = out->least;
	return rc;
}
