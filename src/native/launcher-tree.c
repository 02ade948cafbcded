/* The tree beneath the launcher: seen through /proc, since not every kernel has /proc/<pid>/task/<tid>/children. */
#define _GNU_SOURCE
#include "launcher.h"
#include "kernel.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct process {
	pid_t pid;
	pid_t parent;
	uint64_t ticks;
};

/* PID_MAX_LIMIT of 64-bit kernels (linux/threads.h). */
enum { MOST_PROCESSES = 65536, MOST_PIDS = 4 * 1024 * 1024 };
static struct process processes[MOST_PROCESSES];
static uint8_t inside[MOST_PIDS / 8];

static bool is_inside(pid_t pid)
{
	return pid > 0 && pid < MOST_PIDS && inside[pid / 8] & 1 << pid % 8;
}

static ssize_t read_text(pid_t pid, const char *name, char *into, size_t size)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	owned_fd fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ssize_t got = read(fd, into, size - 1);
	into[got > 0 ? got : 0] = 0;
	return got;
}

/* The command name in /proc/<pid>/stat is chosen by the process: it may hold spaces and brackets, so the fields are
 * counted from the last bracket. */
static bool read_process(pid_t pid, struct process *into)
{
	char text[1024], state;
	unsigned long user, system, children_user, children_system;
	if (read_text(pid, "stat", text, sizeof(text)) <= 0)
		return false;
	const char *fields = strrchr(text, ')');
	if (!fields || sscanf(fields + 1, " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %lu %lu", &state,
			      &into->parent, &user, &system, &children_user, &children_system) != 6)
		return false;
	into->pid = pid;
	into->ticks = user + system + children_user + children_system;
	return true;
}

/* File-backed pages are shared with everybody who runs the same program: they are not the command's memory. */
static uint64_t memory_of(pid_t pid)
{
	char text[4096];
	uint64_t kilobytes = 0;
	if (read_text(pid, "status", text, sizeof(text)) <= 0)
		return 0;
	static const char *const lines[] = { "\nRssAnon:", "\nRssShmem:", "\nVmSwap:" };
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		const char *line = strstr(text, lines[i]);
		if (line)
			kilobytes += strtoull(line + strlen(lines[i]), NULL, 10);
	}
	return kilobytes * 1024;
}

size_t walk_tree(int signal, struct tree_usage *usage)
{
	size_t count = 0, found = 0;
	/* The /proc of another pid namespace numbers processes its own way; /proc/self says how it numbers us. */
	char link[32] = "";
	if (readlink("/proc/self", link, sizeof(link) - 1) <= 0)
		return 0;
	const pid_t self = atoi(link);
	const bool may_signal = self == getpid();
	DIR *proc = opendir("/proc");
	if (!proc)
		return 0;
	for (struct dirent *entry; (entry = readdir(proc)) && count < MOST_PROCESSES;)
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && read_process(atoi(entry->d_name), &processes[count]))
			count++;
	closedir(proc);

	/* A child may stand before its parent in the list once numbers have wrapped round: repeat until nothing is new. */
	memset(inside, 0, sizeof(inside));
	for (bool grew = true; grew;) {
		grew = false;
		for (size_t i = 0; i < count; i++) {
			const struct process *at = &processes[i];
			if (is_inside(at->pid) || at->pid >= MOST_PIDS || (at->parent != self && !is_inside(at->parent)))
				continue;
			inside[at->pid / 8] |= (uint8_t)(1 << at->pid % 8);
			grew = true;
			found++;
		}
	}
	const long hertz = sysconf(_SC_CLK_TCK);
	for (size_t i = 0; i < count; i++) {
		if (!is_inside(processes[i].pid))
			continue;
		if (signal && may_signal)
			kill(processes[i].pid, signal);
		if (usage) {
			usage->memory_bytes += memory_of(processes[i].pid);
			usage->cpu_us += processes[i].ticks * 1000000 / (uint64_t)hertz;
			usage->pids++;
		}
	}
	return found;
}

static uint32_t reap_dead(void)
{
	uint32_t reaped = 0;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		reaped++;
	return reaped;
}

static bool has_children(void)
{
	siginfo_t info;
	return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 || errno != ECHILD;
}

/* Without a pid namespace a fork bomb is stopped before it is killed: what is stopped does not fork, so the passes
 * converge, and then every member is killed at once. */
uint32_t kill_tree(bool own_pid_namespace)
{
	uint32_t killed = reap_dead();
	while (has_children()) {
		if (own_pid_namespace) {
			kill(-1, SIGKILL);
		} else {
			for (size_t before = 0, now = walk_tree(SIGSTOP, NULL), pass = 0; now != before && pass < 16; pass++) {
				before = now;
				now = walk_tree(SIGSTOP, NULL);
			}
			walk_tree(SIGKILL, NULL);
		}
		killed += reap_dead();
		if (has_children())
			nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
	}
	return killed;
}
