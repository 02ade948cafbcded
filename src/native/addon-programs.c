/* Programs: which file a name leads to, and what else must start for it. */
#define _GNU_SOURCE
#include "addon.h"
#include "kernel.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_HEAD = 4096 };

/* A regular file that this process may execute. */
static bool is_program(int folder, const char *name)
{
	struct stat found;
	return !fstatat(folder, name, &found, 0) && S_ISREG(found.st_mode) && !faccessat(folder, name, X_OK, 0);
}

/* isProgram(path) */
static napi_value check_program(napi_env env, napi_callback_info info)
{
	napi_value args[1], result = NULL;
	size_t count = 1;
	char path[PATH_ROOM];
	napi_get_cb_info(env, info, &count, args, NULL, NULL);
	napi_get_boolean(env, count == 1 && get_path(env, args[0], path) && is_program(AT_FDCWD, path), &result);
	return result;
}

/* The path that an ELF file of 64 bits names as its interpreter (both architectures are little-endian). */
static bool elf_interpreter(int file, const char *head, size_t size, char text[PATH_MAX])
{
	Elf64_Ehdr header;
	Elf64_Phdr entry;
	if (size < sizeof(header))
		return false;
	memcpy(&header, head, sizeof(header));
	if (memcmp(header.e_ident, ELFMAG, SELFMAG) || header.e_ident[EI_CLASS] != ELFCLASS64 ||
	    header.e_ident[EI_DATA] != ELFDATA2LSB || header.e_phoff > size)
		return false;
	for (size_t i = 0; i < header.e_phnum; i++) {
		const size_t at = header.e_phoff + i * header.e_phentsize;
		if (at + sizeof(entry) > size)
			return false;
		memcpy(&entry, head + at, sizeof(entry));
		if (entry.p_type != PT_INTERP)
			continue;
		if (entry.p_filesz < 2 || entry.p_filesz >= PATH_MAX || entry.p_offset > INT64_MAX)
			return false;
		const bool is_read = entry.p_offset < size && entry.p_filesz <= size - entry.p_offset;
		if (is_read)
			memcpy(text, head + entry.p_offset, entry.p_filesz);
		const ssize_t got = is_read ? (ssize_t)entry.p_filesz
					    : pread(file, text, entry.p_filesz, (off_t)entry.p_offset);
		text[got < 0 ? 0 : got] = '\0';
		return got == (ssize_t)entry.p_filesz;
	}
	return false;
}

/* The first line of a script, or the path that a program names; undefined where there is neither. */
static napi_value name_interpreter(napi_env env, const char *path)
{
	napi_value result = NULL;
	char head[MOST_HEAD], text[PATH_MAX];
	napi_get_undefined(env, &result);
	owned_fd file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	const ssize_t size = file < 0 ? -1 : pread(file, head, sizeof(head), 0);
	if (size < 2)
		return result;
	if (head[0] == '#' && head[1] == '!') {
		const char *end = memchr(head, '\n', (size_t)size);
		napi_create_string_utf8(env, head, end ? (size_t)(end - head) : (size_t)size, &result);
	} else if (elf_interpreter(file, head, (size_t)size, text)) {
		napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &result);
	}
	return result;
}

/* interpreterOf(path) */
static napi_value interpreter_of(napi_env env, napi_callback_info info)
{
	napi_value args[1], result = NULL;
	size_t count = 1;
	char path[PATH_ROOM];
	napi_get_cb_info(env, info, &count, args, NULL, NULL);
	napi_get_undefined(env, &result);
	return count == 1 && get_path(env, args[0], path) ? name_interpreter(env, path) : result;
}

/* SMALL_FOLDER: a block of most file systems, about a hundred names. */
enum { NAME_ROOM = NAME_MAX + 1 + CUT_ROOM, SMALL_FOLDER = 4096, MOST_NAMES = 65536 };

