/* System calls of the file broker: names relative to directory descriptors. One call each, -errno out, no policy. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "addon.h"

/* From include/uapi/linux/openat2.h and the syscall tables (one number on every architecture since 5.1): the headers
 * of a distribution can be older than its kernel. */
#ifndef SYS_openat2
#define SYS_openat2 437
#endif
#define TAPPASS_RESOLVE_NO_SYMLINKS 0x04

struct tappass_open_how {
	uint64_t flags;
	uint64_t mode;
	uint64_t resolve;
};

#define owned_fd __attribute__((cleanup(close_fd))) int

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static napi_value number(napi_env env, long rc)
{
	napi_value result;
	if (napi_create_int32(env, rc < 0 ? -errno : (int32_t)rc, &result) != napi_ok)
		return NULL;
	return result;
}

static napi_value failure(napi_env env, int code)
{
	errno = code;
	return number(env, -1);
}

static int int_arg(napi_env env, napi_value value, int32_t *out)
{
	return napi_get_value_int32(env, value, out) == napi_ok;
}

/* See `whole_text` in addon.h; here too long and faulty are told apart. */
static int path_arg(napi_env env, napi_value value, char path[PATH_ROOM])
{
	size_t length;
	if (napi_get_value_string_utf8(env, value, path, PATH_ROOM, &length) != napi_ok)
		return EINVAL;
	if (length >= PATH_MAX)
		return ENAMETOOLONG;
	return memchr(path, '\0', length) == NULL ? 0 : EINVAL;
}

static long open_how(int dirfd, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve)
{
	const struct tappass_open_how how = {
		.flags = flags | O_CLOEXEC,
		.mode = mode,
		.resolve = resolve,
	};
	return syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
}

/* isReal(path): 0 when the path exists and no component of it is a symbolic link. */
static napi_value is_real(napi_env env, napi_callback_info info)
{
	napi_value argv[1];
	size_t argc = 1;
	char path[PATH_ROOM];
	if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) != napi_ok || argc != 1)
		return failure(env, EINVAL);
	const int fault = path_arg(env, argv[0], path);
	if (fault != 0)
		return failure(env, fault);
	owned_fd fd = (int)open_how(AT_FDCWD, path, O_PATH, 0, TAPPASS_RESOLVE_NO_SYMLINKS);
	return number(env, fd < 0 ? -1 : 0);
}

/* openat2(dirfd, path, flags, mode, resolve): a descriptor, always close-on-exec. */
static napi_value open_at(napi_env env, napi_callback_info info)
{
	napi_value argv[5];
	size_t argc = 5;
	char path[PATH_ROOM];
	int32_t dirfd, flags, mode, resolve;
	if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) != napi_ok || argc != 5 ||
	    !int_arg(env, argv[0], &dirfd) || !int_arg(env, argv[2], &flags) || !int_arg(env, argv[3], &mode) ||
	    !int_arg(env, argv[4], &resolve))
		return failure(env, EINVAL);
	const int fault = path_arg(env, argv[1], path);
	if (fault != 0)
		return failure(env, fault);
	return number(env, open_how(dirfd, path, (uint32_t)flags, (uint32_t)mode, (uint32_t)resolve));
}

/* close(fd). Never again after EINTR: Linux has released the number by then (close(2)). */
static napi_value close_one(napi_env env, napi_callback_info info)
{
	napi_value argv[1];
	size_t argc = 1;
	int32_t fd;
	if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) != napi_ok || argc != 1 || !int_arg(env, argv[0], &fd))
		return failure(env, EINVAL);
	return number(env, close(fd));
}

/* mkdirat(dirfd, name, mode) */
static napi_value mkdir_at(napi_env env, napi_callback_info info)
{
	napi_value argv[3];
	size_t argc = 3;
	char path[PATH_ROOM];
	int32_t dirfd, mode;
	if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) != napi_ok || argc != 3 ||
	    !int_arg(env, argv[0], &dirfd) || !int_arg(env, argv[2], &mode))
		return failure(env, EINVAL);
	const int fault = path_arg(env, argv[1], path);
	if (fault != 0)
		return failure(env, fault);
	return number(env, mkdirat(dirfd, path, (mode_t)mode));
}

/* unlinkat(dirfd, name, flags) */
static napi_value unlink_at(napi_env env, napi_callback_info info)
{
	napi_value argv[3];
	size_t argc = 3;
	char path[PATH_ROOM];
	int32_t dirfd, flags;
	if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) != napi_ok || argc != 3 ||
	    !int_arg(env, argv[0], &dirfd) || !int_arg(env, argv[2], &flags))
		return failure(env, EINVAL);
	const int fault = path_arg(env, argv[1], path);
	if (fault != 0)
		return failure(env, fault);
	return number(env, unlinkat(dirfd, path, flags));
}

/* renameat2(fromDir, fromName, toDir, toName, flags) */
static napi_value rename_at(napi_env env, napi_callback_info info)
{
	napi_value argv[5];
	size_t argc = 5;
	char from[PATH_ROOM], to[PATH_ROOM];
	int32_t from_dir, to_dir, flags;
	if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) != napi_ok || argc != 5 ||
	    !int_arg(env, argv[0], &from_dir) || !int_arg(env, argv[2], &to_dir) || !int_arg(env, argv[4], &flags))
		return failure(env, EINVAL);
	int fault = path_arg(env, argv[1], from);
	if (fault == 0)
		fault = path_arg(env, argv[3], to);
	if (fault != 0)
		return failure(env, fault);
	return number(env, syscall(SYS_renameat2, from_dir, from, to_dir, to, (unsigned int)flags));
}

void register_file(napi_env env, napi_value exports)
{
	export_function(env, exports, "isReal", is_real);
	export_function(env, exports, "openat2", open_at);
	export_function(env, exports, "close", close_one);
	export_function(env, exports, "mkdirat", mkdir_at);
	export_function(env, exports, "unlinkat", unlink_at);
	export_function(env, exports, "renameat2", rename_at);
}
