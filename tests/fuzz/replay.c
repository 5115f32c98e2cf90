/* SPDX-License-Identifier: Apache-2.0 */
/* Gives files, and the files of folders, to a fuzz target. Without any it fails: nothing was tested. */
#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "fuzz.h"

#define REPLAY_MAX (1u << 20)

static unsigned replayed;

static int replay_file(const char *path)
{
	FILE *in = fopen(path, "rb");
	uint8_t *data = malloc(REPLAY_MAX), *exact = NULL;
	size_t n = 0;
	int rc = -1;

	if (in && data) {
		n = fread(data, 1, REPLAY_MAX, in);
		exact = malloc(n ? n : 1); /* so that a sanitizer sees a read past the end */
	}
	if (exact) {
		memcpy(exact, data, n);
		LLVMFuzzerTestOneInput(exact, n);
		replayed++;
		rc = 0;
	} else {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
	}
	if (in)
		fclose(in);
	free(exact);
	free(data);
	return rc;
}

static int replay_folder(DIR *dir, const char *path)
{
	const struct dirent *e;
	char file[4096];
	int rc = 0;

	while ((e = readdir(dir))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(file, sizeof(file), "%s/%s", path, e->d_name);
		rc |= replay_file(file);
	}
	return rc;
}

int main(int argc, char **argv)
{
	int rc = 0;

	for (int i = 1; i < argc; i++) {
		DIR *dir = opendir(argv[i]);

		rc |= dir ? replay_folder(dir, argv[i]) : replay_file(argv[i]);
		if (dir)
			closedir(dir);
	}
	printf("%u inputs replayed\n", replayed);
	return rc || replayed == 0;
}
