/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "rules/rules_internal.h"

static bool rules_file_look(struct rules_file *f)
{
	struct stat st;

	f->exists = stat(f->path, &st) == 0;
	if (!f->exists)
		return false;
	f->device = st.st_dev;
	f->inode = st.st_ino;
	f->size = st.st_size;
	f->changed = st.st_mtim;
	return true;
}

const char *rules_file_add(struct rule_set *set, const char *path, bool list)
{
	struct rules_file *f;
	void *files;

	for (size_t i = 0; i < set->n_files; i++)
		if (strcmp(set->files[i]->path, path) == 0) {
			set->files[i]->list |= list;
			return set->files[i]->path;
		}
	files = rules_room(set->files, set->n_files, sizeof(struct rules_file *));
	if (!files)
		return NULL;
	set->files = files;
	f = calloc(1, sizeof(*f));
	if (f)
		f->path = strdup(path);
	if (!f || !f->path) {
		free(f);
		return NULL;
	}
	f->list = list;
	(void)rules_file_look(f);
	set->files[set->n_files++] = f;
	return f->path;
}

void rules_files_deinit(struct rule_set *set)
{
	for (size_t i = 0; i < set->n_files; i++) {
		free(set->files[i]->path);
		free(set->files[i]);
	}
	free(set->files);
}

uint64_t rules_changed_ms(const struct rule_set *set)
{
	uint64_t newest = 0;

	for (size_t i = 0; i < set->n_files; i++) {
		const struct timespec *t = &set->files[i]->changed;
		uint64_t ms = t->tv_sec > 0 ? (uint64_t)t->tv_sec * 1000 + (uint64_t)t->tv_nsec / 1000000 : 0;

		if (ms > newest)
			newest = ms;
	}
	return newest;
}

bool rules_outdated(const struct rule_set *set)
{
	for (size_t i = 0; i < set->n_files; i++) {
		const struct rules_file *was = set->files[i];
		struct rules_file now = {.path = was->path};

		if (!was->list)
			continue;
		if (rules_file_look(&now) != was->exists)
			return true;
		if (was->exists &&
		    (now.device != was->device || now.inode != was->inode || now.size != was->size ||
		     now.changed.tv_sec != was->changed.tv_sec || now.changed.tv_nsec != was->changed.tv_nsec))
			return true;
	}
	return false;
}
