/* The journal's line: one crossing from JavaScript, one SHA-256 by the OpenSSL that Node carries, one write(2). */
#include "addon.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <uchar.h>
#include <unistd.h>

/* Weak: a runtime without these symbols gets no journal calls, and TypeScript hashes with node:crypto.
 * The context is opaque here, and larger than in any OpenSSL or BoringSSL (112 bytes). */
struct sha256 {
	uint64_t state[32];
};
int SHA256_Init(struct sha256 *context) __attribute__((weak));
int SHA256_Update(struct sha256 *context, const void *data, size_t length) __attribute__((weak));
int SHA256_Final(unsigned char *digest, struct sha256 *context) __attribute__((weak));

enum { HEX = 64, ON_STACK = 16384 };
static const char PREFIX[] = ",\"hash\":\"";
static const char SUFFIX[] = "\"}\n";
enum { PREFIX_LENGTH = sizeof PREFIX - 1, SUFFIX_LENGTH = sizeof SUFFIX - 1, TAIL = PREFIX_LENGTH + HEX + SUFFIX_LENGTH };

static void sha256_hex(const char *data, size_t length, char hex[HEX])
{
	static const char digits[] = "0123456789abcdef";
	struct sha256 context;
	unsigned char digest[HEX / 2];

	SHA256_Init(&context);
	SHA256_Update(&context, data, length);
	SHA256_Final(digest, &context);
	for (int i = 0; i < HEX / 2; i++) {
		hex[2 * i] = digits[digest[i] >> 4];
		hex[2 * i + 1] = digits[digest[i] & 15];
	}
}

/* 0 or -errno. What a short write left out is written again, so that the error behind it is known. */
static int write_all(int fd, const char *data, size_t length)
{
	while (length > 0) {
		ssize_t written = write(fd, data, length);
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return written < 0 ? -errno : -EIO;
		data += written;
		length -= written;
	}
	return 0;
}

static napi_value type_error(napi_env env, const char *message)
{
	napi_throw_type_error(env, NULL, message);
	return NULL;
}

/* gcc 11 and older use vectors at -O3 only, clang always. */
#if defined(__GNUC__) && !defined(__clang__)
#define VECTORS __attribute__((optimize("O3")))
#else
#define VECTORS
#endif

/* Narrows ASCII; false, with nothing to rely on in `to`, where there is other text. Without a branch in the loop, so that
 * the compiler uses vectors. */
VECTORS static bool narrow(const char16_t *restrict from, size_t length, char *restrict to)
{
	char16_t all = 0;

	for (size_t i = 0; i < length; i++) {
		all |= from[i];
		to[i] = (char)from[i];
	}
	return all < 0x80;
}

/* The UTF-8 of a string with room for the tail: in `stack`, or in memory that the caller frees. NULL: not a string, or no
 * memory. Node-API's own conversion to UTF-8 takes twice as long as copying UTF-16 and narrowing it, which nearly every
 * line allows. */
static char *utf8(napi_env env, napi_value text, char *stack, size_t *length, bool *ascii)
{
	char16_t wide[ON_STACK];

	*ascii = false;
	if (napi_get_value_string_utf16(env, text, wide, ON_STACK, length) != napi_ok)
		return NULL;
	if (*length < ON_STACK - TAIL && narrow(wide, *length, stack)) {
		*ascii = true;
		return stack;
	}
	if (napi_get_value_string_utf8(env, text, NULL, 0, length) != napi_ok)
		return NULL;
	char *heap = malloc(*length + 1 + TAIL);
	if (heap != NULL && napi_get_value_string_utf8(env, text, heap, *length + 1, length) != napi_ok) {
		free(heap);
		return NULL;
	}
	return heap;
}

static napi_value journal_append(napi_env env, napi_callback_info info)
{
	napi_value arguments[2], result = NULL;
	size_t count = 2, length = 0;
	int32_t fd;
	char stack[ON_STACK];
	bool ascii;

	if (napi_get_cb_info(env, info, &count, arguments, NULL, NULL) != napi_ok || count != 2 ||
	    napi_get_value_int32(env, arguments[0], &fd) != napi_ok)
		return type_error(env, "Expected journalAppend(fd, text)");
	char *line = utf8(env, arguments[1], stack, &length, &ascii);
	if (line == NULL || length < 2 || line[length - 1] != '}') {
		if (line != stack)
			free(line);
		return type_error(env, "Expected `text` to be the text of a JSON object");
	}

	char *hex = line + length - 1 + PREFIX_LENGTH;
	char digest[HEX + 1];
	sha256_hex(line, length, digest);
	digest[HEX] = '+';
	memcpy(line + length - 1, PREFIX, PREFIX_LENGTH);
	memcpy(hex, digest, HEX);
	memcpy(hex + HEX, SUFFIX, SUFFIX_LENGTH);
	length += TAIL - 1;

	int error = write_all(fd, line, length);
	if (error == 0)
		napi_create_string_latin1(env, digest, ascii ? HEX : HEX + 1, &result);
	else
		napi_create_int32(env, error, &result);
	if (line != stack)
		free(line);
	return result;
}

static napi_value journal_digest(napi_env env, napi_callback_info info)
{
	napi_value argument, result = NULL;
	size_t count = 1, length = 0;
	char stack[ON_STACK], digest[HEX];
	bool ascii;

	if (napi_get_cb_info(env, info, &count, &argument, NULL, NULL) != napi_ok || count != 1)
		return type_error(env, "Expected journalDigest(text)");
	char *text = utf8(env, argument, stack, &length, &ascii);
	if (text == NULL)
		return type_error(env, "Expected `text` to be a string");
	sha256_hex(text, length, digest);
	if (text != stack)
		free(text);
	napi_create_string_latin1(env, digest, HEX, &result);
	return result;
}

void register_journal(napi_env env, napi_value exports)
{
	if (!SHA256_Init || !SHA256_Update || !SHA256_Final)
		return;
	export_function(env, exports, "journalAppend", journal_append);
	export_function(env, exports, "journalDigest", journal_digest);
}
