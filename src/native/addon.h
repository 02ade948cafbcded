#ifndef TAPPASS_ADDON_H
#define TAPPASS_ADDON_H

#define NAPI_VERSION 9
#include <node_api.h>

/* Results are numbers: a descriptor, a count or 0, else -errno. TypeScript words the error. */
void export_function(napi_env env, napi_value exports, const char *name, napi_callback callback);

#endif
