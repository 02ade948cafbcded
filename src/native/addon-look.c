/* What stands where, asked by the thousand when a profile is compiled: `fs` makes an object of each answer. */
#define _GNU_SOURCE
#include "addon.h"
#include "kernel.h"

#include <dirent.h>
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

/* fileMode(path): st_mode of what the path leads to, or -errno. */
static napi_value file_mode(napi_env env, napi_callback_info info)
{
	napi_value args[1];
	size_t count = 1;
	char path[PATH_ROOM];
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
	char path[PATH_ROOM], real[PATH_MAX];
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
	char path[PATH_ROOM], name[PATH_ROOM], value;
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
	char path[PATH_ROOM];
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
		if (S_ISLNK(stat.st_mode) || (!lacks && (!is_folder || depth < 2)) || inner >= PATH_MAX)
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

enum { MOST_PATTERN = 512, MOST_PATTERNS = 4096 };

/* One that is longer than any name matches nothing, and stays empty. */
static char (*copy_patterns(napi_env env, napi_value list, uint32_t count))[MOST_PATTERN]
{
	char(*patterns)[MOST_PATTERN] = calloc(count + 1, MOST_PATTERN);
	for (uint32_t i = 0; patterns && i < count; i++) {
		napi_value item;
		if (napi_get_element(env, list, i, &item) != napi_ok || !whole_text(env, item, patterns[i], MOST_PATTERN))
			patterns[i][0] = '\0';
	}
	return patterns;
}

/* listNamed(folder, patterns, named, folders): names in it that match, else are folders; how many entries it has. */
static napi_value list_named(napi_env env, napi_callback_info info)
{
	napi_value args[4];
	size_t count = 4;
	uint32_t patterns = 0, named = 0, folders = 0;
	int64_t entries = 0;
	char path[PATH_ROOM];
	napi_get_cb_info(env, info, &count, args, NULL, NULL);
	if (count != 4 || !get_path(env, args[0], path) || napi_get_array_length(env, args[1], &patterns) != napi_ok)
		return number_of(env, -EINVAL);
	if (patterns > MOST_PATTERNS)
		return number_of(env, -E2BIG);
	DIR *listing = opendir(path);
	if (!listing)
		return number_of(env, -errno);
	char(*pattern)[MOST_PATTERN] = copy_patterns(env, args[1], patterns);
	if (!pattern)
		entries = -ENOMEM;
	for (struct dirent *entry; pattern && (entry = readdir(listing));) {
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
	free(pattern);
	closedir(listing);
	return number_of(env, entries);
}

/* countDescriptors(text): of this process, those whose link in /proc holds the text. */
static napi_value count_descriptors(napi_env env, napi_callback_info info)
{
	napi_value args[1];
	size_t count = 1;
	int64_t found = 0;
	char text[PATH_ROOM], link[256];
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
	export_function(env, exports, "countDescriptors", count_descriptors);
}
