/* The orders: `TPL1`, a length, then records of {kind, size, payload padded to 8}. They come from our own parent, and
 * are read as if they did not: every length is checked, every text ends in NUL, unknown kinds are an error. */
#define _GNU_SOURCE
#include "launcher.h"

#include <errno.h>
#include <linux/filter.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum kind {
	KIND_PROGRAM = 1,
	KIND_ARGUMENT,
	KIND_VARIABLE,
	KIND_DIRECTORY,
	KIND_RULESET,
	KIND_PATH,
	KIND_PORT,
	KIND_FILTER,
	KIND_LIMIT,
	KIND_NAMESPACES,
	KIND_WRITABLE,
	KIND_IDENTITY,
	KIND_WATCH,
	KIND_EXEC_AT,
	KIND_GROUP_INTO,
	KIND_GROUP_JOIN,
	KIND_GROUP_WAKE,
	KIND_GROUP_OOM,
	KIND_GROUP_KILL,
	KIND_READ_ONLY,
};

enum { MAGIC = 0x314c5054, MOST_BYTES = 8 * 1024 * 1024 };

struct record {
	uint32_t kind;
	uint32_t size;
};

static int read_all(int fd, void *into, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t got = read(fd, (char *)into + done, size - done);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			return -EPIPE;
		done += (size_t)got;
	}
	return 0;
}

/* NULL unless the payload is one text whose only NUL is its last byte. */
static char *text_of(char *payload, uint32_t size)
{
	return size > 1 && memchr(payload, 0, size) == payload + size - 1 ? payload : NULL;
}

/* The empty text is a legal argument, unlike an empty path. */
static char *argument_of(char *payload, uint32_t size)
{
	return size >= 1 && memchr(payload, 0, size) == payload + size - 1 ? payload : NULL;
}

static bool take_numbers(void *into, size_t expected, const char *payload, uint32_t size)
{
	if (size != expected)
		return false;
	memcpy(into, payload, size);
	return true;
}

static bool take(struct orders *to, uint32_t kind, char *payload, uint32_t size)
{
	uint64_t words[3];
	uint32_t halves[2];
	char *text;

	switch ((enum kind)kind) {
	case KIND_PROGRAM:
		return to->program == NULL && (to->program = text_of(payload, size)) != NULL;
	case KIND_DIRECTORY:
		return to->directory == NULL && (to->directory = text_of(payload, size)) != NULL;
	case KIND_ARGUMENT:
		if (to->argument_count >= MOST_STRINGS || (text = argument_of(payload, size)) == NULL)
			return false;
		to->arguments[to->argument_count++] = text;
		return true;
	case KIND_VARIABLE:
		if (to->environment_count >= MOST_STRINGS || (text = text_of(payload, size)) == NULL)
			return false;
		to->environment[to->environment_count++] = text;
		return true;
	case KIND_RULESET:
		if (to->has_ruleset || !take_numbers(words, sizeof(words), payload, size))
			return false;
		to->has_ruleset = true;
		to->handled_fs = words[0];
		to->handled_net = words[1];
		to->scoped = words[2];
		return true;
	case KIND_PATH:
		if (to->path_count >= MOST_RULES || size <= 8 || (text = text_of(payload + 8, size - 8)) == NULL)
			return false;
		memcpy(&to->paths[to->path_count].access, payload, 8);
		to->paths[to->path_count++].path = text;
		return true;
	case KIND_PORT:
		if (to->port_count >= MOST_RULES || !take_numbers(words, 16, payload, size))
			return false;
		to->ports[to->port_count++] = (struct port_order){ .access = words[0], .port = words[1] };
		return true;
	case KIND_FILTER:
		if (to->filter || size == 0 || size % sizeof(struct sock_filter) || size > 8 * BPF_MAXINSNS)
			return false;
		to->filter = payload;
		to->filter_bytes = size;
		return true;
	case KIND_LIMIT:
		return to->limit_count < MOST_LIMITS &&
		       take_numbers(&to->limits[to->limit_count++], sizeof(struct limit_order), payload, size);
	case KIND_NAMESPACES:
		return to->namespaces == 0 && take_numbers(&to->namespaces, sizeof(to->namespaces), payload, size);
	case KIND_WRITABLE:
		if (to->writable_count >= MOST_RULES || (text = text_of(payload, size)) == NULL)
			return false;
		to->writable[to->writable_count++] = text;
		return true;
	case KIND_IDENTITY:
		if (to->has_identity || !take_numbers(halves, sizeof(halves), payload, size))
			return false;
		to->has_identity = true;
		to->uid = halves[0];
		to->gid = halves[1];
		return true;
	case KIND_WATCH:
		if (!take_numbers(words, sizeof(words), payload, size))
			return false;
		to->memory_bytes = words[0];
		to->most_pids = words[1];
		to->cpu_us = words[2];
		return true;
	case KIND_GROUP_INTO:
		return to->into == NULL && (to->into = text_of(payload, size)) != NULL;
	case KIND_GROUP_JOIN:
		return to->join_count < MOST_GROUPS && (to->join[to->join_count++] = text_of(payload, size)) != NULL;
	case KIND_GROUP_WAKE:
		return to->wake == NULL && (to->wake = text_of(payload, size)) != NULL;
	case KIND_GROUP_OOM:
		return to->oom == NULL && (to->oom = text_of(payload, size)) != NULL;
	case KIND_GROUP_KILL:
		return to->kill == NULL && (to->kill = text_of(payload, size)) != NULL;
	case KIND_READ_ONLY:
		return to->read_only_count < MOST_READ_ONLY &&
		       (to->read_only[to->read_only_count++] = text_of(payload, size)) != NULL;
	case KIND_EXEC_AT:
		return take_numbers(to->exec_at, sizeof(to->exec_at), payload, size);
	}
	return false;
}

/* Without a ruleset and a filter there is no sandbox, and without a sandbox no run. */
static bool is_complete(const struct orders *orders)
{
	return orders->program && orders->directory && orders->argument_count > 0 && orders->has_ruleset &&
	       orders->filter;
}

int read_orders(int fd, struct orders *orders)
{
	struct { uint32_t magic, size; } header;
	int failed = read_all(fd, &header, sizeof(header));
	if (failed)
		return failed;
	if (header.magic != MAGIC || header.size > MOST_BYTES)
		return -EBADMSG;

	*orders = (struct orders){ 0 };
	char *body = malloc(header.size + 1);
	orders->arguments = calloc(MOST_STRINGS + 1, sizeof(char *));
	orders->environment = calloc(MOST_STRINGS + 1, sizeof(char *));
	orders->paths = calloc(MOST_RULES, sizeof(struct path_order));
	orders->ports = calloc(MOST_RULES, sizeof(struct port_order));
	orders->writable = calloc(MOST_RULES, sizeof(char *));
	if (!body || !orders->arguments || !orders->environment || !orders->paths || !orders->ports || !orders->writable)
		return -ENOMEM;
	failed = read_all(fd, body, header.size);
	if (failed)
		return failed;

	for (size_t at = 0; at < header.size;) {
		struct record record;
		if (header.size - at < sizeof(record))
			return -EBADMSG;
		memcpy(&record, body + at, sizeof(record));
		at += sizeof(record);
		if (record.size > header.size - at || !take(orders, record.kind, body + at, record.size))
			return -EBADMSG;
		size_t padded = ((size_t)record.size + 7) & ~(size_t)7;
		if (padded > header.size - at)
			return -EBADMSG;
		at += padded;
	}
	return is_complete(orders) ? 0 : -EBADMSG;
}
