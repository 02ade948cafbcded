/* What stands where, asked by the thousand when a profile is compiled: `fs` makes an object of each answer. */
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
#include <sys/xattr.h>
#include <unistd.h>

enum { MOST_PATH = 4096 };

static napi_value number_of(napi_env env, int64_t value)
{
	napi_value result = NULL;
	napi_create_int64(env, value, &result);
	return result;
}

static bool get_path(napi_env env, napi_value value, char path[MOST_PATH])
{
	size_t length = 0;
	return napi_get_value_string_utf8(env, value, path, MOST_PATH, &length) == napi_ok && length < MOST_PATH - 1 &&
	       strlen(path) == length;
}

/* fileMode(path): st_mode of what the path leads to, or -errno. */
static napi_value file_mode(napi_env env, napi_callback_info info)
{
	napi_value args[1];
	size_t count = 1;
	char path[MOST_PATH];
	struct stat found;
	napi_get_cb_info(env, info, &count, args, NULL, NULL);
	if (count != 1 || !get_path(env, args[0], path))
		return number_of(env, -EINVAL);
	return number_of(env, stat(path, &found) < 0 ? -errno : (int64_t)found.st_mode);
}

/* realPath(path): where the path leads to, or undefined. */
static napi_value real_path(napi_env env, napi_callback_info info)
{
	napi_value args[1], result = NULL;
	size_t count = 1;
	char path[MOST_PATH], real[PATH_MAX];
	struct stat found;
	napi_get_cb_info(env, info, &count, args, NULL, NULL);
	napi_get_undefined(env, &result);
	/* realpath(3) reads link after link; most of what is asked about does not exist, which one call finds out. */
	if (count != 1 || !get_path(env, args[0], path) || stat(path, &found) < 0 || !realpath(path, real))
		return result;
	napi_create_string_utf8(env, real, NAPI_AUTO_LENGTH, &result);
	return result;
}

/* hasAttribute(path, name): whether the extended attribute is there, with `1` for its value. */
static napi_value has_attribute(napi_env env, napi_callback_info info)
{
	napi_value args[2], result = NULL;
	size_t count = 2;
	char path[MOST_PATH], name[MOST_PATH], value;
	napi_get_cb_info(env, info, &count, args, NULL, NULL);
	const bool found = count == 2 && get_path(env, args[0], path) && get_path(env, args[1], name) &&
			   getxattr(path, name, &value, 1) == 1 && value == '1';
	napi_get_boolean(env, found, &result);
	return result;
}

/* What is searched, and where it is put. `path` is the folder that is being read. */
struct search {
	napi_env env;
	napi_value found;
	uint32_t count, file_bits, folder_bits;
	char path[PATH_MAX];
};

static bool is_dots(const char *name)
{
	return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

static void put(napi_env env, napi_value list, uint32_t *count, const char *text)
{
	napi_value value = NULL;
	if (napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &value) == napi_ok)
		napi_set_element(env, list, (*count)++, value);
}

