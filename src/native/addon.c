/* The one N-API module: each part registers its own system calls. No policy, no tables, nothing printed. */
#include "addon.h"

#include <string.h>

/* Weak, so that a build without one part still loads and says what is missing. */
void register_file(napi_env env, napi_value exports) __attribute__((weak));
void register_journal(napi_env env, napi_value exports) __attribute__((weak));
void register_kernel(napi_env env, napi_value exports) __attribute__((weak));

bool whole_text(napi_env env, napi_value value, char *into, size_t room)
{
	size_t length = 0;
	return napi_get_value_string_utf8(env, value, into, room, &length) == napi_ok && length < room - CUT_ROOM &&
	       strlen(into) == length;
}

bool get_path(napi_env env, napi_value value, char path[PATH_ROOM])
{
	return whole_text(env, value, path, PATH_ROOM);
}

napi_value number_of(napi_env env, int64_t value)
{
	napi_value result = NULL;
	napi_create_int64(env, value, &result);
	return result;
}

void export_function(napi_env env, napi_value exports, const char *name, napi_callback callback)
{
	napi_value function;
	if (napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, NULL, &function) == napi_ok)
		napi_set_named_property(env, exports, name, function);
}

NAPI_MODULE_INIT()
{
	if (register_file)
		register_file(env, exports);
	if (register_journal)
		register_journal(env, exports);
	if (register_kernel)
		register_kernel(env, exports);
	return exports;
}