/* What is looked for, and what is found of it: the number of its folder, its real path, its interpreter. */
struct programs {
	napi_env env;
	napi_value reals, interpreters;
	size_t count;
	char (*names)[NAME_ROOM];
	bool *asked;
	int32_t *results;
};

/* Most folders of a PATH are nearly empty: what stands there is read at once, and the rest need not be asked about. */
static void find_listed(const struct programs *programs, const char *folder)
{
	struct stat found;
	DIR *listing = !stat(folder, &found) && found.st_size <= SMALL_FOLDER ? opendir(folder) : NULL;
	for (size_t i = 0; i < programs->count; i++)
		programs->asked[i] = !listing && programs->results[i] < 0;
	for (struct dirent *entry; listing && (entry = readdir(listing));)
		for (size_t i = 0; i < programs->count; i++)
			if (programs->results[i] < 0 && !strcmp(programs->names[i], entry->d_name))
				programs->asked[i] = true;
	if (listing)
		closedir(listing);
}

static void find_in(const struct programs *programs, const char *folder, int32_t number)
{
	char path[PATH_ROOM + NAME_ROOM], real[PATH_MAX];
	owned_fd opened = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (opened < 0)
		return;
	find_listed(programs, folder);
	for (size_t i = 0; i < programs->count; i++) {
		napi_value text = NULL;
		if (!programs->asked[i] || !programs->names[i][0] || !is_program(opened, programs->names[i]))
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, programs->names[i]);
		if (!realpath(path, real) ||
		    napi_create_string_utf8(programs->env, real, NAPI_AUTO_LENGTH, &text) != napi_ok)
			continue;
		programs->results[i] = number;
		napi_set_element(programs->env, programs->reals, (uint32_t)i, text);
		napi_set_element(programs->env, programs->interpreters, (uint32_t)i,
				 name_interpreter(programs->env, real));
	}
}

/* findPrograms(folders, names, results, reals, interpreters): results[i] is the first folder with that program, else -1. */
static napi_value find_programs(napi_env env, napi_callback_info info)
{
	napi_value args[5], item;
	size_t count = 5;
	uint32_t folders = 0, names = 0;
	napi_typedarray_type type;
	struct programs programs = { .env = env };
	char folder[PATH_ROOM];
	napi_get_cb_info(env, info, &count, args, NULL, NULL);
	if (count != 5 || napi_get_array_length(env, args[0], &folders) != napi_ok ||
	    napi_get_array_length(env, args[1], &names) != napi_ok ||
	    napi_get_typedarray_info(env, args[2], &type, &programs.count, (void **)&programs.results, NULL, NULL) !=
		    napi_ok ||
	    type != napi_int32_array || programs.count != names)
		return number_of(env, -EINVAL);
	if (names > MOST_NAMES)
		return number_of(env, -E2BIG);
	programs.reals = args[3];
	programs.interpreters = args[4];
	programs.names = calloc(names + 1, NAME_ROOM);
	programs.asked = calloc(names + 1, sizeof(*programs.asked));
	if (!programs.names || !programs.asked) {
		free(programs.names);
		free(programs.asked);
		return number_of(env, -ENOMEM);
	}
	for (uint32_t i = 0; i < names; i++) {
		char *name = programs.names[i];
		programs.results[i] = -1;
		/* One that is no name stays empty: nothing is found by it. */
		if (napi_get_element(env, args[1], i, &item) != napi_ok ||
		    !whole_text(env, item, name, NAME_ROOM) || strchr(name, '/'))
			name[0] = '\0';
	}
	for (uint32_t i = 0; i < folders; i++)
		if (napi_get_element(env, args[0], i, &item) == napi_ok && get_path(env, item, folder))
			find_in(&programs, folder, (int32_t)i);
	free(programs.names);
	free(programs.asked);
	return number_of(env, 0);
}

void register_programs(napi_env env, napi_value exports)
{
	export_function(env, exports, "isProgram", check_program);
	export_function(env, exports, "findPrograms", find_programs);
	export_function(env, exports, "interpreterOf", interpreter_of);
}
