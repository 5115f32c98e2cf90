/* SPDX-License-Identifier: Apache-2.0 */
/* Completion of options for shells, from the table of options: what an argument is, its placeholder says. */
#include <errno.h>
#include <string.h>

#include "base/conf.h"

/* How a shell completes the argument of one placeholder. Others are not completed. */
static const struct completion {
	const char *argument;
	const char *bash; /* a command that prints words, or arguments of compgen */
	const char *zsh;
	const char *fish;
} completions[] = {
	{"FILE", "-f", "_files", "-F"},
	{"TEMPLATE", "-f", "_files", "-F"},
	{"DIR", "-d", "_directories", "-F"},
	{"IFACE", "-W \"$(command ls /sys/class/net)\"", "_net_interfaces", "-a '(command ls /sys/class/net)'"},
	{"WHEN", "-W 'auto always never'", "(auto always never)", "-a 'auto always never'"},
	{"SHELL", "-W 'bash zsh fish'", "(bash zsh fish)", "-a 'bash zsh fish'"},
};

static const struct completion *completion_of(const struct conf_row *row)
{
	static const struct completion none = {"", "-W ''", " ", ""};

	for (size_t i = 0; row->argument && i < sizeof(completions) / sizeof(completions[0]); i++)
		if (strcmp(completions[i].argument, row->argument) == 0)
			return &completions[i];
	return &none;
}

static void completion_bash(const struct conf *c, FILE *out)
{
	fprintf(out, "_%s() {\n\tlocal current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n",
		c->program);
	fputs("\tCOMPREPLY=()\n\tcase $before in\n", out);
	for (size_t i = 0; i < c->n_rows; i++) {
		const struct conf_row *row = &c->rows[i];

		if (row->type == CONF_FLAG)
			continue;
		fputs("\t", out);
		if (row->letter)
			fprintf(out, "-%c | ", row->letter);
		fprintf(out, "--%s) mapfile -t COMPREPLY < <(compgen %s -- \"$current\"); return ;;\n", row->name,
			completion_of(row)->bash);
	}
	fputs("\tesac\n\tmapfile -t COMPREPLY < <(compgen -W '", out);
	for (size_t i = 0; i < c->n_rows; i++)
		fprintf(out, "%s--%s", i ? " " : "", c->rows[i].name);
	fprintf(out, "' -- \"$current\")\n}\ncomplete -F _%s %s\n", c->program, c->program);
}

/* Text inside single quotes, the characters of `escaped` with a backslash before them. */
static void completion_quoted(const char *text, const char *escaped, FILE *out)
{
	for (; *text; text++) {
		if (*text == '\'')
			fputs("'\\'", out);
		else if (strchr(escaped, *text))
			fputc('\\', out);
		fputc(*text, out);
	}
}

static void completion_zsh(const struct conf *c, FILE *out)
{
	fprintf(out, "#compdef %s\n_arguments -s", c->program);
	for (size_t i = 0; i < c->n_rows; i++) {
		const struct conf_row *row = &c->rows[i];
		const char *many = row->type == CONF_LIST ? "*" : "";

		if (row->letter)
			fprintf(out, " \\\n\t'%s'{-%c,--%s}'[", many, row->letter, row->name);
		else
			fprintf(out, " \\\n\t'%s--%s[", many, row->name);
		completion_quoted(row->help, "[]:\\", out);
		fputc(']', out);
		if (row->type != CONF_FLAG)
			fprintf(out, ":%s:%s", row->argument ? row->argument : "VALUE", completion_of(row)->zsh);
		fputc('\'', out);
	}
	fputc('\n', out);
}

static void completion_fish(const struct conf *c, FILE *out)
{
	fprintf(out, "complete -c %s -f\n", c->program);
	for (size_t i = 0; i < c->n_rows; i++) {
		const struct conf_row *row = &c->rows[i];

		fprintf(out, "complete -c %s -l %s", c->program, row->name);
		if (row->letter)
			fprintf(out, " -s %c", row->letter);
		if (row->type != CONF_FLAG)
			fprintf(out, " -r %s", completion_of(row)->fish);
		fputs(" -d '", out);
		for (const char *text = row->help; *text; text++) {
			if (*text == '\'' || *text == '\\')
				fputc('\\', out);
			fputc(*text, out);
		}
		fputs("'\n", out);
	}
}

int conf_completion(const struct conf *c, const char *shell, FILE *out)
{
	if (strcmp(shell, "bash") == 0)
		completion_bash(c, out);
	else if (strcmp(shell, "zsh") == 0)
		completion_zsh(c, out);
	else if (strcmp(shell, "fish") == 0)
		completion_fish(c, out);
	else
		return -EINVAL;
	return 0;
}
