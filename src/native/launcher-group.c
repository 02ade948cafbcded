/* Control groups: the files are named by the parent, which made them and removes them. */
#define _GNU_SOURCE
#include "launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int open_or_none(const char *path, int flags)
{
	if (!path)
		return -1;
	const int fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

int open_groups(const struct orders *orders, struct groups *groups)
{
	groups->into = open_or_none(orders->into, O_PATH | O_DIRECTORY);
	for (size_t i = 0; i < orders->join_count; i++)
		if ((groups->join[i] = open_or_none(orders->join[i], O_WRONLY)) < 0)
			return groups->join[i];
	groups->wake = open_or_none(orders->wake, O_RDONLY);
	groups->oom = open_or_none(orders->oom, O_RDONLY);
	groups->kill = open_or_none(orders->kill, O_WRONLY);
	if ((orders->into && groups->into < 0) || (orders->wake && groups->wake < 0) || (orders->oom && groups->oom < 0) || (orders->kill && groups->kill < 0))
		return -ENOENT;
	take_wake(groups);
	return 0;
}

/* A file of a control group counts as changed until it has been read (fs/kernfs/file.c). */
void take_wake(const struct groups *groups)
{
	char text[64];
	if (groups->wake >= 0)
		(void)!pread(groups->wake, text, sizeof(text), 0);
}

#ifndef SYS_clone3
#define SYS_clone3 435
#endif
/* struct clone_args and CLONE_INTO_CGROUP of linux/sched.h (5.7). */
struct clone_arguments {
	uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup;
};
static const uint64_t INTO_CGROUP = 0x200000000;

pid_t fork_into_group(const struct groups *groups)
{
	if (groups->into < 0)
		return fork();
	const struct clone_arguments arguments = {
		.flags = INTO_CGROUP,
		.exit_signal = SIGCHLD,
		.cgroup = (uint64_t)groups->into,
	};
	return (pid_t)syscall(SYS_clone3, &arguments, sizeof(arguments));
}

/* `0` is whoever writes it, in every pid namespace. */
int join_groups(const struct orders *orders, const struct groups *groups)
{
	for (size_t i = 0; i < orders->join_count; i++)
		if (write(groups->join[i], "0", 1) != 1)
			return -errno;
	return 0;
}

/* A line `oom_kill <n>` stands in memory.events (v2) and in memory.oom_control (v1). */
bool was_out_of_memory(const struct groups *groups)
{
	char text[512];
	const ssize_t got = groups->oom < 0 ? -1 : pread(groups->oom, text, sizeof(text) - 1, 0);
	if (got <= 0)
		return false;
	text[got] = 0;
	static const char key[] = "oom_kill ";
	for (const char *line = text; line; line = strchr(line, '\n'), line = line ? line + 1 : NULL)
		if (!strncmp(line, key, sizeof(key) - 1))
			return strtoull(line + sizeof(key) - 1, NULL, 10) > 0;
	return false;
}

void kill_group(const struct groups *groups)
{
	if (groups->kill >= 0)
		(void)!write(groups->kill, "1", 1);
}
