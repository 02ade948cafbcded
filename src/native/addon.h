#ifndef TAPPASS_ADDON_H
#define TAPPASS_ADDON_H

#define NAPI_VERSION 9
#include <limits.h>
#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>

/* Results are numbers: a descriptor, a count or 0, else -errno. TypeScript words the error. */
void export_function(napi_env env, napi_value exports, const char *name, napi_callback callback);

/* Node-API cuts a text that is too long before the character that does not fit: with room for one character more, a text
 * that was cut is always too long. The kernel would cut at a NUL. What was cut would be another path: both are refused. */
enum { CUT_ROOM = 4, PATH_ROOM = PATH_MAX + CUT_ROOM };

/* A whole text of fewer than `room - CUT_ROOM` bytes. */
bool whole_text(napi_env env, napi_value value, char *into, size_t room);
bool get_path(napi_env env, napi_value value, char path[PATH_ROOM]);

napi_value number_of(napi_env env, int64_t value);

#endif