/* `folder` is taken over, and `length` is that of its path. Links lead nowhere; what cannot be looked at has no bits. */
static void walk(struct search *search, int folder, size_t length, uint32_t depth)
{
	DIR *listing = fdopendir(folder);
	if (!listing) {
		close(folder);
		return;
	}
	for (struct dirent *entry; (entry = readdir(listing));) {
		struct stat stat = { .st_mode = 0 };
		if (is_dots(entry->d_name) || entry->d_type == DT_LNK)
			continue;
		(void)fstatat(folder, entry->d_name, &stat, AT_SYMLINK_NOFOLLOW);
		const bool is_folder = S_ISDIR(stat.st_mode);
		const uint32_t needed = is_folder ? search->folder_bits : search->file_bits;
		const bool lacks = (stat.st_mode & needed) != needed;
		const size_t inner = length + 1 + strlen(entry->d_name);
		if (S_ISLNK(stat.st_mode) || (!lacks && (!is_folder || depth < 2)) || inner >= sizeof(search->path))
			continue;
		search->path[length] = '/';
		strcpy(search->path + length + 1, entry->d_name);
		if (lacks) {
			put(search->env, search->found, &search->count, search->path);
		} else {
			const int next = openat(folder, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			if (next >= 0)
				walk(search, next, inner, depth - 1);
		}
		search->path[length] = '\0';
	}
	closedir(listing);
}

/* findWithoutMode(folder, depth, fileBits, folderBits): paths of files and folders in it that lack one of the bits. */
static napi_value find_without_mode(napi_env env, napi_callback_info info)
{
	napi_value args[4];
	size_t count = 4;
	uint32_t depth;
	struct search search = { .env = env };
	napi_get_cb_info(env, info, &count, args, NULL, NULL);
	if (count != 4 || !get_path(env, args[0], search.path) ||
	    napi_get_value_uint32(env, args[1], &depth) != napi_ok ||
	    napi_get_value_uint32(env, args[2], &search.file_bits) != napi_ok ||
	    napi_get_value_uint32(env, args[3], &search.folder_bits) != napi_ok ||
	    napi_create_array(env, &search.found) != napi_ok) {
		napi_throw_type_error(env, NULL, "Expected a path, a depth and the bits of files and of folders");
		return NULL;
	}
	const int folder = open(search.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder >= 0)
		walk(&search, folder, strlen(search.path), depth);
	return search.found;
}

/* A name, or with a star at its end the beginning of one. */
static bool matches(const char *name, const char *pattern)
{
	const size_t length = strlen(pattern);
	return length && pattern[length - 1] == '*' ? !strncmp(name, pattern, length - 1) : !strcmp(name, pattern);
}

enum { MOST_PATTERNS = 32, MOST_PATTERN = 256 };

/* listNamed(folder, patterns, named, folders): names in it that match, else are folders; how many entries it has. */
static napi_value list_named(napi_env env, napi_callback_info info)
{
	napi_value args[4], item;
	size_t count = 4, length;
	uint32_t patterns = 0, named = 0, folders = 0;
	int64_t entries = 0;
	char path[MOST_PATH], pattern[MOST_PATTERNS][MOST_PATTERN];
	napi_get_cb_info(env, info, &count, args, NULL, NULL);
	if (count != 4 || !get_path(env, args[0], path) || napi_get_array_length(env, args[1], &patterns) != napi_ok ||
	    patterns > MOST_PATTERNS)
		return number_of(env, -EINVAL);
	for (uint32_t i = 0; i < patterns; i++)
		if (napi_get_element(env, args[1], i, &item) != napi_ok ||
		    napi_get_value_string_utf8(env, item, pattern[i], MOST_PATTERN, &length) != napi_ok ||
		    length > MOST_PATTERN - 2)
			return number_of(env, -EINVAL);
	DIR *listing = opendir(path);
	if (!listing)
		return number_of(env, -errno);
	for (struct dirent *entry; (entry = readdir(listing));) {
		struct stat stat = { .st_mode = entry->d_type == DT_DIR ? S_IFDIR : 0 };
		bool matched = false;
		if (is_dots(entry->d_name))
			continue;
		entries++;
		for (uint32_t i = 0; i < patterns && !matched; i++)
			matched = matches(entry->d_name, pattern[i]);
		if (entry->d_type == DT_UNKNOWN)
			(void)fstatat(dirfd(listing), entry->d_name, &stat, AT_SYMLINK_NOFOLLOW);
		if (matched)
			put(env, args[2], &named, entry->d_name);
		else if (S_ISDIR(stat.st_mode))
			put(env, args[3], &folders, entry->d_name);
	}
	closedir(listing);
	return number_of(env, entries);
}

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
	char path[MOST_PATH];
	napi_get_cb_info(env, info, &count, args, NULL, NULL);
	napi_get_boolean(env, count == 1 && get_path(env, args[0], path) && is_program(AT_FDCWD, path), &result);
	return result;
}

