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

/* What is searched, and where it is put. */
struct search {
	napi_env env;
	napi_value found;
	uint32_t count, file_bits, folder_bits;
};

static void put(struct search *search, const char *path)
{
	napi_value text = NULL;
	if (napi_create_string_utf8(search->env, path, NAPI_AUTO_LENGTH, &text) == napi_ok)
		napi_set_element(search->env, search->found, search->count++, text);
}

/* `folder` is taken over. Links lead nowhere; what cannot be looked at has no bits. */
static void walk(struct search *search, int folder, const char *path, uint32_t depth)
{
	DIR *listing = fdopendir(folder);
	if (!listing) {
		close(folder);
		return;
	}
	for (struct dirent *entry; (entry = readdir(listing));) {
		char inner[PATH_MAX];
		struct stat stat = { .st_mode = 0 };
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") || entry->d_type == DT_LNK)
			continue;
		if (snprintf(inner, sizeof(inner), "%s/%s", path, entry->d_name) >= (int)sizeof(inner))
			continue;
		(void)fstatat(dirfd(listing), entry->d_name, &stat, AT_SYMLINK_NOFOLLOW);
		if (S_ISLNK(stat.st_mode))
			continue;
		const uint32_t needed = S_ISDIR(stat.st_mode) ? search->folder_bits : search->file_bits;
		if ((stat.st_mode & needed) != needed) {
			put(search, inner);
		} else if (S_ISDIR(stat.st_mode) && depth > 1) {
			const int next = openat(dirfd(listing), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			if (next >= 0)
				walk(search, next, inner, depth - 1);
		}
	}
	closedir(listing);
}

/* findWithoutMode(folder, depth, fileBits, folderBits): paths of files and folders in it that lack one of the bits. */
static napi_value find_without_mode(napi_env env, napi_callback_info info)
{
	napi_value args[4];
	size_t count = 4;
	uint32_t depth;
	char path[MOST_PATH];
	struct search search = { .env = env };
	napi_get_cb_info(env, info, &count, args, NULL, NULL);
	if (count != 4 || !get_path(env, args[0], path) ||
	    napi_get_value_uint32(env, args[1], &depth) != napi_ok ||
	    napi_get_value_uint32(env, args[2], &search.file_bits) != napi_ok ||
	    napi_get_value_uint32(env, args[3], &search.folder_bits) != napi_ok ||
	    napi_create_array(env, &search.found) != napi_ok) {
		napi_throw_type_error(env, NULL, "Expected a path, a depth and the bits of files and of folders");
		return NULL;
	}
	const int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder >= 0)
		walk(&search, folder, path, depth);
	return search.found;
}

void register_look(napi_env env, napi_value exports)
{
	export_function(env, exports, "fileMode", file_mode);
	export_function(env, exports, "realPath", real_path);
	export_function(env, exports, "hasAttribute", has_attribute);
	export_function(env, exports, "findWithoutMode", find_without_mode);
}