/* The path that an ELF file of 64 bits names as its interpreter (both architectures are little-endian). */
static bool elf_interpreter(int file, const char *head, size_t size, char text[MOST_PATH])
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
		if (entry.p_filesz < 2 || entry.p_filesz >= MOST_PATH || entry.p_offset > INT64_MAX)
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
	char head[MOST_PATH], text[MOST_PATH];
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
	char path[MOST_PATH];
	napi_get_cb_info(env, info, &count, args, NULL, NULL);
	napi_get_undefined(env, &result);
	return count == 1 && get_path(env, args[0], path) ? name_interpreter(env, path) : result;
}

enum { MOST_NAME = 256 };

/* What is looked for, and what is found of it: the number of its folder, its real path, its interpreter. */
struct programs {
	napi_env env;
	napi_value reals, interpreters;
	size_t count;
	char (*names)[MOST_NAME];
	int32_t *results;
};

static void find_in(const struct programs *programs, const char *folder, int32_t number)
{
	char path[MOST_PATH + MOST_NAME], real[PATH_MAX];
	owned_fd opened = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; opened >= 0 && i < programs->count; i++) {
		napi_value text = NULL;
		if (programs->results[i] >= 0 || !programs->names[i][0] || !is_program(opened, programs->names[i]))
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
	size_t count = 5, length = 0;
	uint32_t folders = 0, names = 0;
	napi_typedarray_type type;
	struct programs programs = { .env = env };
	char folder[MOST_PATH];
	napi_get_cb_info(env, info, &count, args, NULL, NULL);
	if (count != 5 || napi_get_array_length(env, args[0], &folders) != napi_ok ||
	    napi_get_array_length(env, args[1], &names) != napi_ok ||
	    napi_get_typedarray_info(env, args[2], &type, &programs.count, (void **)&programs.results, NULL, NULL) !=
		    napi_ok ||
	    type != napi_int32_array || programs.count != names)
		return number_of(env, -EINVAL);
	programs.reals = args[3];
	programs.interpreters = args[4];
	programs.names = calloc(names + 1, MOST_NAME);
	if (!programs.names)
		return number_of(env, -ENOMEM);
	for (uint32_t i = 0; i < names; i++) {
		char *name = programs.names[i];
		programs.results[i] = -1;
		/* One that is no name stays empty: nothing is found by it. */
		if (napi_get_element(env, args[1], i, &item) != napi_ok ||
		    napi_get_value_string_utf8(env, item, name, MOST_NAME, &length) != napi_ok ||
		    length >= MOST_NAME - 1 || strlen(name) != length || strchr(name, '/'))
			name[0] = '\0';
	}
	for (uint32_t i = 0; i < folders; i++)
		if (napi_get_element(env, args[0], i, &item) == napi_ok && get_path(env, item, folder))
			find_in(&programs, folder, (int32_t)i);
	free(programs.names);
	return number_of(env, 0);
}

/* countDescriptors(text): of this process, those whose link in /proc holds the text. */
static napi_value count_descriptors(napi_env env, napi_callback_info info)
{
	napi_value args[1];
	size_t count = 1;
	int64_t found = 0;
	char text[MOST_PATH], link[256];
	napi_get_cb_info(env, info, &count, args, NULL, NULL);
	if (count != 1 || !get_path(env, args[0], text))
		return number_of(env, -EINVAL);
	DIR *listing = opendir("/proc/self/fd");
	if (!listing)
		return number_of(env, -errno);
	for (struct dirent *entry; (entry = readdir(listing));) {
		const ssize_t length = readlinkat(dirfd(listing), entry->d_name, link, sizeof(link) - 1);
		link[length < 0 ? 0 : length] = '\0';
		found += strstr(link, text) != NULL;
	}
	closedir(listing);
	return number_of(env, found);
}

void register_look(napi_env env, napi_value exports)
{
	export_function(env, exports, "fileMode", file_mode);
	export_function(env, exports, "realPath", real_path);
	export_function(env, exports, "hasAttribute", has_attribute);
	export_function(env, exports, "findWithoutMode", find_without_mode);
	export_function(env, exports, "listNamed", list_named);
	export_function(env, exports, "isProgram", check_program);
	export_function(env, exports, "findPrograms", find_programs);
	export_function(env, exports, "interpreterOf", interpreter_of);
	export_function(env, exports, "countDescriptors", count_descriptors);
}
